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
    550,
    status.BAD_LINE_ENDINGS,
    "The message has a bare CR, a bare LF or a NUL; lines end with CRLF",
)


class Body:
    """``limit`` in octets, 0 for none; ``binary`` takes any octets (BODY=BINARYMIME)."""

    def __init__(self, limit: int, *, binary: bool) -> None:
        self.size = 0
        self.remaining = 0
        """Octets of the current BDAT chunk still to come."""
        self.is_last = True
        self.chunked = False
        self._limit = limit
        self._refusal: Reply | None = None
        self._endings = None if binary else LineEndings()
        self._decoder = DataDecoder()

    def refuse(self, reply: Reply) -> None:
        """Somebody else will not have it. The first reason stays."""
        self._refusal = self._refusal or reply

    @property
    def failure(self) -> Reply | None:
        """Why it cannot be taken. The order is fixed, or splits of the input would matter."""
        if self._refusal is not None:
            return self._refusal
        if self._decoder.spoilt or (self._endings is not None and self._endings.spoilt):
            return BAD_LINE_ENDINGS
        if self._limit and self.size > self._limit:
            text = f"Messages may have {self._limit} octets"
            return Reply(552, status.MESSAGE_TOO_BIG, text)
        return None

    def begin_chunk(self, octets: int, is_last: bool) -> None:
        """A BDAT: what it announces counts at once, so that it fails before it was sent."""
        self.chunked = True
        self.remaining, self.is_last = octets, is_last
        self.size += octets

    def chunk(self, data: bytes) -> bytes:
        """Octets of a BDAT chunk -> what to pass on."""
        self.remaining -= len(data)
        if self._endings is not None:
            self._endings.feed(data)
        return b"" if self.failure else data

    def finish_chunks(self) -> None:
        """After the last one: the message may have broken off within a CRLF."""
        if self._endings is not None:
            self._endings.finish()

    def text(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Octets of DATA -> what to pass on, and what follows the end (None before it)."""
        content, rest = self._decoder.feed(data)
        self.size += len(content)
        return b"" if self.failure else content, rest
