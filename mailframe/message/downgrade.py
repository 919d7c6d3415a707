"""Making a message fit for a next hop that takes no 8-bit or no binary content.

RFC 6152 section 3 and RFC 3030 section 3: such a message is converted, or it bounces. Two
passes over the message: ``Survey`` finds out what is in it, ``Converter`` rewrites it::

    survey = surveyed(source)
    if survey.needs_conversion(Body.SEVEN_BIT):
        source.seek(0)
        convert(source, sink, survey, Body.SEVEN_BIT)   # or ConversionRefused, nothing written

Text becomes quoted-printable, or base64 where that is shorter (Greek, Chinese); all else
base64. Every part decodes to the same octets as before, and what needs no change stays byte
for byte: other headers, other parts, delimiters. A preamble or epilogue with 8-bit octets,
which no reader shows, is left out. Refused are 8-bit octets in a header (only SMTPUTF8
carries them), within multipart/signed and multipart/encrypted, in message/partial and
message/external-body (RFC 2046 section 5.2 wants them 7-bit), in a part that claims an
encoding it does not have, in a multipart without a boundary, and below a header section
with stray lines in it.

A DKIM signature over the body does not survive; a next hop that takes no 8-bit mail leaves
no choice but that or a bounce. One of our own is made anew by ``delivery``. Memory is bounded;
all of it blocks: run it on a worker.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mailframe.core.envelope import Body
from mailframe.errors import MailframeError
from mailframe.message.encodings import Base64, Encoder, QuotedPrintable
from mailframe.message.headers import fields, first, named
from mailframe.message.structure import (
    Delimiter,
    Entity,
    Kind,
    Region,
    RegionEnd,
    RegionStart,
    Walker,
)

# RFC 5322 section 2.1.1
MAX_LINE = 998
# What is kept in memory between the passes is a record for each part to be converted.
MAX_PARTS = 10_000
CHUNK = 65_536

_IDENTITY = ("", "7bit", "8bit", "binary")
_MUST_BE_7BIT = ("message/partial", "message/external-body")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_HIGH = bytes(range(128, 256))


class ConversionRefused(MailframeError):
    """The message cannot be converted without breaking it; the text says why, for a DSN."""


class Treatment(enum.Enum):
    QUOTED_PRINTABLE = "quoted-printable"
    BASE64 = "base64"
    LEAVE_OUT = "leave out"


@dataclass(slots=True)
class _Facts:
    """What was seen in one region. Holds nothing that grows with the message."""

    kind: Kind
    type: str
    encoding: str
    sealed: bool
    well_formed: bool
    """Whether the header has nothing but fields. Where a reader takes a stray line for the
    end of the header, it would not see the new encoding."""
    octets: int = 0
    high: int = 0
    """Octets above 127."""
    binary: bool = False
    """NUL, bare CR or bare LF: only BINARYMIME carries them."""
    long_line: bool = False

    @classmethod
    def of(cls, start: RegionStart) -> _Facts:
        entity = start.entity
        return cls(
            kind=start.kind,
            type=str(entity.content_type)[:80],
            encoding=entity.encoding[:80],
            sealed=start.sealed,
            well_formed=b"".join(field.raw for field in fields(entity.header)) == entity.header,
        )

    @property
    def encodable(self) -> bool:
        return (
            self.kind is Kind.LEAF
            and self.encoding in _IDENTITY
            and self.type not in _MUST_BE_7BIT
            and self.well_formed
            and not self.sealed
        )

    def offends(self, allowed: Body) -> bool:
        """Whether it may not go as it is. A long line alone is what everybody passes on, so
        it makes no message bounce: see ``_treatment``."""
        return self.binary or (self.high > 0 and allowed is Body.SEVEN_BIT)


@dataclass(slots=True)
class Survey:
    """What is in a message. Made by a ``Surveyor``."""

    eight_bit: bool = False
    """8-bit octets in bodies."""
    binary: bool = False
    """NUL, bare CR or bare LF in bodies."""
    long_lines: bool = False
    """Lines longer than 998 octets in bodies that could be encoded."""
    eight_bit_header: bool = False
    """8-bit octets in a header section, the message's own or one within."""
    binary_header: bool = False
    """NUL, bare CR or bare LF in a header section."""
    too_many_parts: bool = False
    _regions: dict[int, _Facts] = field(default_factory=dict)

    def needs_conversion(self, allowed: Body, *, declared: Body = Body.EIGHT_BIT) -> bool:
        """Whether a next hop that takes ``allowed`` cannot have it as it is.

        ``declared`` is the BODY parameter it came with: long lines count for BINARYMIME
        only, as everywhere else they are merely against the rules.
        """
        if allowed is Body.BINARY:
            return False
        if self.binary or self.binary_header or (declared is Body.BINARY and self.long_lines):
            return True
        return allowed is Body.SEVEN_BIT and self.eight_bit

    def plan(self, allowed: Body) -> dict[int, Treatment]:
        """What to do with which region. Raises ConversionRefused."""
        if self.too_many_parts:
            raise ConversionRefused("the message has too many parts")
        if self.binary_header or (self.eight_bit_header and allowed is Body.SEVEN_BIT):
            raise ConversionRefused("a header field holds octets that cannot be converted")
        plan = {}
        for number, facts in self._regions.items():
            treatment = _treatment(facts, allowed)
            if treatment is not None:
                plan[number] = treatment
        return plan


