"""BODY[...], BINARY[...] and RFC822... of a message: what is asked, and how it is answered.

``answer`` is for messages that are in memory; ``reach`` tells where in a larger one the octets
are, so that they can be read from its file as they go out. What is not there is NIL
(RFC 9051 section 6.4.5.1 leaves that to the server; Dovecot does the same).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.core.facts import Part
from mailframe.message import sections
from mailframe.protocols.imap.commands import Section, SectionKind, SectionText
from mailframe.protocols.imap.responses import (
    binary_size_item,
    literal,
    section_item,
    section_name,
)

_BINARY = (SectionKind.BINARY, SectionKind.BINARY_SIZE)
_HEADERS = (SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
_FILTERED = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


def needs_parts(section: Section) -> bool:
    """Whether the structure of the message has to be known."""
    return bool(section.part)


def is_of_header(section: Section) -> bool:
    """Whether the header section of the message itself is all that is needed of it."""
    of_header = section.text in _HEADERS and not section.part
    return of_header and section.kind not in _BINARY


def answer(section: Section, data: bytes, parts: Part | None) -> bytes:
    """Name and value. ``parts`` None: only where ``needs_parts`` said no. Raises
    UnknownEncoding."""
    if parts is None:
        parts = outermost(data)
    if section.kind in _BINARY and section.part:
        part = sections.find(parts, section.part)
        value = None if part is None else sections.decoded(data, part)
    else:
        value = sections.section(data, parts, section.part, section.text.value, section.fields)
    return with_value(section, value)


def with_value(section: Section, value: bytes | None) -> bytes:
    """Name and value, once that was found."""
    if section.kind is SectionKind.BINARY_SIZE:
        return binary_size_item(section, len(value or b""))
    if value is not None and section.partial is not None:
        first, count = section.partial
        value = value[first : first + count]
    if value is not None:
        value = sayable(section, value)
    return section_item(section, value)


def sayable(section: Section, octets: bytes) -> bytes:
    """Only BINARY can say NUL; elsewhere something of the same length stands for it."""
    if section.kind is SectionKind.BINARY or b"\0" not in octets:
        return octets
    # RFC 9051 section 4.3; Dovecot and Courier put the same octet there.
    return octets.replace(b"\0", b"\x80")


def answerer(section: Section) -> Callable[[bytes, Part | None], bytes]:
    """``answer`` of many messages: what can be known before is found out once."""
    is_special = section.part or section.partial or section.kind in _BINARY
    if is_special or section.text is SectionText.HEADER_FIELDS_NOT:
        return lambda data, parts: answer(section, data, parts)
    head = section_name(section) + b" "
    if section.text is SectionText.HEADER_FIELDS:
        return _fields_answerer(section, head)
    if section.text is SectionText.ALL:
        return lambda data, parts: head + literal(sayable(section, data))
    if section.text is SectionText.TEXT:
        return lambda data, parts: head + literal(sayable(section, data[_body_of(data) :]))
    return lambda data, parts: head + literal(sayable(section, data[: _body_of(data)]))


def bulk(section: Section) -> Callable[[bytes], bytes] | None:
    """What makes the octets that are told of a message's; None where they are few mostly, or
    not simply there. What stands before them is ``section_name``."""
    if section.part or section.partial or section.kind in _BINARY:
        return None
    if section.text is SectionText.ALL:
        return lambda data: sayable(section, data)
    if section.text is SectionText.TEXT:
        return lambda data: sayable(section, data[_body_of(data) :])
    return None


def _fields_answerer(section: Section, head: bytes) -> Callable[[bytes, Part | None], bytes]:
    """What ``sections.pick`` does, which looks at every field, in one search: nothing else is
    asked of so many messages at once."""
    names = b"|".join([re.escape(name.strip().lower().encode()) for name in section.fields])
    # Without ^, and without the line's own end: line ends are found much faster.
    pattern = re.compile(rb"\n(?:" + names + rb")[ \t]*:.*(?:\n[ \t].*)*", re.I)

    def answered(data: bytes, parts: Part | None) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0 or data.startswith(b"\r\n"):
            return answer(section, data, parts)
        fields = b"".join(pattern.findall(b"\n" + data[: end + 2]))
        if fields:
            fields = fields[1:] + b"\n"
        return head + literal(sayable(section, fields + b"\r\n"))

    return answered


def outermost(data: bytes) -> Part:
    """The message without regard to what is in it: enough for sections without a number."""
    return Part(0, _body_of(data), len(data), "text/plain", "7bit", "")


def _body_of(data: bytes) -> int:
    """Where the body begins, as ``message.facts`` has it."""
    if data.startswith(b"\r\n"):
        return 2
    end = data.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else len(data)


@dataclass(frozen=True, slots=True)
class Reach:
    """Octets of a message that are to be sent, or to be worked on first."""

    start: int
    end: int
    part: Part | None = None
    """They are the body of this part, encoded."""
    is_header: bool = False
    """They are a header section of which some fields are asked for."""


def reach(section: Section, size: int, parts: Part) -> Reach | None:
    """Where the octets of a section are in a message of ``size`` octets; None: nowhere."""
    if section.kind in _BINARY and section.part:
        part = sections.find(parts, section.part)
        return None if part is None else Reach(part.body, part.end, part=part)
    if not section.part and section.text is SectionText.ALL:
        return Reach(0, size)
    found = sections.slice_of(parts, section.part, section.text.value)
    if found is None:
        return None
    return Reach(found[0], found[1], is_header=section.text in _FILTERED)


def worked_on(section: Section, place: Reach, data: bytes) -> bytes:
    """What becomes of the octets at ``place`` where that is not they themselves. Raises
    UnknownEncoding."""
    part = place.part
    if part is not None:
        return sections.undo(data, "" if part.parts or part.message else part.encoding)
    is_not = section.text is SectionText.HEADER_FIELDS_NOT
    return sections.pick(data, section.fields, excluded=is_not)
