"""A name server that answers from a dict of TXT records; None stands for SERVFAIL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost


@implementer(IResolver)
class TxtZone:
    def __init__(
        self, records: Mapping[str, Iterable[bytes | str] | None], living: Iterable[str] = ()
    ) -> None:
        self.asked: list[str] = []
        self._records = {name.lower(): texts for name, texts in records.items()}
        self._living = set(living)

    def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
        self.asked.append(name)
        if name not in self._records:
            return fail(NoSuchDomain(name))
        texts = self._records[name]
        if texts is None:
            return fail(DnsTemporary(f"{name} does not answer"))
        return succeed(tuple(t.encode() if isinstance(t, str) else t for t in texts))

    def ipv4(self, name: str) -> Deferred[tuple[str, ...]]:
        return succeed(("192.0.2.1",)) if name in self._living else fail(NoSuchDomain(name))

    def ipv6(self, name: str) -> Deferred[tuple[str, ...]]:
        return succeed(()) if name in self._living else fail(NoSuchDomain(name))

    def mx(self, domain: str) -> Deferred[tuple[MxHost, ...]]:
        return succeed(()) if domain in self._living else fail(NoSuchDomain(domain))

    def addresses(self, host: str) -> Deferred[tuple[str, ...]]:
        return self.ipv4(host)

    def ptr(self, ip: str) -> Deferred[tuple[str, ...]]:
        return fail(NoSuchDomain(ip))
