"""Messages, keys and a DNS for tests of chains."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from mailframe.core.authentication import ArcResult, Result
from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IMessageSource, IResolver
from mailframe.mailauth.arc import seal_arc, verify_arc
from mailframe.mailauth.dkim import SigningKey, generate, key_record
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.workers import InlineWorkers

NOW = 1_700_000_000.0
HEADER = (
    b"Received: from a.example by b.example; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; d=author.example; s=x; h=from; bh=YQ==; b=YQ==\r\n"
    b"From: Ann <ann@author.example>\r\n"
    b"To: team@list.example\r\n"
    b"Subject: Minutes\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <1@author.example>\r\n"
)
BODY = b"Hello,\r\n\r\nhere they are.\r\n"


class Body:
    """Opens the body, and counts how often."""

    def __init__(self, data: bytes = BODY) -> None:
        self.data = data
        self.opened = 0

    async def __call__(self) -> IMessageSource:
        self.opened += 1
        source: Any = Source(self.data)
        return source  # type: ignore[no-any-return]


@implementer(IMessageSource)
class Source:
    def __init__(self, data: bytes) -> None:
        self._left = data
        self.size = len(data)

    def read(self, size: int) -> Deferred[bytes]:
        piece, self._left = self._left[:size], self._left[size:]
        return succeed(piece)

    def close(self) -> None:
        pass


@implementer(IResolver)
class Records:
    """TXT records by name; None: the DNS does not answer."""

    def __init__(self, records: Mapping[str, bytes | None]) -> None:
        self.records = dict(records)
        self.asked: list[str] = []

    def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
        self.asked.append(name)
        if name not in self.records:
            return fail(NoSuchDomain(name))
        text = self.records[name]
        return fail(DnsTemporary(name)) if text is None else succeed((text,))

    def mx(self, domain: str) -> Any:
        raise NotImplementedError

    addresses = ipv4 = ipv6 = ptr = mx


@functools.cache
def key(domain: str, algorithm: str = "rsa-sha256") -> SigningKey:
    return SigningKey(domain, "s1", algorithm, generate(algorithm))


def dns(*keys: SigningKey) -> Records:
    return Records(
        {f"{k.selector}._domainkey.{k.domain}": key_record(k.private).encode() for k in keys}
    )


def sealed(
    header: bytes,
    by: SigningKey,
    results: str = "",
    *,
    arc: ArcResult | None = None,
    body: bytes = BODY,
    names: Sequence[bytes] | None = None,
) -> bytes:
    """``header`` with one more set on top; ``arc`` unless it passed so far."""
    so_far = Result.PASS if b"ARC-Seal:" in header else Result.NONE
    result = arc if arc is not None else ArcResult(so_far)
    made: bytes = fired(
        as_deferred(
            seal_arc(header, Body(body), InlineWorkers(), by, f"mx.{by.domain}", results, result,
                     now=NOW,
                names=names)
        )
    )  # fmt: skip
    return made + header


def verified(
    header: bytes, records: Records, body: Body | None = None, *, now: float = NOW, **more: Any
) -> ArcResult:
    result: ArcResult = fired(
        as_deferred(verify_arc(records, header, body or Body(), InlineWorkers(), now=now, **more))
    )
    return result
