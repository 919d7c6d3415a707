"""Who is judged at all: strangers, that is, those who deliver mail here without leave to relay.

Authentication checks and the content filter look at every stranger's mail. Checks of the client
itself, its address and the names it goes by, leave out the servers that hand our mail on to us
(``[policy] trusted_networks``): what they say of the client is said of somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailframe.core.ip import plain_ip, plain_network
from mailframe.core.session import Role, Session
from mailframe.interfaces import IRelayPermission


class Strangers:
    """``trusted`` networks as text. ValueError for what is none."""

    def __init__(self, permission: IRelayPermission, trusted: Iterable[str] = ()) -> None:
        self._permission = permission
        self._trusted = [plain_network(text) for text in trusted]

    def is_stranger(self, session: Session) -> bool:
        return session.role is Role.MX and self._permission.may_relay(session) is None

    def is_unknown_client(self, session: Session) -> bool:
        return self.is_stranger(session) and not self._is_trusted(session.peer_ip)

    def is_client_unknown_yet(self, session: Session) -> bool:
        """The same at connect, when nobody has logged in yet."""
        return self.is_unknown_client(session)

    def _is_trusted(self, peer_ip: str) -> bool:
        address = plain_ip(peer_ip)
        return address is not None and any(address in network for network in self._trusted)
