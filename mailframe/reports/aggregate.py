"""An aggregate report as a value: what one receiver saw of one domain (RFC 9990 section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field


class ReportRefused(ValueError):
    """It is no report, or none that can be used; the text says why, for the journal."""


@dataclass(frozen=True, slots=True)
class DkimLine:
    domain: str
    selector: str = ""
    result: str = "none"
    human_result: str = ""


@dataclass(frozen=True, slots=True)
class SpfLine:
    domain: str
    scope: str = ""
    result: str = "none"
    human_result: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    type: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ReportRow:
    source_ip: str
    count: int
    disposition: str = "none"
    dkim: str = "fail"
    """In alignment: ``pass`` or ``fail``."""
    spf: str = "fail"
    header_from: str = ""
    envelope_from: str = ""
    envelope_to: str = ""
    reasons: tuple[Reason, ...] = ()
    dkim_results: tuple[DkimLine, ...] = ()
    spf_results: tuple[SpfLine, ...] = ()

    @property
    def passes(self) -> bool:
        return "pass" in (self.dkim, self.spf)


@dataclass(frozen=True, slots=True)
class AggregateReport:
    organization: str
    email: str
    report_id: str
    begins: int
    """Seconds since the epoch."""
    ends: int
    domain: str
    """Whose policy it is about."""
    rows: tuple[ReportRow, ...]
    contact: str = ""
    errors: tuple[str, ...] = ()
    policy: dict[str, str] = field(default_factory=dict)
    """``p``, ``sp``, ``adkim`` ... as the reporter found them."""
    skipped: int = 0
    """Rows that could not be used: without an address or a number of messages."""

    @property
    def messages(self) -> int:
        return sum(row.count for row in self.rows)

    @property
    def passed(self) -> int:
        return sum(row.count for row in self.rows if row.passes)
