"""Replies as octets (RFC 5321 section 4.2.1, RFC 2034)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from mailframe.core.reply import Reply
from mailframe.core.status import Status

# RFC 5321 section 4.5.3.1.5: 512 octets with the CRLF; room for code, status and reference
_LONGEST_TEXT = 450
# RFC 5321 section 4.2: textstring = 1*(%d09 / %d32-126)
_CONTROL = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160)), "?")


def render(reply: Reply, *, reference: str = "", utf8: bool = False) -> bytes:
    """The whole reply in wire format; every line carries code and enhanced status.

    A negative reply ends with ``(ref REFERENCE)``, which the journal knows. Control characters
    become question marks, and without ``utf8`` all that is not ASCII (RFC 6531 section 3.7.4).
    """
    code, text = reply.code, reply.text
    if code < 400:
        return _written(code, reply.status, text, utf8)
    if reference:
        text = f"{text} (ref {reference})" if text else f"(ref {reference})"
    return _lines_of(code, reply.status, text, utf8)


def _lines_of(code: int, status: Status | None, text: str, utf8: bool) -> bytes:
    prefix = f"{code // 100}.{status[0]}.{status[1]} " if status is not None else ""
    if text and len(text) <= _LONGEST_TEXT and text.isascii() and text.isprintable():
        return f"{code} {prefix}{text.rstrip()}\r\n".encode("ascii")
    lines = [
        prefix + piece.translate(_CONTROL) for line in text.split("\n") for piece in _pieces(line)
    ]
    return _joined(code, lines, utf8)


_written = functools.lru_cache(maxsize=256)(_lines_of)
"""Nearly all of what is said to a client is one of a few lines."""


def render_lines(code: int, lines: Sequence[str]) -> bytes:
    """A reply of ready lines without enhanced status: the answer to EHLO."""
    return _joined(code, lines, utf8=False)


def _joined(code: int, lines: Sequence[str], utf8: bool) -> bytes:
    last = len(lines) - 1
    text = "".join(
        f"{code}{' ' if number == last else '-'}{line}".rstrip() + "\r\n"
        if line
        else f"{code}{' ' if number == last else '-'}\r\n"
        for number, line in enumerate(lines)
    )
    return text.encode("utf-8" if utf8 else "ascii", "replace")


def _pieces(line: str) -> list[str]:
    if len(line) <= _LONGEST_TEXT and line.isascii():
        return [line]
    # By characters, of which each may take four octets in UTF-8.
    width = _LONGEST_TEXT if line.isascii() else _LONGEST_TEXT // 4
    return [line[start : start + width] for start in range(0, len(line), width)]
