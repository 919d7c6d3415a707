"""Hashes of bodies and of header fields. Everything here blocks: run it on a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

from mailframe.interfaces import IMessageSource, IWorkers
from mailframe.mailauth.dkim.canonical import CanonicalBody, canonical_field
from mailframe.message.headers import Field, fields

OpenBody = Callable[[], Awaitable[IMessageSource]]
_PIECE = 1 << 18


class BodyPass:
    """One canonicalization of one body, and the hashes of it: several lengths, one pass."""

    def __init__(self, *, relaxed: bool) -> None:
        self._body = CanonicalBody(relaxed=relaxed)
        self._hashes: dict[tuple[str, int | None], hashlib._Hash] = {}
        self.size = 0
        """Octets of the canonical body."""

    def want(self, hash_name: str, length: int | None) -> None:
        self._hashes.setdefault((hash_name, length), hashlib.new(hash_name))

    def feed(self, data: bytes) -> None:
        self._update(self._body.feed(data))

    def finish(self) -> None:
        self._update(self._body.finish())

    def digest(self, hash_name: str, length: int | None) -> bytes:
        return self._hashes[hash_name, length].digest()

    def _update(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            for (_, length), digest in self._hashes.items():
                if length is None:
                    digest.update(piece)
                elif length > self.size:
                    digest.update(piece[: length - self.size])
            self.size += len(piece)


async def hash_body(passes: Sequence[BodyPass], open_body: OpenBody, workers: IWorkers) -> None:
    """Read the body once, for all of ``passes``."""
    if not passes:
        return
    source = await open_body()
    try:
        while piece := await source.read(_PIECE):
            for each in passes:
                await workers.run(each.feed, piece)
        for each in passes:
            await workers.run(each.finish)
    finally:
        source.close()


class SignedFields:
    """A header, to choose from it what signatures name."""

    def __init__(self, header: bytes) -> None:
        self._by_name: dict[bytes, list[bytes]] = {}
        for field in fields(header):
            self._by_name.setdefault(field.name.lower().encode(), []).append(field.raw)
        self._canonical: dict[tuple[bytes, bool], bytes] = {}

    def count(self, name: bytes) -> int:
        return len(self._by_name.get(name, ()))

    def names(self) -> frozenset[bytes]:
        return frozenset(self._by_name)

    def update(
        self,
        digest: hashlib._Hash,
        names: Iterable[bytes],
        *,
        relaxed: bool,
        own: Field | None = None,
    ) -> None:
        """Hash the named fields, each with its line end; ``own`` is not there to be named."""
        by_name = self._by_name if own is None else self._without(own)
        taken: dict[bytes, int] = {}
        for name in names:
            rows = by_name.get(name, ())
            number = taken[name] = taken.get(name, 0) + 1
            # RFC 6376 section 5.4.2: from the bottom up; one that is not there is empty
            if number <= len(rows):
                digest.update(self._field(rows[-number], relaxed) + b"\r\n")

    def _without(self, own: Field) -> dict[bytes, list[bytes]]:
        name = own.name.lower().encode()
        # an equal one beside it is as good to leave out
        rows = [raw for raw in self._by_name.get(name, ()) if raw != own.raw]
        return {**self._by_name, name: rows}

    def _field(self, raw: bytes, relaxed: bool) -> bytes:
        key = raw, relaxed
        if key not in self._canonical:
            self._canonical[key] = canonical_field(raw, relaxed=relaxed)
        return self._canonical[key]
