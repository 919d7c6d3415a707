"""A received message for policies, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from zope.interface import implementer

from mailframe.interfaces import IContent, IMessageSource


@implementer(IMessageSource)
class Source:
    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self.is_closed = False
        self._octets = octets

    async def read(self, octets: int) -> bytes:
        assert not self.is_closed
        chunk, self._octets = self._octets[:octets], self._octets[octets:]
        return chunk

    def close(self) -> None:
        self.is_closed = True


@implementer(IContent)
@dataclass
class Content:
    header: bytes = b"From: a@b.example\r\nSubject: x\r\n"
    body: bytes = b"Hello.\r\n"
    added: bytes = b"X-Added: yes\r\n"
    queue_id: str = "Q1"
    size: int = field(init=False)
    sources: list[Source] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = len(self.header) + 2 + len(self.body)

    async def open(self) -> Source:
        self.sources.append(Source(self.header + b"\r\n" + self.body))
        return self.sources[-1]

    async def open_body(self) -> Source:
        self.sources.append(Source(self.body))
        return self.sources[-1]