class Surveyor:
    """The first pass: feed the message, then ``finish``."""

    def __init__(self) -> None:
        self._walker = Walker()
        self._survey = Survey()
        self._facts: _Facts | None = None
        self._number = 0
        self._tail = b""
        self._line = 0

    def feed(self, chunk: bytes) -> None:
        for event in self._walker.feed(chunk):
            self._note(event)

    def finish(self) -> Survey:
        for event in self._walker.finish():
            self._note(event)
        return self._survey

    def _note(self, event: object) -> None:
        match event:
            case Entity():
                self._note_header(event.header)
            case RegionStart():
                self._number = event.number
                self._facts, self._tail, self._line = _Facts.of(event), b"", 0
            case Region():
                assert self._facts is not None
                self._examine(self._facts, event.data)
            case RegionEnd():
                assert self._facts is not None
                if self._tail == b"\r":
                    self._facts.binary = True
                self._conclude(self._facts)

    def _note_header(self, header: bytes) -> None:
        self._survey.eight_bit_header |= not header.isascii()
        self._survey.binary_header |= b"\0" in header or _BARE.search(header) is not None

    def _examine(self, facts: _Facts, data: bytes) -> None:
        facts.octets += len(data)
        if not data.isascii():
            facts.high += len(data) - len(data.translate(None, _HIGH))
        # A CR at the end of a chunk waits for its LF.
        data = self._tail + data
        self._tail = b"\r" if data.endswith(b"\r") else b""
        whole = data[: len(data) - len(self._tail)]
        if not facts.binary:
            breaks = whole.count(b"\r\n")
            bare = whole.count(b"\r") != breaks or whole.count(b"\n") != breaks
            facts.binary = bare or b"\0" in whole
        if not facts.long_line:
            lengths = [len(line) for line in whole.split(b"\r\n")]
            lengths[0] += self._line
            self._line = lengths[-1]
            facts.long_line = max(lengths) > MAX_LINE

    def _conclude(self, facts: _Facts) -> None:
        survey = self._survey
        survey.eight_bit |= facts.high > 0
        survey.binary |= facts.binary
        survey.long_lines |= facts.long_line and facts.encodable
        if not (facts.high or facts.binary or facts.long_line):
            return
        if len(survey._regions) >= MAX_PARTS:
            survey.too_many_parts = True
            return
        survey._regions[self._number] = facts


def _treatment(facts: _Facts, allowed: Body) -> Treatment | None:
    if not facts.offends(allowed):
        return _cheapest(facts) if facts.long_line and facts.encodable else None
    if facts.encodable:
        return _cheapest(facts)
    if facts.sealed:
        raise ConversionRefused("a signed or encrypted part holds octets that need conversion")
    if facts.kind in (Kind.PREAMBLE, Kind.EPILOGUE):
        return Treatment.LEAVE_OUT
    if facts.kind is Kind.OPAQUE:
        raise ConversionRefused(f"a part of type {facts.type} cannot be taken apart")
    if facts.type in _MUST_BE_7BIT:
        raise ConversionRefused(f"a part of type {facts.type} must not be encoded")
    if not facts.well_formed:
        raise ConversionRefused("a header section holds lines that are no fields")
    raise ConversionRefused("a part holds octets that its encoding does not allow")


