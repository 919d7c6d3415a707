"""The MIME structure of a message as a stream: feed octets, get events, in bounded memory.

The events' octets, joined, are the message (``Event.data``), whatever its faults and however
it was split. Between entity headers and delimiter lines lie *regions*, numbered from 0 in
order of appearance: bodies of leaf parts, preambles and epilogues. The same message always
gets the same numbers, so that what one pass learns of a region a second pass can use.

Only CRLF ends a line (wire format), and a delimiter is exactly ``--boundary`` or
``--boundary--`` and blanks (RFC 2046 section 5.1.1), of any multipart that is still open: an
outer one closes those within. Line by line work is done in headers only.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.message.content_type import ContentType, parse_content_type
from mailframe.message.headers import first

# A part's header section beyond this is no header: the rest of it is read as body.
MAX_HEADER = 1 << 20
MAX_DEPTH = 100
# Real messages have a few dozen parts. Each costs much more than its octets: this many take a
# second to look at, and a message that consists of nothing else has millions.
MAX_ENTITIES = 10_000
_MAX_DELIMITER = 998  # RFC 5322 section 2.1.1
_MULTIPART_ENCODINGS = ("", "7bit", "8bit", "binary")  # RFC 2045 section 6.4


class Kind(enum.Enum):
    """What a region is."""

    LEAF = "leaf"
    OPAQUE = "opaque"
    """A body that should have a structure and none can be made out: no boundary, an encoded
    multipart, nested too deeply, a header without end, more entities than MAX_ENTITIES. In the
    last case it reaches to the end of the message."""
    PREAMBLE = "preamble"
    EPILOGUE = "epilogue"


@dataclass(frozen=True, slots=True)
class Entity:
    """The header of a message or part. Its region, or the first one within, is ``region``."""

    data: bytes
    """Header section and the empty line after it, which may be missing at the end."""
    header: bytes
    content_type: ContentType
    encoding: str
    """Content-Transfer-Encoding in lower case; empty where there is none."""
    region: int
    is_message: bool
    """Whether it is a message (the outermost or a message/rfc822) and not a body part."""
    sealed: bool
    """Whether it lies within multipart/signed or multipart/encrypted: no octet may change."""
    is_container: bool
    """Whether its body is read as parts or as a message, not as a leaf."""
    oversized: bool
    """Whether the header section was cut off at MAX_HEADER; the rest of it is the body."""


@dataclass(frozen=True, slots=True)
class Region:
    """Some octets of a region; a region has any number of these, also none."""

    data: bytes
    number: int


@dataclass(frozen=True, slots=True)
class RegionStart:
    number: int
    kind: Kind
    sealed: bool
    entity: Entity
    """Whose body it is, or whose preamble or epilogue."""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class RegionEnd:
    number: int
    at_end: bool
    """Whether the message ends here: no delimiter follows that would bring a CRLF."""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A delimiter line, with the CRLF before it that belongs to it."""

    data: bytes


Event = Entity | RegionStart | Region | RegionEnd | Delimiter


@dataclass(frozen=True, slots=True)
class _Open:
    """A multipart whose end was not seen yet."""

    line: bytes
    entity: Entity
    sealed: bool
    """Whether its parts are."""
    digest: bool


