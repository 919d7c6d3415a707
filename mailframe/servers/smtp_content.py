"""The header section of a message while it streams by, and what policies see of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from zope.interface import implementer

from mailframe.interfaces import IContent, IIncoming, IMessageSource
from mailframe.runtime.aio import result_of

if TYPE_CHECKING:
    from mailframe.servers.smtp_transaction import Transaction


class HeaderCollector:
    """Holds the octets up to the first empty line, at most ``limit`` (0: any number)."""

    def __init__(self, limit: int) -> None:
        self.is_complete = False
        self.is_too_long = False
        self.kept_octets = 0
        """How long the header section is in the spool."""
        self._limit = limit
        self._held: bytes | bytearray = b""

    def feed(self, chunk: bytes) -> bytes:
        """Returns what belongs to the body: the empty line and all after it."""
        if self.is_complete or self.is_too_long:
            return chunk
        start = max(0, len(self._held) - 3)
        held = self._with_those_before(chunk)
        end = 0 if held.startswith(b"\r\n") else held.find(b"\r\n\r\n", start)
        self.is_complete = end >= 0
        # the CRLF of the last field is the header's
        blank = end + 2 if end else 0
        self._held = bytes(held[:blank]) if self.is_complete else held
        if self._limit and len(self._held) > self._limit:
            self.is_too_long = True
            self._held = b""
        return bytes(held[blank:]) if self.is_complete else b""

    def _with_those_before(self, chunk: bytes) -> bytes | bytearray:
        """Most header sections come in one piece; others are put together in place."""
        if not self._held:
            return chunk
        if isinstance(self._held, bytes):
            self._held = bytearray(self._held)
        self._held += chunk
        return self._held

    @property
    def header(self) -> bytes:
        """What there is of it as it came, its last CRLF included and the empty line not."""
        return bytes(self._held)


@implementer(IContent)
class Content:
    """The header as it came; the rest from the spool."""

    def __init__(self, transaction: Transaction, incoming: IIncoming) -> None:
        self.header = transaction.header.header
        self.queue_id = transaction.queue_id
        self.size: int = incoming.size
        self._transaction = transaction
        self._incoming = incoming

    @property
    def added(self) -> bytes:
        return self._transaction.tag_fields()

    async def open(self) -> IMessageSource:
        opened: IMessageSource | Awaitable[IMessageSource] = self._incoming.open()
        return await result_of(opened)

    async def open_body(self) -> IMessageSource:
        source = await self.open()
        # the header section and the empty line
        left = self._transaction.header.kept_octets + 2
        while left:
            chunk: bytes = await result_of(source.read(left))
            if not chunk:
                break
            left -= len(chunk)
        return source
