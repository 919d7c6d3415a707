"""What is in a file: octets in chunks that are never changed, only replaced.

Copies share their chunks, so that a thousand crash states of one disk cost little more than
one. A chunk may be shorter than its place, or missing: what lacks reads as zeros.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

CHUNK = 4096  # an SQLite page takes one place exactly


@lru_cache(maxsize=8192)
def _digest(chunk: bytes) -> bytes:
    """Most chunks of a state are those of many others, and known."""
    return hashlib.blake2b(chunk, digest_size=16).digest()


class Content:
    __slots__ = ("_chunks", "_digest", "_is_shared", "size")

    def __init__(self, data: bytes = b"") -> None:
        self._chunks: list[bytes] = []
        self._is_shared = False
        self._digest: bytes | None = None
        self.size = 0
        if data:
            self.write(0, data)

    def copy(self) -> Content:
        other = Content()
        other._chunks, other.size, other._digest = self._chunks, self.size, self._digest
        other._is_shared = self._is_shared = True
        return other

    def read(self, offset: int, octets: int) -> bytes:
        """Fewer at the end."""
        octets = min(octets, self.size - offset)
        if octets <= 0:
            return b""
        index, start = divmod(offset, CHUNK)
        stop = start + octets
        if stop <= CHUNK:
            chunk = self._chunk(index)
            if len(chunk) >= stop:
                return chunk if octets == len(chunk) else chunk[start:stop]
            return chunk[start:stop].ljust(octets, b"\0")
        last = (offset + octets - 1) // CHUNK
        pieces = [self._chunk(place).ljust(CHUNK, b"\0") for place in range(index, last + 1)]
        return b"".join(pieces)[start:stop]

    def write(self, offset: int, data: bytes) -> None:
        """A gap before it reads as zeros."""
        if not data:
            return
        octets = len(data)
        index, start = divmod(offset, CHUNK)
        chunks = self._changing(offset + octets)
        if octets == CHUNK and not start:
            chunks[index] = data
            return
        done = 0
        while done < octets:
            taken = min(CHUNK - start, octets - done)
            piece = data[done : done + taken]
            if taken < CHUNK:
                old = chunks[index]
                piece = old[:start].ljust(start, b"\0") + piece + old[start + taken :]
            chunks[index] = piece
            done += taken
            index, start = index + 1, 0

    def truncate(self, size: int) -> None:
        """To that size: shorter, or longer by zeros."""
        if size >= self.size:
            self._digest, self.size = None, size
            return
        chunks = self._changing(0)
        self.size = size
        kept, rest = divmod(size, CHUNK)
        del chunks[kept + (rest > 0) :]
        if rest and kept < len(chunks):
            chunks[kept] = chunks[kept][:rest]

    def digest(self) -> bytes:
        """The same for the same octets."""
        if self._digest is None:
            whole = hashlib.blake2b(b"%d " % self.size, digest_size=16)
            for index in range(-(-self.size // CHUNK)):
                expected = min(CHUNK, self.size - index * CHUNK)
                chunk = self._chunk(index)
                whole.update(
                    _digest(chunk if len(chunk) == expected else chunk.ljust(expected, b"\0"))
                )
            self._digest = whole.digest()
        return self._digest

    def __bytes__(self) -> bytes:
        return self.read(0, self.size)

    def _chunk(self, index: int) -> bytes:
        return self._chunks[index] if index < len(self._chunks) else b""

    def _changing(self, end: int) -> list[bytes]:
        """Chunks that are ours alone, enough of them for a write up to ``end``."""
        if self._is_shared:
            self._chunks, self._is_shared = self._chunks.copy(), False
        self._digest = None
        self.size = max(self.size, end)
        missing = -(-end // CHUNK) - len(self._chunks)
        if missing > 0:
            self._chunks.extend([b""] * missing)
        return self._chunks
