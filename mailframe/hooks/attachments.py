"""A part of a message as hooks read it."""

from __future__ import annotations

from mailframe.core.facts import Part
from mailframe.hooks.clean_text import clean_text, on_one_line
from mailframe.hooks.once import Once
from mailframe.message import body_parts

MAX_TEXT = 8 << 20
"""Octets of text, as transferred, of all parts together."""

_TEXTS = frozenset({"text/plain", "text/html"})


class Attachment:
    """A part of a message: a file that came with it, an image in its text, an attached message.
    Also what ``msg.parts`` consists of."""

    def __init__(self, data: bytes, part: Part) -> None:
        self._data = data
        self._part = part
        header = body_parts.part_header(data, part)
        self.name: str = on_one_line(header.name)
        """As its sender wants it called. Not safe as a path: ``/`` and ``..`` may be in it."""
        self.type: str = part.media
        """``image/png``, in lower case."""
        self.charset: str = part.charset
        """As written; empty where nothing is said."""
        self.disposition: str = header.disposition
        """``attachment``, ``inline``, or whatever its sender made up, in lower case; empty where
        nothing is said."""
        self.content_id: str = header.content_id
        """What ``cid:`` in HTML refers to; empty for none."""
        self.size: int = part.end - part.body
        """Octets as transferred: of base64 a third more than ``content`` has."""

    @property
    def is_text_of_message(self) -> bool:
        """Shown as the message's own words: no file."""
        return self.type in _TEXTS and self.disposition != "attachment" and not self.name

    @Once
    def content(self) -> bytes:
        """Decoded."""
        return body_parts.content(self._data, self._part)

    @Once
    def text(self) -> str:
        """``content`` in its charset, however little sense that makes; lines end with LF."""
        return clean_text(body_parts.text(self._data, self._part, MAX_TEXT))

    def __repr__(self) -> str:
        return f"<{self.type} {self.name!r} {self.size}>"
