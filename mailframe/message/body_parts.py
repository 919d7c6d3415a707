"""The leaves of a message's MIME tree: what they are called, and what stands in them.

Takes what ``facts`` found. Never raises, whatever the message, in time linear in what is looked
at; how much that is, is for the caller to limit. What cannot be decoded is shown as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.core.facts import Part
from mailframe.message import headers
from mailframe.message.charsets import decode_text
from mailframe.message.content_type import parse_content_type
from mailframe.message.encoded_words import decode_header
from mailframe.message.sections import UnknownEncoding, undo

MAX_HEADER = 64 * 1024
"""Octets of a part's header that are looked at."""
MAX_VALUE = 4096
"""Octets of a header field that are decoded."""
_LONGEST_NAME = 255

_DISPOSITION = re.compile(rb"[^;]*")
_CONTENT_ID = re.compile(rb"<([!-;=?-~]{1,250})>")


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What a part says of itself."""

    disposition: str
    """``inline``, ``attachment``, in lower case; empty where nothing is said."""
    name: str
    """The file name it would be saved under, decoded; empty for none."""
    content_id: str
    """Without angle brackets; empty for none."""

    @property
    def is_attachment(self) -> bool:
        return self.disposition == "attachment"


def leaves(part: Part | None, *, attached: bool = True) -> Iterator[Part]:
    """In the order of the message; nothing recurses. ``attached``: those of messages within,
    too, behind the part that holds the message."""
    waiting = [part] if part is not None else []
    while waiting:
        each = waiting.pop()
        if each.parts:
            waiting += reversed(each.parts)
        else:
            yield each
            if each.message is not None and attached:
                waiting.append(each.message)


def part_header(data: bytes, part: Part) -> PartHeader:
    header = data[part.header : min(part.body, part.header + MAX_HEADER)]
    disposition = headers.first(header, "Content-Disposition")
    value = disposition.value[:MAX_VALUE] if disposition else b""
    kind = _DISPOSITION.match(headers.unfolded(value))
    identity = headers.first(header, "Content-ID")
    bracketed = _CONTENT_ID.search(identity.value[:MAX_VALUE]) if identity else None
    return PartHeader(
        disposition=kind[0].strip().lower().decode("latin-1") if kind is not None else "",
        name=_name(header, value),
        content_id=bracketed[1].decode("ascii") if bracketed else "",
    )


def content(data: bytes, part: Part, most: int | None = None) -> bytes:
    """The part's body with its transfer encoding undone; ``most``: of only so many octets of it.
    One in an encoding that nobody knows is left as it is."""
    end = part.end if most is None else min(part.end, part.body + most)
    try:
        return undo(data[part.body : end], part.encoding)
    except UnknownEncoding:
        return data[part.body : end]


def text(data: bytes, part: Part, most: int | None = None) -> str:
    """The same as text, in the charset that the part names; lines end as they came."""
    return decode_text(content(data, part, most), part.charset)


def _name(header: bytes, disposition: bytes) -> str:
    """Of Content-Disposition, else of Content-Type (RFC 2183 section 2.3)."""
    typed = headers.first(header, "Content-Type")
    # the parser wants a type before the parameters
    values = (b"x/" + disposition.lstrip(), typed.value[:MAX_VALUE] if typed else b"")
    for value, parameter in zip(values, ("filename", "name"), strict=True):
        name = parse_content_type(value).parameters.get(parameter, "")
        if name:
            return decode_header(name.encode("latin-1", "replace"))[:_LONGEST_NAME]
    return ""
