"""The header section of a message while it streams by, and what policies see of it."""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import implementer

from mailframe.interfaces import IContent, IIncoming, IMessageSource
from mailframe.runtime.aio import result_of


class HeaderCollector:
    """Keeps the octets up to the first empty line, at most ``limit`` (0: any number)."""

    def __init__(self, limit: int) -> None:
        self.is_complete = False
        self.is_too_long = False
        self._limit = limit
        self._held = bytearray()

    def feed(self, chunk: bytes) -> None:
        if self.is_complete or self.is_too_long:
            return
        start = max(0, len(self._held) - 3)
        self._held += chunk
        if self._held.startswith(b"\r\n"):
            end = 0
        else:
            blank = self._held.find(b"\r\n\r\n", start)
            end = blank + 2 if blank >= 0 else -1
        if end >= 0:
            self.is_complete = True
            del self._held[end:]
        if self._limit and len(self._held) > self._limit:
            self.is_too_long = True
            self._held.clear()

    @property
    def header(self) -> bytes:
        """What there is of it, its last CRLF included and the empty line not."""
        return bytes(self._held)


@implementer(IContent)
class Content:
    """``header`` as IContent wants it; the whole comes from the spool."""

    def __init__(self, header: bytes, incoming: IIncoming) -> None:
        self.header = header
        self.size: int = incoming.size
        self._incoming = incoming

    async def open(self) -> IMessageSource:
        opened: IMessageSource | Awaitable[IMessageSource] = self._incoming.open()
        return await result_of(opened)
