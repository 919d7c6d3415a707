"""A committed message in memory, for stores and couriers to take."""

from __future__ import annotations

from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope
from mailframe.errors import MessageGone
from mailframe.interfaces import Arrival, IMessageSource, IStoredMessage


@implementer(IMessageSource)
class Source:
    def __init__(self, content: bytes, chunk: int, breaks_at: int | None) -> None:
        self.size = len(content)
        self.closed = False
        self._content = content
        self._chunk = chunk
        self._breaks_at = breaks_at
        self._position = 0

    async def read(self, octets: int) -> bytes:
        if self._breaks_at is not None and self._position >= self._breaks_at:
            raise MessageGone("broke off")
        end = self._position + min(octets, self._chunk)
        chunk, self._position = self._content[self._position : end], end
        return chunk

    def close(self) -> None:
        self.closed = True


@implementer(IStoredMessage)
class Stored:
    queue_id = "Q1"
    arrived = 1_790_000_000.0

    def __init__(
        self,
        content: bytes,
        *,
        reverse_path: str | None = "eve@far.test",
        chunk: int = 65536,
        breaks_at: int | None = None,
    ) -> None:
        self.content = content
        self.size = len(content)
        self.octets: bytes | None = None
        self.envelope = Envelope(Address.parse(reverse_path) if reverse_path else None)
        self.arrival = Arrival(peer_ip="192.0.2.7", helo="client.far.test")
        self._chunk = chunk
        self._breaks_at = breaks_at
        self.sources: list[Source] = []

    async def open(self) -> Source:
        self.sources.append(Source(self.content, self._chunk, self._breaks_at))
        return self.sources[-1]
