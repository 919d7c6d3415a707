"""Who may send mail to other people's domains through us.

Three ways, and no other: a login; an address listed in ``[relay] networks``; mail fetched
from that address lately, where POP-before-SMTP is on. Being on the same machine is no way:
every user of a shared host is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from zope.interface import implementer

from mailframe.core.session import Session
from mailframe.interfaces import IRecentFetches, IRelayPermission

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


@implementer(IRelayPermission)
class RelayPermission:
    """``networks`` as text (``192.0.2.0/24``, ``::1``); ``recent`` None: no POP-before-SMTP.

    An IPv4 client of an IPv6 socket (``::ffff:192.0.2.1``) counts as the IPv4 address it is.
    Raises ValueError for what is no network, or one with host bits set: a typing error here
    must not open the relay for more than was meant.
    """

    def __init__(self, networks: Iterable[str], recent: IRecentFetches | None = None) -> None:
        self._networks = [_plain_network(ipaddress.ip_network(text)) for text in networks]
        self._recent = recent

    def may_relay(self, session: Session) -> str | None:
        if session.account is not None:
            return "login"
        address = _plain_address(session.peer_ip)
        if address is None:
            return None  # a Unix socket: no address, no network
        if any(address in network for network in self._networks):
            return "network"
        if self._recent is not None and self._recent.may_relay(str(address)) is not None:
            return "pop-before-smtp"
        return None


def _plain_address(text: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _plain_network(network: IPNetwork) -> IPNetwork:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        assert mapped is not None  # it lies in ::ffff:0:0/96
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network
