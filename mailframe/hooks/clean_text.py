"""Texts of messages without what does harm where they are written next: in a field, a log, a page.

What a codec yields may be no text at all (halves of characters), and what one message says may be
meant to become a field of another.
"""

from __future__ import annotations

import re

from mailframe.message.html_text import html_text

# Line ends within a value are made by encoded words only; they are how fields are forged.
_CONTROL_IN_FIELD = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?")
_EMPTY_LINES = re.compile(r"\n{3,}")


def html_as_text(markup: str) -> str:
    """With LF between blocks, without more than one empty line between them."""
    lines = (line.strip(" \t\xa0") for line in html_text(markup).replace("\r", "\n").split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def on_one_line(text: str) -> str:
    return _CONTROL_IN_FIELD.sub(" ", _SURROGATE.sub("\ufffd", text))


def clean_text(text: str) -> str:
    """Some codecs yield halves of characters, which cannot be written anywhere."""
    return _CONTROL_IN_TEXT.sub("\ufffd", _SURROGATE.sub("\ufffd", _LINE_END.sub("\n", text)))
