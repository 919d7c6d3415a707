"""Suites of SPF tests: documents of YAML, each with tests and the DNS that they need."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost

SUITE = Path(__file__).resolve().parents[3] / "shared" / "suites" / "01-spf" / "pyspf"
DEFAULT = "DEFAULT"


@dataclass(frozen=True)
class Case:
    name: str
    helo: str
    host: str
    mailfrom: str
    results: Sequence[str]
    """Any of them is right."""
    explanation: str | None
    zone: Zone


@implementer(IResolver)
class Zone:
    """The DNS of one document; names ignore case. ``{name: [{type: value} | "TIMEOUT"]}``."""

    def __init__(self, data: Mapping[str, Sequence[Any]]) -> None:
        self._data: dict[str, list[Any]] = {}
        for name, entries in data.items():
            self._data[name.lower().rstrip(".")] = list(_as_txt(list(entries)))
        self.asked: list[tuple[str, str]] = []

    def find(self, name: str, kind: str, aliases: int = 8) -> list[Any]:
        key = name.lower().removesuffix(".")
        if aliases == 8:
            self.asked.append((key, kind))
        if key not in self._data:
            raise NoSuchDomain(name)
        entries = self._data[key]
        found = []
        for entry in entries:
            if isinstance(entry, Mapping):
                found += [value for k, value in entry.items() if k == kind and value != "NONE"]
            elif not found:
                raise DnsTemporary(f"{name}: {entry}")
        if not found and kind != "CNAME":
            for target in self.find(name, "CNAME", 0):
                if not aliases:
                    raise DnsTemporary("too many aliases")
                return self.find(target, kind, aliases - 1)
        return found

    def txt(self, name: str) -> Deferred[Any]:
        return self._answer(name, "TXT", _octets)

    def ipv4(self, name: str) -> Deferred[Any]:
        return self._answer(name, "A", str)

    def ipv6(self, name: str) -> Deferred[Any]:
        return self._answer(name, "AAAA", lambda text: str(ipaddress.ip_address(text)))

    def mx(self, domain: str) -> Deferred[Any]:
        return self._answer(domain, "MX", lambda pair: MxHost(pair[0], pair[1].rstrip(".")))

    def ptr(self, ip: str) -> Deferred[Any]:
        return self._answer(ipaddress.ip_address(ip).reverse_pointer, "PTR", str)

    def addresses(self, host: str) -> Deferred[Any]:
        raise NotImplementedError("SPF asks for one version")

    def _answer(self, name: str, kind: str, read: Any) -> Deferred[Any]:
        try:
            return succeed(tuple(read(value) for value in self.find(name, kind)))
        except (NoSuchDomain, DnsTemporary) as error:
            return fail(error)


def _octets(value: str | Sequence[str]) -> bytes:
    texts = [value] if isinstance(value, str) else value
    # characters beyond ASCII stand for octets, or for themselves
    try:
        return b"".join(text.encode("latin-1") for text in texts)
    except UnicodeEncodeError:
        return b"".join(text.encode() for text in texts)


def _as_txt(entries: list[Any]) -> Iterator[Any]:
    """A record of the type that RFC 7208 section 3.1 abolished counts as TXT where no TXT is."""
    has_txt = any(isinstance(entry, Mapping) and "TXT" in entry for entry in entries)
    for entry in entries:
        if not isinstance(entry, Mapping) or "SPF" not in entry:
            yield entry
        elif not has_txt:
            yield {"TXT": entry["SPF"]}


def cases(file: Path) -> Iterator[Case]:
    import yaml

    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        zone = Zone(document.get("zonedata") or {})
        for name, test in (document.get("tests") or {}).items():
            results = test["result"]
            yield Case(
                name,
                test.get("helo") or "",
                test["host"],
                test.get("mailfrom") or "",
                [results] if isinstance(results, str) else results,
                test.get("explanation"),
                zone,
            )
