"""The message of a transaction on its way in, by DATA or by BDAT.

Counts, judges the line endings, and knows whether it has already failed; the engine feeds
it octets and passes on what comes out. A failed message yields no more octets but is still
read to its end.
"""

from __future__ import annotations

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.protocols.lines import DataDecoder, LineEndings

BAD_LINE_ENDINGS = Reply(
    550, status.BAD_LINE_ENDINGS, "The message has a bare CR, a bare LF or a NUL"
)


class Body:
    """``limit`` in octets, 0 for none; ``binary`` takes any octets (BODY=BINARYMIME)."""

    def __init__(self, limit: int, *, binary: bool) -> None:
        self.size = 0
        self.failure: Reply | None = None
        self.remaining = 0
        """Octets of the current BDAT chunk still to come."""
        self.is_last = True
        self.chunked = False
        self._limit = limit
        self._endings = None if binary else LineEndings()
        self._decoder = DataDecoder()

    def fail(self, reply: Reply) -> None:
        """The first reason stays."""
        self.failure = self.failure or reply

    def begin_chunk(self, octets: int, is_last: bool) -> None:
        self.chunked = True
        self.remaining, self.is_last = octets, is_last
        self._count(octets)

    def chunk(self, data: bytes) -> bytes:
        """Octets of a BDAT chunk -> what to pass on."""
        self.remaining -= len(data)
        if self._endings is not None and self.failure is None:
            self._endings.feed(data)
            if self._endings.spoilt:
                self.fail(BAD_LINE_ENDINGS)
        return b"" if self.failure else data

    def finish_chunks(self) -> None:
        """After the last one: the message may have broken off within a CRLF."""
        if self._endings is not None:
            self._endings.finish()
            if self._endings.spoilt:
                self.fail(BAD_LINE_ENDINGS)

    def text(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Octets of DATA -> what to pass on, and what follows the end (None before it)."""
        content, rest = self._decoder.feed(data)
        self._count(len(content))
        if self._decoder.spoilt:
            self.fail(BAD_LINE_ENDINGS)
        return b"" if self.failure else content, rest

    def _count(self, octets: int) -> None:
        self.size += octets
        if self._limit and self.size > self._limit:
            text = f"Messages may have {self._limit} octets"
            self.fail(Reply(552, status.MESSAGE_TOO_BIG, text))