class Walker:
    """``feed`` chunks, then ``finish``; both return the events that became certain."""

    def __init__(self) -> None:
        self._buffer = b""
        self._stack: list[_Open] = []
        self._lines: dict[bytes, tuple[int, bool]] = {}
        self._regions = 0
        self._entities = 0
        self._in_header = True
        self._header_at = 0  # how far the header in the buffer was looked through
        self._is_message = True
        self._line_start = True
        self._ended = False

    def feed(self, chunk: bytes) -> list[Event]:
        self._buffer += chunk
        return list(self._events())

    def finish(self) -> list[Event]:
        self._ended = True
        events = list(self._events())
        if not self._in_header:
            events.append(RegionEnd(self._regions - 1, at_end=True))
        return events

    def _events(self) -> Iterator[Event]:
        progress = True
        while progress:
            progress = False
            for event in self._header_events() if self._in_header else self._body_events():
                yield event
                # more may follow once the state has changed
                progress = progress or isinstance(event, Entity | Delimiter)

    # -- headers ----------------------------------------------------------------------

    def _header_events(self) -> Iterator[Event]:
        while True:
            end = self._buffer.find(b"\r\n", self._header_at)
            if end < 0 and not self._ended:
                if len(self._buffer) > MAX_HEADER:
                    yield from self._close_header(self._header_at, oversized=True)
                return
            next_line = end + 2 if end >= 0 else len(self._buffer)
            line = self._buffer[self._header_at : next_line]
            if not line or line == b"\r\n":
                yield from self._close_header(self._header_at, next_line - self._header_at)
                return
            if line.startswith(b"--") and self._delimiter(line) is not None:
                # a part without even an empty line
                yield from self._close_header(self._header_at)
                return
            if next_line > MAX_HEADER:
                yield from self._close_header(self._header_at, oversized=True)
                return
            self._header_at = next_line

    def _close_header(
        self, length: int, empty_line: int = 0, *, oversized: bool = False
    ) -> Iterator[Event]:
        """The header ends; what its body is decides how to go on."""
        header, data = self._buffer[:length], self._buffer[: length + empty_line]
        self._buffer = self._buffer[length + empty_line :]
        self._header_at = 0
        self._line_start = True
        self._entities += 1
        entity = self._make_entity(header, data, oversized)
        yield entity
        if entity.is_container and entity.content_type.type == "message":
            self._is_message = True
            return
        self._in_header = False
        if self._entities >= MAX_ENTITIES:
            yield self._start_region(Kind.OPAQUE, entity)
            self._pop(0)
        elif entity.is_container:
            self._push(entity)
            yield self._start_region(Kind.PREAMBLE, entity)
        elif oversized or _has_structure(entity.content_type):
            yield self._start_region(Kind.OPAQUE, entity)
        else:
            yield self._start_region(Kind.LEAF, entity)

    def _make_entity(self, header: bytes, data: bytes, oversized: bool) -> Entity:
        content_type = self._content_type(header)
        field = first(header, "Content-Transfer-Encoding")
        encoding = _token(field.text) if field else ""
        usable = content_type.type != "multipart" or content_type.boundary is not None
        return Entity(
            data=data,
            header=header,
            content_type=content_type,
            encoding=encoding,
            region=self._regions,
            is_message=self._is_message,
            sealed=self._stack[-1].sealed if self._stack else False,
            is_container=_has_structure(content_type)
            and usable
            and not oversized
            and encoding in _MULTIPART_ENCODINGS
            and len(self._stack) < MAX_DEPTH
            and self._entities < MAX_ENTITIES,
            oversized=oversized,
        )

    def _content_type(self, header: bytes) -> ContentType:
        field = first(header, "Content-Type")
        if field is not None:
            return parse_content_type(field.value)
        # RFC 2046 section 5.1.5
        if self._stack and self._stack[-1].digest and not self._is_message:
            return ContentType("message", "rfc822")
        return ContentType()

    # -- bodies -----------------------------------------------------------------------

    def _body_events(self) -> Iterator[Event]:
        if not self._stack:
            yield from self._body(len(self._buffer))
            return
        at = 0
        while True:
            at = self._next_dashes(at)
            if at < 0:
                return (yield from self._body(self._certain()))
            start = at if self._buffer.startswith(b"--", at) else at + 2
            end = self._buffer.find(b"\r\n", start)
            if end < 0 and not self._ended and len(self._buffer) - start <= _MAX_DELIMITER:
                return (yield from self._body(at))
            next_line = end + 2 if end >= 0 else len(self._buffer)
            found = self._delimiter(self._buffer[start:next_line])
            if found is not None:
                return (yield from self._pass_delimiter(at, next_line, *found))
            at = start + 2

    def _next_dashes(self, at: int) -> int:
        """Where the next line that may be a delimiter begins, the CRLF before it included."""
        if at == 0 and self._line_start and self._buffer.startswith(b"--"):
            return 0
        # not from at itself: two delimiters may share the CRLF between them
        return self._buffer.find(b"\r\n--", max(0, at - 2))

    def _certain(self) -> int:
        """How much of the buffer cannot be the beginning of a delimiter."""
        if self._ended:
            return len(self._buffer)
        if self._line_start and self._buffer in (b"", b"-"):
            return 0
        for beginning in (b"\r\n-", b"\r\n", b"\r"):
            if self._buffer.endswith(beginning):
                return len(self._buffer) - len(beginning)
        return len(self._buffer)

    def _body(self, octets: int) -> Iterator[Event]:
        if octets:
            data, self._buffer = self._buffer[:octets], self._buffer[octets:]
            self._line_start = False
            yield Region(data, self._regions - 1)

    def _pass_delimiter(self, at: int, end: int, depth: int, closes: bool) -> Iterator[Event]:
        yield from self._body(at)
        yield RegionEnd(self._regions - 1, at_end=False)
        data, self._buffer = self._buffer[: end - at], self._buffer[end - at :]
        open_ = self._stack[depth]
        self._pop(depth if closes else depth + 1)
        self._line_start = True
        if closes:
            yield Delimiter(data)
            yield self._start_region(Kind.EPILOGUE, open_.entity)
        else:
            self._in_header = True
            self._is_message = False
            yield Delimiter(data)

    def _start_region(self, kind: Kind, entity: Entity) -> RegionStart:
        sealed = self._stack[-1].sealed if self._stack else False
        self._regions += 1
        return RegionStart(self._regions - 1, kind, sealed or entity.sealed, entity)

    # -- boundaries -------------------------------------------------------------------

    def _delimiter(self, line: bytes) -> tuple[int, bool] | None:
        """The multipart that the line delimits, as depth, and whether it closes it."""
        return self._lines.get(line.rstrip(b" \t\r\n"))

    def _push(self, entity: Entity) -> None:
        boundary = entity.content_type.boundary
        assert boundary is not None  # or it were no container
        subtype = entity.content_type.subtype
        sealed = entity.sealed or subtype in ("signed", "encrypted")
        self._stack.append(_Open(b"--" + boundary, entity, sealed, subtype == "digest"))
        self._index()

    def _pop(self, depth: int) -> None:
        if depth < len(self._stack):
            del self._stack[depth:]
            self._index()

    def _index(self) -> None:
        """Innermost last, so that it wins where boundaries are alike."""
        self._lines = {}
        for depth, open_ in enumerate(self._stack):
            self._lines[open_.line] = (depth, False)
            self._lines[open_.line + b"--"] = (depth, True)


def _has_structure(content_type: ContentType) -> bool:
    return content_type.type == "multipart" or str(content_type) == "message/rfc822"


def _token(text: str) -> str:
    """The first word of a Content-Transfer-Encoding, without comments."""
    return text.split("(", 1)[0].split(";", 1)[0].strip().lower()
