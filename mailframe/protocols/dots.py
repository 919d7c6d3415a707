"""Dot-stuffing: how SMTP's DATA and POP3's multi-line answers mark their end.

RFC 5321 section 4.5.2, RFC 1939 section 3. The stuffer remembers across chunks whether it
stands at the start of a line, so that no split of the input can smuggle an unstuffed dot.
Input is in wire format; a bare LF or CR in it is content and starts no line.
"""

from __future__ import annotations

import re

_DOT_AFTER_LF = re.compile(rb"\n\.")


class DotStuffer:
    """Feed chunks, then ``finish``; one instance a message."""

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the last two octets sent: the start counts as a line start

    def feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        before, self._tail = self._tail, (chunk if len(chunk) > 1 else self._tail + chunk)[-2:]
        if not _may_need_stuffing(chunk):
            return chunk
        # Look across the border: the CRLF may lie in the chunk before.
        joined = before + chunk
        return joined.replace(b"\r\n.", b"\r\n..")[2:]

    def finish(self) -> bytes:
        """The terminating line, after a CRLF if the message lacks its last one."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


def _may_need_stuffing(chunk: bytes) -> bool:
    """Hardly any message does, and to look for it, where there are dots at all, takes less than
    half the time of a replacement. Base64 has none."""
    first = chunk.find(b".")
    if first <= 0:
        return not first
    return _DOT_AFTER_LF.search(chunk, first - 1, chunk.rfind(b".") + 1) is not None
