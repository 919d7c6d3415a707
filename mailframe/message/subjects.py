"""The base subject: what stays of a Subject without ``Re:``, ``Fwd:`` and list tags.

RFC 5256 section 2.1, on a text whose encoded words are decoded. Time is linear in the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BLANKS = re.compile(r"[ \t\r\n]+")
_BLOB = re.compile(r"\[[^\[\]]*\] *")
# subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
_REFWD = re.compile(r"(?:re|fwd?) *(?:\[[^\[\]]*\] *)?:", re.IGNORECASE)
_FWD_TRAILER = "(fwd)"
_FWD_HEADER = "[fwd:"


class BaseSubject(NamedTuple):
    text: str
    """As written: whoever compares brings it to one case."""
    is_reply: bool
    """A reply or a forwarding: something that says so was removed."""


def base_subject(subject: str) -> BaseSubject:
    """``subject`` is a field's value, decoded."""
    # Step 1: one blank for tabs, line ends and runs of blanks
    text = _BLANKS.sub(" ", subject)
    lower = text.lower() if text.isascii() else _lowered(text)
    start, end, is_reply = 0, len(text), False
    while True:
        end, trailed = _without_trailers(lower, start, end)
        start, led = _without_leaders(text, start, end)
        is_reply = is_reply or trailed or led
        # Step 6: [fwd: ... ] around all of it, and everything again
        if not (lower.startswith(_FWD_HEADER, start, end) and text[end - 1] == "]"):
            return BaseSubject(text[start:end], is_reply)
        start, end, is_reply = start + len(_FWD_HEADER), end - 1, True


def _lowered(text: str) -> str:
    """ASCII in lower case; character by character the same length."""
    return "".join(character.lower() if character < "\x80" else character for character in text)


def _without_trailers(lower: str, start: int, end: int) -> tuple[int, bool]:
    """Step 2: blanks and ``(fwd)`` at the end. Returns the new end, whether one was there."""
    found = False
    while end > start:
        if lower[end - 1] == " ":
            end -= 1
        elif lower.endswith(_FWD_TRAILER, start, end):
            end -= len(_FWD_TRAILER)
            found = True
        else:
            break
    return end, found


def _without_leaders(text: str, start: int, end: int) -> tuple[int, bool]:
    """Steps 3 to 5: ``Re:`` and its like with the tags before it, then tags.

    Returns the new start, whether a ``Re:`` was there."""
    found = False
    while True:
        while start < end and text[start] == " ":
            start += 1
        tags = [start]
        while blob := _BLOB.match(text, tags[-1], end):
            tags.append(blob.end())
        refwd = _REFWD.match(text, tags[-1], end)
        if refwd is None:
            # Step 4: a tag goes only where something stays
            return (tags[-1] if tags[-1] < end or len(tags) == 1 else tags[-2]), found
        start, found = refwd.end(), True
