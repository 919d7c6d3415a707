"""The DNS from a dict: name -> type -> what is there; an exception is raised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost


@implementer(IResolver)
class DnsAnswers:
    def __init__(self) -> None:
        self.records: dict[str, dict[str, list[Any]]] = {}
        self.dead: set[str] = set()
        """Names, and the ends of names, of which the DNS tells nothing now."""

    def put(self, name: str, type: str, *values: Any) -> None:
        """Instead of what was there."""
        self.records.setdefault(name, {})[type] = list(values)

    def drop(self, name: str) -> None:
        self.records.pop(name, None)

    async def mx(self, domain: str) -> tuple[MxHost, ...]:
        return tuple(MxHost(*pair) for pair in self._find(domain, "MX"))

    async def ipv4(self, name: str) -> tuple[str, ...]:
        return tuple(self._find(name, "A"))

    async def ipv6(self, name: str) -> tuple[str, ...]:
        return tuple(self._find(name, "AAAA"))

    async def addresses(self, host: str) -> tuple[str, ...]:
        return await self.ipv6(host) + await self.ipv4(host)

    async def txt(self, name: str) -> tuple[bytes, ...]:
        return tuple(text.encode() for text in self._find(name, "TXT"))

    async def ptr(self, ip: str) -> tuple[str, ...]:
        return tuple(self._find(ip, "PTR"))

    def _find(self, name: str, type: str) -> Sequence[Any]:
        name = name.rstrip(".").lower()
        if any(name.endswith(end) for end in self.dead):
            raise DnsTemporary(f"{name}: SERVFAIL")
        if name not in self.records:
            raise NoSuchDomain(name)
        return self.records[name].get(type, [])
