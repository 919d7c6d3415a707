"""IP addresses of peers: one spelling for one client.

An IPv4 client of an IPv6 socket (``::ffff:192.0.2.1``) is the IPv4 client it is, and the zone of a
link-local address (``fe80::1%eth0``) says nothing about who it is. A Unix socket has no address.
"""

from __future__ import annotations

import functools
import ipaddress

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


@functools.lru_cache(maxsize=1024)
def plain_ip(text: str) -> IPAddress | None:
    """None for what is no address. Kept: of one client it is asked again and again."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def plain_network(text: str) -> IPNetwork:
    """A network as ``plain_ip`` spells its addresses.

    Raises ValueError for what is none, and for one with host bits set: it may mean less than it
    says."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        assert mapped is not None  # it lies in ::ffff:0:0/96
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def network_around(address: IPAddress, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """The network of that length, as text."""
    prefix = ipv4_prefix if address.version == 4 else ipv6_prefix
    return str(ipaddress.ip_network((address, prefix), strict=False))
