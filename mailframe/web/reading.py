"""One message taken apart for display. Blocks: large ones belong on a worker."""

from __future__ import annotations

import quopri
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailframe.message.content_type import ContentType, parse_content_type
from mailframe.message.headers import fields, first, split_message
from mailframe.message.html_text import html_text
from mailframe.message.structure import Delimiter, Entity, Event, Kind, Region, RegionStart, Walker
from mailframe.web.words import header_text, to_text, unbase64

MAX_PARTS = 500
_PIECE = 16 << 10
MAX_TEXT = 1 << 20  # characters of text on a page; the rest is in the source
_BETWEEN_TEXTS = "\n--\n"


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME structure; an attached message is one, whatever it consists of."""

    number: int
    """Counted from 0 in the order of the message; names it in URLs."""
    id: str
    """Its place: ``2`` is the second part, ``2.1`` the first within that; ``0`` the whole."""
    media_type: str
    charset: str
    name: str
    """The file name it came with; empty for none."""
    content_id: str
    """Without angle brackets; empty for none."""
    disposition: str
    """``attachment``, ``inline`` or empty."""
    content: bytes
    """Decoded from base64 or quoted-printable."""

    @property
    def text(self) -> str:
        return to_text(self.content, self.charset)

    @property
    def is_shown(self) -> bool:
        """Whether it is text of the message itself, not something that came with it."""
        return (
            self.media_type in ("text/plain", "text/html")
            and self.disposition != "attachment"
            and not self.name
        )

    @property
    def is_inline(self) -> bool:
        """Something that the text shows, or would: an image of its HTML."""
        if self.disposition:
            return self.disposition == "inline"
        return bool(self.content_id)


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
        return next(iter(self._shown("text/plain")), None)

    @property
    def html(self) -> Part | None:
        return next(iter(self._shown("text/html")), None)

    @property
    def all_text(self) -> str:
        """Of every plain part; where there is none, what a reader sees of the HTML."""
        texts = [part.text for part in self._shown("text/plain")]
        if texts or self.html is None:
            return _BETWEEN_TEXTS.join(texts)
        return html_text(self.html.text).strip()

    @property
    def all_html(self) -> str:
        return "".join(part.text for part in self._shown("text/html"))

    @property
    def attachments(self) -> tuple[Part, ...]:
        """What is not shown in the page, images of the HTML included."""
        return tuple(part for part in self.parts if not part.is_shown)

    def part(self, id: str) -> Part | None:
        return next((part for part in self.parts if part.id == id), None)

    def _shown(self, media_type: str) -> list[Part]:
        return [part for part in self.parts if part.is_shown and part.media_type == media_type]


def read_message(data: bytes, is_whole: bool = True) -> Reading:
    """``data`` in wire format; ``is_whole`` False when it is only the beginning."""
    header, _ = split_message(data)
    headers = tuple((field.name, header_text(field.value)) for field in fields(header))
    parts, too_many = _parts(data)
    return Reading(headers, parts, too_many or not is_whole)


@dataclass(slots=True)
class _Leaf:
    id: str
    entity: Entity
    is_message: bool
    """An attached message: as it is, nothing is decoded."""
    chunks: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Multipart:
    line: bytes
    """Its delimiter."""
    prefix: str
    count: int = 0


class _Collector:
    """Follows the walker and keeps the leaves with their places."""

    def __init__(self) -> None:
        self.leaves: list[_Leaf] = []
        self.too_many = False
        self._open: list[_Multipart] = []
        self._regions: dict[int, _Leaf] = {}
        self._message: _Leaf | None = None
        self._is_first = True

    def take(self, event: Event) -> None:
        if isinstance(event, Delimiter):
            self._delimiter(event.data)
        elif self._message is not None:
            self._message.chunks.append(event.data)
        elif isinstance(event, Entity):
            self._entity(event)
        elif isinstance(event, RegionStart):
            if event.kind in (Kind.LEAF, Kind.OPAQUE):
                self._regions[event.number] = self._leaf(event.entity)
        elif isinstance(event, Region) and (leaf := self._regions.get(event.number)):
            leaf.chunks.append(event.data)

    def _delimiter(self, data: bytes) -> None:
        line = data.strip(b"\r\n \t")
        for depth in range(len(self._open) - 1, -1, -1):
            ours = self._open[depth].line
            if line in (ours, ours + b"--"):
                del self._open[depth + 1 :]
                self._message = None
                return
        if self._message is not None:  # one of the attached message's own
            self._message.chunks.append(data)

    def _entity(self, entity: Entity) -> None:
        if self._open:
            self._open[-1].count += 1
        boundary = entity.content_type.boundary
        if entity.is_container and entity.content_type.type == "multipart" and boundary:
            prefix = f"{self._place()}." if self._open else ""
            self._open.append(_Multipart(b"--" + boundary, prefix))
        elif entity.is_container:
            self._message = self._leaf(entity, is_message=not self._is_first)
        self._is_first = False

    def _place(self) -> str:
        """Of the entity that was seen last."""
        return f"{self._open[-1].prefix}{self._open[-1].count}" if self._open else "0"

    def _leaf(self, entity: Entity, is_message: bool = False) -> _Leaf:
        leaf = _Leaf(self._place(), entity, is_message)
        if len(self.leaves) < MAX_PARTS:
            self.leaves.append(leaf)
        else:
            self.too_many = True
        return leaf


def _parts(data: bytes) -> tuple[tuple[Part, ...], bool]:
    collector = _Collector()
    for event in _events(Walker(), data):
        collector.take(event)
        if collector.too_many:
            break
    parts = tuple(_part(number, leaf) for number, leaf in enumerate(collector.leaves))
    return parts, collector.too_many


def _events(walker: Walker, data: bytes) -> Iterator[Event]:
    # Piece by piece: the walker cuts its buffer at each event, which must not be all there is.
    for at in range(0, len(data), _PIECE):
        yield from walker.feed(data[at : at + _PIECE])
    yield from walker.finish()


def _part(number: int, leaf: _Leaf) -> Part:
    header, kind = leaf.entity.header, leaf.entity.content_type
    raw = b"".join(leaf.chunks)
    disposition = _disposition(header)
    content_id = first(header, "Content-ID")
    return Part(
        number=number,
        id=leaf.id,
        media_type=str(kind),
        charset=kind.parameters.get("charset", ""),
        name=_file_name(disposition, kind, leaf.is_message),
        content_id=header_text(content_id.value).strip("<> ")[:200] if content_id else "",
        disposition=disposition.type if disposition.type in ("attachment", "inline") else "",
        content=raw if leaf.is_message else _decoded(raw, leaf.entity.encoding),
    )


def _disposition(header: bytes) -> ContentType:
    """Disposition as ``type``, and its parameters: the same as Content-Type's (RFC 2183 section
    2), so the same parser."""
    value = first(header, "Content-Disposition")
    if value is None:
        return ContentType(type="")
    kind, semicolon, rest = value.value.partition(b";")
    return parse_content_type(kind.strip() + b"/x" + semicolon + rest)


def _file_name(disposition: ContentType, kind: ContentType, is_message: bool) -> str:
    name = disposition.parameters.get("filename", "") or kind.parameters.get("name", "")
    if not name and disposition.type == "attachment":
        name = "attachment"
    if not name and is_message:
        name = "message.eml"
    return header_text(name.encode("latin-1", "replace"))[:200]


def _decoded(raw: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return unbase64(raw)
    return quopri.decodestring(raw) if encoding == "quoted-printable" else raw