def _cheapest(facts: _Facts) -> Treatment:
    # Quoted-printable costs two more octets for each it encodes, base64 a third of all.
    readable = facts.type.startswith(("text/", "message/"))
    if readable and facts.high * 6 <= facts.octets:
        return Treatment.QUOTED_PRINTABLE
    return Treatment.BASE64


class Converter:
    """The second pass: feed the same message again; returns the octets to send."""

    def __init__(self, survey: Survey, allowed: Body) -> None:
        """``allowed`` is ``SEVEN_BIT`` or ``EIGHT_BIT``. Raises ConversionRefused."""
        if allowed is Body.BINARY:
            raise ValueError("nothing needs conversion to BINARYMIME")
        self._plan = survey.plan(allowed)
        # RFC 2045 section 6.2: what remains unencoded is at most this
        self._label = "7bit" if allowed is Body.SEVEN_BIT else "8bit"
        self._walker = Walker()
        self._encoder: Encoder | None = None
        self._leaving_out = False

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(map(self._converted, self._walker.feed(chunk)))

    def finish(self) -> bytes:
        return b"".join(map(self._converted, self._walker.finish()))

    def _converted(self, event: object) -> bytes:
        match event:
            case Entity():
                return self._header(event)
            case RegionStart():
                treatment = self._plan.get(event.number)
                self._leaving_out = treatment is Treatment.LEAVE_OUT
                self._encoder = _encoder(treatment)
                return b""
            case Region():
                if self._leaving_out:
                    return b""
                return self._encoder.feed(event.data) if self._encoder else event.data
            case RegionEnd():
                return self._encoder.finish(at_end=event.at_end) if self._encoder else b""
            case Delimiter():
                return self._delimiter(event.data)
        raise AssertionError(event)

    def _delimiter(self, data: bytes) -> bytes:
        # the empty line after the header is the CRLF of a delimiter without a preamble
        return data.removeprefix(b"\r\n") if self._leaving_out else data

    def _header(self, entity: Entity) -> bytes:
        treatment = None if entity.is_container else self._plan.get(entity.region)
        if treatment in (Treatment.QUOTED_PRINTABLE, Treatment.BASE64):
            return _relabelled(entity, treatment.value)
        if entity.encoding in ("8bit", "binary") and not entity.sealed:
            return (
                entity.data if entity.encoding == self._label else _relabelled(entity, self._label)
            )
        return entity.data


def _encoder(treatment: Treatment | None) -> Encoder | None:
    if treatment is Treatment.BASE64:
        return Base64()
    return QuotedPrintable() if treatment is Treatment.QUOTED_PRINTABLE else None


def _relabelled(entity: Entity, encoding: str) -> bytes:
    """The header with its encoding changed, in the place where it was."""
    header = entity.header
    label = f"Content-Transfer-Encoding: {encoding}\r\n".encode()
    made, at = [], 0
    for found in named(header, "Content-Transfer-Encoding"):
        made += [header[at : found.start], b"" if at else label]
        at = found.start + len(found.raw)
    made.append(header[at:])
    if not at:
        made.append(label)
    if entity.is_message and encoding not in _IDENTITY:
        made.append(_missing_fields(header))
    made.append(entity.data[len(header) :])
    return b"".join(made)


def _missing_fields(header: bytes) -> bytes:
    """What a message needs for its encoding to be heeded."""
    made = b""
    if first(header, "MIME-Version") is None:
        made += b"MIME-Version: 1.0\r\n"
    if first(header, "Content-Type") is None:
        # RFC 1428 section 3: nobody said in what character set it is
        made += b"Content-Type: text/plain; charset=unknown-8bit\r\n"
    return made


def surveyed(source: BinaryIO) -> Survey:
    """Read ``source`` to its end and tell what is in it."""
    surveyor = Surveyor()
    for chunk in _chunks(source):
        surveyor.feed(chunk)
    return surveyor.finish()


def convert(source: BinaryIO, sink: BinaryIO, survey: Survey, allowed: Body) -> None:
    """Write the message of ``source``, which ``survey`` is of, as ``allowed`` can carry it.

    Raises ConversionRefused before anything is written."""
    converter = Converter(survey, allowed)
    for chunk in _chunks(source):
        sink.write(converter.feed(chunk))
    sink.write(converter.finish())


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk
