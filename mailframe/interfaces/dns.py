"""DNS, as far as mail asks it. Everybody takes the resolver as an argument."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.defer import Deferred
from zope.interface import Interface


@dataclass(frozen=True, slots=True, order=True)
class MxHost:
    """One MX record."""

    preference: int
    """The lowest is tried first."""
    host: str
    """A-label host name without the final dot; empty for the null MX of RFC 7505."""


class IResolver(Interface):
    """Asynchronous, caching by TTL.

    Names are str; U-labels are converted. An existing name without such records yields an
    empty tuple; a name that does not exist raises NoSuchDomain; no usable answer raises
    DnsTemporary. Nothing else is raised.
    """

    def mx(domain: str) -> Deferred[tuple[MxHost, ...]]:
        """MX records, unsorted; no fallback to addresses (that is the courier's)."""

    def addresses(host: str) -> Deferred[tuple[str, ...]]:
        """AAAA and A records as text, IPv6 first; CNAMEs followed."""

    def ipv4(name: str) -> Deferred[tuple[str, ...]]:
        """A records as text; CNAMEs followed. No record is an empty tuple, whatever other types
        the name has: what SPF counts (RFC 7208 section 4.6.4) and block lists answer with."""

    def ipv6(name: str) -> Deferred[tuple[str, ...]]:
        """AAAA records as text; the same."""

    def txt(name: str) -> Deferred[tuple[bytes, ...]]:
        """TXT records, the strings of each joined."""

    def ptr(ip: str) -> Deferred[tuple[str, ...]]:
        """Names of an address."""
