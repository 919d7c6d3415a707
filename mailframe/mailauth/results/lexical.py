"""Comments, quoted strings and names, as Authentication-Results has them (RFC 8601 section 2.2)."""

from __future__ import annotations

import re

import idna

_MAX_COMMENT_DEPTH = 20
_MAX_NAME = 255
# what is text up to the next comment or quoted string
_PLAIN = re.compile(r'[^"(]+')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# To look for the end of one that has none from each of its escaped quotes would take time by the
# square of its length.
_MAYBE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)("?)', re.DOTALL)
_COMMENT_MARK = re.compile(r"\\.?|[()]", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def without_comments(text: str) -> str:
    """The text with a blank for every comment. ValueError where a comment or a quoted string is
    not closed, and for comments nested too deeply."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "(":
            at = _comment_end(text, at)
            pieces.append(" ")
            continue
        match = _PLAIN.match(text, at) or _QUOTED.match(text, at)
        if match is None:
            raise ValueError("a quoted string is not closed")
        pieces.append(match[0])
        at = match.end()
    return "".join(pieces)


def _comment_end(text: str, at: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
        if depth > _MAX_COMMENT_DEPTH:
            raise ValueError("comments are nested too deeply")
    raise ValueError("a comment is not closed")


def unquoted(value: str) -> str:
    """``value`` without the quotes of quoted strings in it, and what they escape."""
    if '"' not in value:
        return value
    return _MAYBE_QUOTED.sub(_plain, value)


def _plain(quoted: re.Match[str]) -> str:
    return _ESCAPED.sub(r"\1", quoted[1]) if quoted[2] else quoted[0]


def as_host(name: str) -> str:
    """The one form of a host name, however it is written: A-labels, lower case, no final dot.

    What is no host name stays as it is, in lower case."""
    plain = name.strip().rstrip(".").lower()
    if len(plain) > _MAX_NAME or plain.isascii():
        return plain
    try:
        # also full-width letters and dots, which a reader takes for ours
        return idna.encode(plain, uts46=True).decode("ascii").rstrip(".").lower()
    except (idna.IDNAError, ValueError):
        return plain
