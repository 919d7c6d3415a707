"""Is this us: whether dialling an address would reach one of our own listeners.

A courier that follows an MX record back to this server would relay to itself for ever.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable

_WILDCARDS = ("0.0.0.0", "::")


class OwnAddresses:
    """``listeners()`` yields (host, port) of what listens now; ``is_local(ip)`` tells
    whether the machine has that address."""

    def __init__(
        self,
        listeners: Callable[[], Iterable[tuple[str, int]]],
        is_local: Callable[[str], bool] | None = None,
    ) -> None:
        self._listeners = listeners
        self._is_local = is_local if is_local is not None else can_bind

    def __call__(self, ip: str, port: int) -> bool:
        hosts = [_plain(host) for host, open_port in self._listeners() if open_port == port]
        ip = _plain(ip)
        if ip in _WILDCARDS:
            return bool(hosts)  # whoever dials these reaches his own machine
        return ip in hosts or (any(host in _WILDCARDS for host in hosts) and self._is_local(ip))


def _plain(ip: str) -> str:
    """One spelling for one address, ``::ffff:192.0.2.1`` being ``192.0.2.1``."""
    address = ipaddress.ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def can_bind(ip: str) -> bool:
    """Asks the kernel; sends nothing and does not block."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True
