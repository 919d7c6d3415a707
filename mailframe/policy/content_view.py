"""A message as the rules of ``content`` see it: read once, bounded, and not to be changed.

``read_view`` takes linear time, never raises, whatever the message, and belongs on a worker.
It looks at the beginning of long texts and at a bounded number of parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailframe.core.envelope import Envelope
from mailframe.core.facts import Fact, Part
from mailframe.core.session import Session
from mailframe.core.verdict import NOTHING_FOUND, Findings
from mailframe.message import headers
from mailframe.message.address_texts import AddressText, address_texts
from mailframe.message.charsets import decode_text
from mailframe.message.content_type import parse_content_type
from mailframe.message.encoded_words import decode_header
from mailframe.message.facts import read_facts
from mailframe.message.html_text import html_text
from mailframe.message.sections import UnknownEncoding, undo

MAX_HEADER = 64 * 1024
MAX_TEXT = 32 * 1024
"""Octets of one text part that are decoded."""
_MAX_PARTS = 200
_MAX_TEXTS = 4
_MAX_VALUE = 4096
"""Octets of a header field that are decoded."""
_MAX_ADDRESSES = 20

_DISPOSITION = re.compile(rb"[^;]*")


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One leaf of the MIME tree."""

    media: str
    """``text/plain``, in lower case."""
    name: str
    """The file name it would be saved under, decoded; empty for none."""
    size: int
    """Octets, as transferred."""
    is_attachment: bool


@dataclass(frozen=True, slots=True)
class MessageView:
    header: bytes
    """As it came, in wire format, cut off after 64 KB."""
    added: bytes = b""
    """What earlier policies put on top: Authentication-Results, for one."""
    size: int = 0
    """Octets of the whole message."""
    text: str = ""
    """The beginning of the plain text."""
    html: str = ""
    """The beginning of the HTML, as markup."""
    parts: tuple[BodyPart, ...] = ()
    is_broken: bool = False
    """It says it is a multipart and has no parts."""
    now: float | None = None
    """Seconds since the epoch; None where it is not known when the message came in."""
    session: Session | None = None
    """None for a message from a file; so is the envelope."""
    envelope: Envelope | None = None
    found: Findings = NOTHING_FOUND
    _cache: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    def fields(self, name: str) -> tuple[str, ...]:
        """The values of all fields of that name, decoded, from the top."""
        key = name.lower()
        if key not in self._cache:
            found = headers.named(self.header, name)
            self._cache[key] = tuple(decode_header(each.value[:_MAX_VALUE]) for each in found)
        return self._cache[key]

    def first(self, name: str) -> str:
        """The topmost field of that name, decoded; empty where there is none."""
        return next(iter(self.fields(name)), "")

    @property
    def subject(self) -> str:
        return self.first("Subject")

    def addresses(self, name: str) -> tuple[AddressText, ...]:
        """The mailboxes of an address field; what cannot be read is left out."""
        raw = headers.first(self.header, name)
        if raw is None:
            return ()
        found = (each for each in address_texts(raw.value[:_MAX_VALUE]) if each.domain)
        return tuple(each for each, _ in zip(found, range(_MAX_ADDRESSES), strict=False))

    @property
    def visible_text(self) -> str:
        """What a reader sees: the plain text, else the text of the HTML."""
        return self.text or html_text(self.html)


def read_view(
    data: bytes,
    *,
    added: bytes = b"",
    size: int | None = None,
    now: float | None = None,
    session: Session | None = None,
    envelope: Envelope | None = None,
    found: Findings = NOTHING_FOUND,
) -> MessageView:
    """``data``: the message in wire format, or its beginning; ``size``: of all of it."""
    root = read_facts(data, Fact.PARTS).parts
    leaves = [leaf for leaf, _ in zip(_leaves(root), range(_MAX_PARTS), strict=False)]
    parts = tuple(_body_part(data, leaf) for leaf in leaves)
    shown = [leaf for leaf, part in zip(leaves, parts, strict=True) if not part.is_attachment]
    end = min(root.body if root is not None else len(data), MAX_HEADER)
    header = data[:end]
    return MessageView(
        header=header,
        added=added,
        size=len(data) if size is None else size,
        text=_texts(data, shown, "text/plain"),
        html=_texts(data, shown, "text/html"),
        parts=parts,
        is_broken=_is_broken(header, data),
        now=now,
        session=session,
        envelope=envelope,
        found=found,
    )


def _leaves(part: Part | None) -> Iterator[Part]:
    waiting = [part] if part is not None else []
    while waiting:
        each = waiting.pop()
        if each.parts:
            waiting += reversed(each.parts)
        else:
            yield each
            if each.message is not None:
                waiting.append(each.message)


def _body_part(data: bytes, part: Part) -> BodyPart:
    header = data[part.header : min(part.body, part.header + MAX_HEADER)]
    disposition = headers.first(header, "Content-Disposition")
    value = disposition.value[:_MAX_VALUE] if disposition else b""
    kind = _DISPOSITION.match(headers.unfolded(value))
    is_attachment = kind is not None and kind[0].strip().lower() == b"attachment"
    return BodyPart(part.media, _name(header, value), part.end - part.body, is_attachment)


def _name(header: bytes, disposition: bytes) -> str:
    """Of Content-Disposition, else of Content-Type (RFC 2183 section 2.3)."""
    typed = headers.first(header, "Content-Type")
    # the parser wants a type before the parameters
    values = (b"x/" + disposition.lstrip(), typed.value[:_MAX_VALUE] if typed else b"")
    for value, parameter in zip(values, ("filename", "name"), strict=True):
        name = parse_content_type(value).parameters.get(parameter, "")
        if name:
            return decode_header(name.encode("latin-1", "replace"))[:255]
    return ""


def _texts(data: bytes, leaves: list[Part], media: str) -> str:
    found = [leaf for leaf in leaves if leaf.media == media][:_MAX_TEXTS]
    return "\n".join(_text(data, leaf) for leaf in found)


def _text(data: bytes, part: Part) -> str:
    try:
        octets = undo(data[part.body : min(part.end, part.body + MAX_TEXT)], part.encoding)
    except UnknownEncoding:
        octets = data[part.body : min(part.end, part.body + MAX_TEXT)]
    return decode_text(octets, part.charset)


def _is_broken(header: bytes, data: bytes) -> bool:
    typed = headers.first(header, "Content-Type")
    kind = parse_content_type(typed.value) if typed else None
    if kind is None or kind.type != "multipart":
        return False
    return kind.boundary is None or b"--" + kind.boundary not in data
