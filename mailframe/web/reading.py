"""One message taken apart for display. Blocks: large ones belong on a worker."""

from __future__ import annotations

import quopri
from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.message.content_type import ContentType, parse_content_type
from mailframe.message.headers import fields, first, split_message
from mailframe.message.structure import Entity, Event, Kind, Region, RegionStart, Walker
from mailframe.web.words import header_text, to_text, unbase64

SHOWN_FIRST = ("From", "To", "Cc", "Subject", "Date")
MAX_PARTS = 500
_PIECE = 16 << 10
MAX_TEXT = 1 << 20  # characters of text on a page; the rest is in the source


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME structure."""

    number: int
    """Counted from 0 in the order of the message; names it in URLs."""
    media_type: str
    charset: str
    name: str
    """The file name it came with; empty for none."""
    content: bytes
    """Decoded from base64 or quoted-printable."""

    @property
    def text(self) -> str:
        return to_text(self.content, self.charset)


@dataclass(frozen=True, slots=True)
class Reading:
    headers: tuple[tuple[str, str], ...]
    """Every field, decoded, in order."""
    parts: tuple[Part, ...]
    is_cut: bool
    """Whether parts or text were left out because there are too many."""

    def header(self, name: str) -> str:
        """The topmost field of that name; empty for none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def text(self) -> Part | None:
        return self._first("text/plain")

    @property
    def html(self) -> Part | None:
        return self._first("text/html")

    @property
    def attachments(self) -> tuple[Part, ...]:
        """What is not shown in the page."""
        shown = [part for part in (self.text, self.html) if part is not None]
        return tuple(part for part in self.parts if part not in shown)

    def _first(self, media_type: str) -> Part | None:
        found = (part for part in self.parts if part.media_type == media_type and not part.name)
        return next(found, None)


def read_message(data: bytes, is_whole: bool = True) -> Reading:
    """``data`` in wire format; ``is_whole`` False when it is only the beginning."""
    header, _ = split_message(data)
    headers = tuple((field.name, header_text(field.value)) for field in fields(header))
    parts, too_many = _parts(data)
    return Reading(headers, parts, too_many or not is_whole)


def summary_of(header: bytes) -> dict[str, str]:
    """What a list shows of a message."""
    found = {name: first(header, name) for name in SHOWN_FIRST}
    return {
        name.lower(): header_text(field.value)[:500] if field else ""
        for name, field in found.items()
    }


def _parts(data: bytes) -> tuple[tuple[Part, ...], bool]:
    walker = Walker()
    open_parts: dict[int, tuple[Entity, list[bytes]]] = {}
    too_many = False
    for event in _events(walker, data):
        if isinstance(event, RegionStart) and event.kind in (Kind.LEAF, Kind.OPAQUE):
            if len(open_parts) >= MAX_PARTS:
                too_many = True
                break
            open_parts[event.number] = (event.entity, [])
        elif isinstance(event, Region) and event.number in open_parts:
            open_parts[event.number][1].append(event.data)
    parts = tuple(
        _part(number, entity, b"".join(chunks))
        for number, (entity, chunks) in enumerate(open_parts.values())
    )
    return parts, too_many


def _events(walker: Walker, data: bytes) -> Iterator[Event]:
    # Piece by piece: the walker cuts its buffer at each event, which must not be all there is.
    for at in range(0, len(data), _PIECE):
        yield from walker.feed(data[at : at + _PIECE])
    yield from walker.finish()


def _part(number: int, entity: Entity, raw: bytes) -> Part:
    kind = entity.content_type
    return Part(
        number=number,
        media_type=str(kind),
        charset=kind.parameters.get("charset", ""),
        name=_file_name(entity.header, kind),
        content=_decoded(raw, entity.encoding),
    )


def _file_name(header: bytes, kind: ContentType) -> str:
    field = first(header, "Content-Disposition")
    name = ""
    if field is not None:
        # The same parameters as Content-Type's (RFC 2183 section 2), so the same parser.
        words = b"x/" + field.value.lstrip()
        name = parse_content_type(words).parameters.get("filename", "")
        if not name and field.value.strip().lower().startswith(b"attachment"):
            name = "attachment"
    name = name or kind.parameters.get("name", "")
    return header_text(name.encode("latin-1", "replace"))[:200]


def _decoded(raw: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return unbase64(raw)
    return quopri.decodestring(raw) if encoding == "quoted-printable" else raw
