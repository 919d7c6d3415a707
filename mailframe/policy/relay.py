"""Who may send mail to other people's domains through us.

Three ways, and no other: a login; an address listed in ``[relay] networks``; mail fetched
from that address lately, where POP-before-SMTP is on. Being on the same machine is no way:
every user of a shared host is.
"""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import implementer

from mailframe.core.ip import plain_ip, plain_network
from mailframe.core.session import Role, Session
from mailframe.interfaces import IRecentFetches, IRelayPermission


@implementer(IRelayPermission)
class RelayPermission:
    """``networks`` as text (``192.0.2.0/24``, ``::1``); ``recent`` None: no POP-before-SMTP.

    An IPv4 client of an IPv6 socket (``::ffff:192.0.2.1``) counts as the IPv4 address it is.
    Raises ValueError for what is no network, or one with host bits set: a typing error here
    must not open the relay for more than was meant.
    """

    def __init__(self, networks: Iterable[str], recent: IRecentFetches | None = None) -> None:
        self._networks = [plain_network(text) for text in networks]
        self._recent = recent

    def may_relay(self, session: Session) -> str | None:
        if session.account is not None:
            return "login"
        address = plain_ip(session.peer_ip)
        if address is None:
            return None  # a Unix socket: no address, no network
        if any(address in network for network in self._networks):
            return "network"
        # with its zone: in another one the same link-local address is somebody else's
        client = str(address) if address.version == 4 else session.peer_ip
        if self._recent is not None and self._recent.may_relay(client) is not None:
            return "pop-before-smtp"
        return None

    def account(self, session: Session) -> str | None:
        # what is handed over by LMTP is from all the world
        if self._recent is None or session.role is Role.LMTP:
            return session.account
        if self.may_relay(session) != "pop-before-smtp":
            return session.account
        return self._recent.may_relay(session.peer_ip)
