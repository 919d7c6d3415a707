"""The content on its way out: DATA with dots stuffed, or BDAT chunk by chunk.

Whatever was stored, what leaves here is framed so that no server, however it reads lines,
finds an end of the message before the end ("SMTP smuggling"): a bare CR or LF becomes CRLF,
a NUL becomes a blank, the last line is ended, and only then are dots stuffed. Content that
came in by the rules passes unchanged. Only BINARYMIME goes out untouched, by BDAT, where
nothing is searched for its end.
"""

from __future__ import annotations

import re
from typing import Protocol

from mailframe.protocols.dots import DotStuffer
from mailframe.protocols.lines import has_bare_endings

_LINE_END = re.compile(rb"\r\n|\r|\n")


class WireText:
    """Turns any octets, in any split, into lines that all end with CRLF, without NUL."""

    def __init__(self) -> None:
        self._held = b""  # a final CR, whose LF may be still to come
        self._at_line_start = True

    def feed(self, chunk: bytes) -> bytes:
        data = self._held + chunk
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        return self._clean(data)

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        data = self._clean(held)
        return data if self._at_line_start else data + b"\r\n"

    def _clean(self, data: bytes) -> bytes:
        if not data:
            return b""
        if has_bare_endings(data):
            data = _LINE_END.sub(b"\r\n", data.replace(b"\0", b" "))
        self._at_line_start = data.endswith(b"\r\n")
        return data


class Body(Protocol):
    """Feed content, send what it yields."""

    replies: int
    """How many replies the octets yielded so far have caused."""

    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class DataBody:
    """After the 354 (RFC 5321 section 4.1.1.4): text, then a line with one dot."""

    def __init__(self) -> None:
        self._text = WireText()
        self._dots = DotStuffer()
        self.replies = 0

    def feed(self, chunk: bytes) -> bytes:
        return self._dots.feed(self._text.feed(chunk))

    def finish(self) -> bytes:
        self.replies = 1
        return self._dots.feed(self._text.finish()) + self._dots.finish()


class BdatBody:
    """RFC 3030 section 2. One chunk is held back, so that the last one can say LAST."""

    def __init__(self, binary: bool) -> None:
        self._text = None if binary else WireText()
        self._held = b""
        self.replies = 0

    def feed(self, chunk: bytes) -> bytes:
        data = chunk if self._text is None else self._text.feed(chunk)
        if not data:
            return b""
        held, self._held = self._held, data
        return self._command(held, "") if held else b""

    def finish(self) -> bytes:
        rest = self._text.finish() if self._text is not None else b""
        return self._command(self._held + rest, " LAST")

    def _command(self, data: bytes, last: str) -> bytes:
        self.replies += 1
        return b"BDAT %d%s\r\n" % (len(data), last.encode()) + data
