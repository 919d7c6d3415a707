"""Reports in a message: where they are attached, whatever the attachment calls itself.

Blocks; for a worker. A message is somebody's mail whether it holds a report or not: nothing here
raises, what cannot be used becomes a sentence for the journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.core.facts import Fact, Part
from mailframe.message.facts import read_facts
from mailframe.message.sections import UnknownEncoding, decoded
from mailframe.reports.aggregate import AggregateReport, ReportRefused
from mailframe.reports.arf import FailureReport, read_failure
from mailframe.reports.feedback import FeedbackLimits, read_feedback
from mailframe.reports.unpacking import UnpackLimits, is_packed, looks_like_xml, unpack

UNPACKING = UnpackLimits()
READING = FeedbackLimits()
_MAX_PARTS = 50
_MAX_REPORTS = 10
_NEVER = ("text/plain", "text/html", "message/feedback-report", "text/rfc822-headers")


@dataclass(frozen=True, slots=True)
class FoundReports:
    aggregate: tuple[AggregateReport, ...] = ()
    failure: FailureReport | None = None
    troubles: tuple[str, ...] = ()
    """Why something that looks like a report is none that can be used."""


def find_reports(
    message: bytes,
    unpacking: UnpackLimits = UNPACKING,
    reading: FeedbackLimits = READING,
) -> FoundReports:
    """``message`` in wire format. Never raises."""
    tree = read_facts(message, Fact.PARTS).parts
    leaves = list(_leaves(tree))[: _MAX_PARTS + 1] if tree is not None else []
    if len(leaves) > _MAX_PARTS:
        return FoundReports(troubles=("a message of too many parts",))
    troubles: list[str] = []
    failure = None
    try:
        failure = read_failure(message, leaves)
    except ReportRefused as error:
        troubles.append(str(error))
    reports: list[AggregateReport] = []
    for part in leaves:
        if len(reports) >= _MAX_REPORTS or part.media.startswith("message/"):
            continue
        try:
            report = _report(message, part, unpacking, reading)
        except ReportRefused as error:
            troubles.append(str(error))
            continue
        if report is not None:
            reports.append(report)
    return FoundReports(tuple(reports), failure, tuple(troubles[:_MAX_REPORTS]))


def _report(
    message: bytes, part: Part, unpacking: UnpackLimits, reading: FeedbackLimits
) -> AggregateReport | None:
    # base64 has four letters for three octets
    if (part.end - part.body) * 3 // 4 > unpacking.packed:
        raise ReportRefused(f"the attachment has more than {unpacking.packed} octets")
    try:
        octets = decoded(message, part)
    except UnknownEncoding:
        return None
    if not is_packed(octets):
        # mail readers' own XML (a signature, a letter in HTML) is no report
        is_report = looks_like_xml(octets) and b"feedback" in octets[:4096].replace(b"\0", b"")
        if part.media in _NEVER and not octets.lstrip().startswith(b"<?xml"):
            return None
        if not is_report:
            return None
    return read_feedback(unpack(octets, unpacking), reading)


def _leaves(part: Part) -> Iterator[Part]:
    if part.parts:
        for child in part.parts:
            yield from _leaves(child)
    else:
        # what is in a forwarded message is about somebody else's mail
        yield part
