"""TOP: the header section, the blank line and so many lines of the body (RFC 1939 section 7)."""

from __future__ import annotations

_HEADER_END = b"\r\n\r\n"


class TopCutter:
    """Feed a message in wire format chunk by chunk; it passes what TOP shows."""

    def __init__(self, body_lines: int) -> None:
        self._lines_left = body_lines
        # The last octets seen: a boundary may lie across chunks. A message that begins with
        # the blank line has an empty header section, hence the CRLF before it.
        self._tail = b"\r\n"
        self._in_header = True
        self.done = False
        """Whether the rest of the message is not wanted."""

    def feed(self, chunk: bytes) -> bytes:
        if self.done or not chunk:
            return b""
        body_at = 0
        if self._in_header:
            body_at = self._end_of_header(chunk)
            if self._in_header:
                return chunk
        end = self._end_of_body(chunk, body_at)
        return chunk if end is None else chunk[:end]

    def _end_of_header(self, chunk: bytes) -> int:
        """Where in ``chunk`` the body begins, if it does."""
        joined = self._tail + chunk
        found = joined.find(_HEADER_END)
        if found < 0:
            self._tail = joined[-3:]
            return 0
        self._in_header = False
        body_at = found + len(_HEADER_END) - len(self._tail)
        self._tail = b""
        return body_at

    def _end_of_body(self, chunk: bytes, start: int) -> int | None:
        """Where the last wanted line ends; None when it lies beyond ``chunk``."""
        position = start
        if self._tail == b"\r" and self._lines_left and chunk.startswith(b"\n", start):
            position += 1
            self._lines_left -= 1
        self._tail = chunk[-1:] if len(chunk) > start else b""
        available = chunk.count(b"\r\n", position)
        if available < self._lines_left:
            self._lines_left -= available
            return None
        for _ in range(self._lines_left):
            position = chunk.index(b"\r\n", position) + 2
        self._lines_left = 0
        self.done = True
        return position
