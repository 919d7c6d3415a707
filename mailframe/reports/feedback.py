"""Reading the XML of an aggregate report (RFC 9990 appendix A, RFC 7489 appendix C).

With expat, fed in pieces, on a worker. A document type is refused, and with it every entity:
nothing expands. Depth, rows, elements of a row and lengths of texts are bounded; what is beyond is
refused, not cut off. Elements are known by their local names, in any order; unknown ones (the
extensions of RFC 9990) are passed over. Enumerations are taken in any case.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from xml.parsers import expat

from mailframe.mailauth.dmarc.names import a_label
from mailframe.reports.aggregate import (
    AggregateReport,
    DkimLine,
    Reason,
    ReportRefused,
    ReportRow,
    SpfLine,
)

_PIECE = 64 * 1024
_LONGEST_TOKEN = 64 * 1024  # a tag with its attributes, or a comment
_SECTIONS = ("report_metadata", "policy_published", "record")
_MOST_COUNT = 10**12
_POLICY = ("adkim", "aspf", "p", "sp", "np", "pct", "fo", "testing", "discovery_method")
# one program begins its reports with the head of the schema, and never closes it
_SCHEMA = re.compile(rb"<xs:schema [^<>]{0,500}>")
_WORD = re.compile(r"[a-z0-9_]{1,40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FeedbackLimits:
    rows: int = 50_000
    depth: int = 12
    text: int = 2_048
    """Characters of one element."""
    elements: int = 500
    """Of one row, or of the metadata."""
    lines: int = 50
    """Results of one method, or reasons, in one row."""


def read_feedback(octets: bytes, limits: FeedbackLimits = FeedbackLimits()) -> AggregateReport:
    """``octets``: the XML. Blocks. Raises ReportRefused."""
    octets = _SCHEMA.sub(b"", octets[:1_024]) + octets[1_024:]
    try:
        return _Reader(limits).read(octets, None)
    except _NotUtf8:
        # some reporters copy names in Latin-1 into UTF-8; what they count is readable all the same
        mended = octets.decode("utf-8", "replace").encode()
        return _Reader(limits).read(mended, "utf-8")


class _NotUtf8(Exception):
    pass


class _Element:
    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[_Element] = []

    def all(self, name: str) -> Iterator[_Element]:
        return (child for child in self.children if child.name == name)

    def first(self, name: str) -> _Element:
        return next(self.all(name), _NOTHING)

    def value(self, name: str) -> str:
        return _CONTROL.sub(" ", self.first(name).text).strip()

    def word(self, name: str, otherwise: str) -> str:
        word = self.value(name).lower()
        return word if _WORD.fullmatch(word) else otherwise


_NOTHING = _Element("")


class _Reader:
    def __init__(self, limits: FeedbackLimits) -> None:
        self._limits = limits
        self._depth = 0
        self._open: list[_Element] = []
        """The section that is being read and what is open in it."""
        self._elements = 0
        self._metadata = _NOTHING
        self._policy = _NOTHING
        self._rows: list[ReportRow] = []
        self._skipped = 0
        self._is_feedback = False

    def read(self, octets: bytes, encoding: str | None) -> AggregateReport:
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            for at in range(0, len(octets), _PIECE):
                parser.Parse(octets[at : at + _PIECE], False)
                # expat begins an unfinished tag or comment anew with every piece, and makes one of
                # megabytes in a single call that lets no other thread run
                if at + _PIECE - max(parser.CurrentByteIndex, 0) > _LONGEST_TOKEN + _PIECE:
                    raise ReportRefused("a tag or comment that is too long")
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            code = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
            if encoding is None and error.code == code and not _is_utf8(octets):
                raise _NotUtf8 from error
            raise ReportRefused(f"broken XML: {error}") from error
        except (LookupError, ValueError) as error:
            if isinstance(error, ReportRefused):
                raise
            raise ReportRefused(f"XML in an unknown charset: {error}") from error
        return self._report()

    # what expat calls

    def _doctype(self, *_: object) -> None:
        raise ReportRefused("XML with a document type")

    def _start(self, tag: str, _: object) -> None:
        name = tag.rpartition(":")[2].lower()
        self._depth += 1
        if self._depth > self._limits.depth:
            raise ReportRefused("XML that is nested too deeply")
        if self._depth == 1:
            self._is_feedback = name == "feedback"
            if not self._is_feedback:
                raise ReportRefused("XML, but no DMARC report")
        elif self._open:
            self._elements += 1
            if self._elements > self._limits.elements:
                raise ReportRefused("a row of too many elements")
            element = _Element(name)
            self._open[-1].children.append(element)
            self._open.append(element)
        elif self._depth == 2 and name in _SECTIONS:
            self._elements = 0
            self._open.append(_Element(name))

    def _text(self, text: str) -> None:
        if not self._open:
            return
        element = self._open[-1]
        if len(element.text) + len(text) > self._limits.text:
            raise ReportRefused("a text that is too long")
        element.text += text

    def _end(self, _: str) -> None:
        self._depth -= 1
        if not self._open:
            return
        element = self._open.pop()
        if not self._open:
            self._section(element)

    def _section(self, element: _Element) -> None:
        if element.name == "record":
            self._record(element)
        elif element.name == "report_metadata" and self._metadata is _NOTHING:
            self._metadata = element
        elif element.name == "policy_published" and self._policy is _NOTHING:
            self._policy = element

    def _record(self, record: _Element) -> None:
        if len(self._rows) + self._skipped >= self._limits.rows:
            raise ReportRefused(f"more than {self._limits.rows} rows")
        row = _row(record, self._limits.lines)
        if row is None:
            self._skipped += 1
        else:
            self._rows.append(row)

    def _report(self) -> AggregateReport:
        metadata, policy = self._metadata, self._policy
        period = metadata.first("date_range")
        domain = a_label(policy.value("domain"))
        begins, ends = _seconds(period.value("begin")), _seconds(period.value("end"))
        if not domain:
            raise ReportRefused("a report that does not say about which domain")
        if begins is None or ends is None or ends < begins:
            raise ReportRefused("a report that does not say about what time")
        if not metadata.value("report_id"):
            raise ReportRefused("a report without an id")
        return AggregateReport(
            organization=metadata.value("org_name"),
            email=metadata.value("email"),
            report_id=metadata.value("report_id"),
            begins=begins,
            ends=ends,
            domain=domain,
            rows=tuple(self._rows),
            contact=metadata.value("extra_contact_info"),
            errors=tuple(error.text.strip() for error in metadata.all("error")),
            policy={name: found for name in _POLICY if (found := policy.value(name))},
            skipped=self._skipped,
        )


def _row(record: _Element, most: int) -> ReportRow | None:
    row, names = record.first("row"), record.first("identifiers")
    results, evaluated = record.first("auth_results"), row.first("policy_evaluated")
    try:
        address = str(ipaddress.ip_address(row.value("source_ip")))
        count = int(row.value("count"))
    except ValueError:
        return None
    if not 0 < count <= _MOST_COUNT:
        return None
    return ReportRow(
        source_ip=address,
        count=count,
        disposition=evaluated.word("disposition", "none"),
        dkim=evaluated.word("dkim", "fail"),
        spf=evaluated.word("spf", "fail"),
        header_from=names.value("header_from"),
        envelope_from=names.value("envelope_from"),
        envelope_to=names.value("envelope_to"),
        reasons=_lines(evaluated, "reason", _reason, most),
        dkim_results=_lines(results, "dkim", _dkim, most),
        spf_results=_lines(results, "spf", _spf, most),
    )


def _lines(
    parent: _Element, name: str, make: Callable[[_Element], T | None], most: int
) -> tuple[T, ...]:
    made = tuple(line for each in parent.all(name) if (line := make(each)) is not None)
    if len(made) > most:
        raise ReportRefused(f"a row with more than {most} results")
    return made


def _reason(element: _Element) -> Reason | None:
    kind = element.word("type", "")
    comment = element.value("comment")
    return Reason(kind or "other", comment) if kind or comment else None


def _dkim(element: _Element) -> DkimLine:
    return DkimLine(
        element.value("domain"),
        element.value("selector"),
        element.word("result", "none"),
        element.value("human_result"),
    )


def _spf(element: _Element) -> SpfLine:
    return SpfLine(
        element.value("domain"),
        element.word("scope", ""),
        element.word("result", "none"),
        element.value("human_result"),
    )


def _seconds(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,12})(?:\.[0-9]*)?", text)
    return int(match[1]) if match else None


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
