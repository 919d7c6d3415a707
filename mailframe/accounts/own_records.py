"""The DNS as it would be with nothing in it but the records of our own keys.

Lets the verifier say whether a signature is ours without asking anybody: the answer must not
depend on what is published by now, nor on the DNS being there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from mailframe.accounts.dkim_keys import DkimKey
from mailframe.errors import NoSuchDomain
from mailframe.interfaces import IResolver, MxHost


@implementer(IResolver)
class OwnRecords:
    """``keys`` by the names of their records."""

    def __init__(self, keys: Mapping[str, DkimKey]) -> None:
        self._keys = keys

    def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
        key = self._keys.get(name.lower().rstrip("."))
        return succeed((key.record.encode(),)) if key is not None else _nothing(name)

    def mx(self, domain: str) -> Deferred[tuple[MxHost, ...]]:
        return _nothing(domain)

    def addresses(self, host: str) -> Deferred[tuple[str, ...]]:
        return _nothing(host)

    def ipv4(self, name: str) -> Deferred[tuple[str, ...]]:
        return _nothing(name)

    def ipv6(self, name: str) -> Deferred[tuple[str, ...]]:
        return _nothing(name)

    def ptr(self, ip: str) -> Deferred[tuple[str, ...]]:
        return _nothing(ip)


def _nothing(name: str) -> Deferred[Any]:
    return fail(NoSuchDomain(name))
