"""Replies as octets (RFC 5321 section 4.2.1, RFC 2034)."""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.reply import Reply

# RFC 5321 section 4.5.3.1.5: 512 octets with the CRLF; room for code, status and reference
_LONGEST_TEXT = 450


def render(reply: Reply, *, reference: str = "", utf8: bool = False) -> bytes:
    """The whole reply in wire format; every line carries code and enhanced status.

    A negative reply ends with ``(ref REFERENCE)``, which the journal knows. Without ``utf8``
    other characters than ASCII become question marks (RFC 6531 section 3.7.4).
    """
    text = reply.text
    # Most are one short line.
    if reply.code < 400 and 0 < len(text) <= _LONGEST_TEXT and text.isascii() and "\n" not in text:
        return f"{reply}\r\n".encode("ascii")
    if reference and reply.code >= 400:
        text = f"{text} (ref {reference})" if text else f"(ref {reference})"
    status = f"{reply.enhanced} " if reply.status is not None else ""
    lines = [piece for line in text.split("\n") for piece in _pieces(line)]
    return _joined(reply.code, [status + line for line in lines], utf8)


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
