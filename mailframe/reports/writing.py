"""An aggregate report on its way out: as XML, packed, and as a message.

The XML is what RFC 7489 appendix C describes, in the order of its elements, with those of RFC 9990
that readers of the former pass over: most reporters and nearly all readers are between the two.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from mailframe.core.address import Address
from mailframe.mailauth.dmarc import DmarcRecord
from mailframe.message.trace import rfc5322_date

_LINE = 76
_NOT_XML = dict.fromkeys(range(32), "?") | {0xFFFE: "?", 0xFFFF: "?"}


@dataclass(frozen=True, slots=True)
class Reporter:
    organization: str
    address: Address
    """Where the reports come from, and where questions may be asked."""
    hostname: str
    """Who received the mail: the name in the file's name."""


@dataclass(frozen=True, slots=True)
class Draft:
    report_id: str
    domain: str
    begins: int
    ends: int
    """Seconds since the epoch."""
    record: DmarcRecord
    rows: Sequence[tuple[Mapping[str, Any], int]]
    """As of ``observations``, and how many messages."""

    @property
    def messages(self) -> int:
        return sum(count for _, count in self.rows)


def packed_xml(draft: Draft, reporter: Reporter) -> bytes:
    """Blocks, by the number of rows."""
    text = "\n".join(_lines(draft, reporter)) + "\n"
    # mtime 0: the same report is the same octets
    return gzip.compress(text.encode("utf-8"), mtime=0)


def file_name(draft: Draft, reporter: Reporter) -> str:
    """RFC 7489 section 7.2.1.1."""
    middle = f"{draft.domain}!{draft.begins}!{draft.ends}"
    return f"{reporter.hostname}!{middle}!{draft.report_id}.xml.gz"


def report_message(
    draft: Draft, reporter: Reporter, packed: bytes, to: Address, *, now: float
) -> bytes:
    """A whole message in wire format."""
    name = file_name(draft, reporter)
    boundary = f"=_{draft.report_id}"
    # RFC 7489 section 7.2.1.1: the subject is meant for programs
    subject = (
        f"Subject: Report Domain: {draft.domain}\r\n"
        f"\tSubmitter: {reporter.hostname}\r\n"
        f"\tReport-ID: <{draft.report_id}@{reporter.hostname}>"
    )
    head = [
        f"From: {_display(reporter.organization)} <{reporter.address}>",
        f"To: <{to}>",
        f"Date: {rfc5322_date(now)}",
        f"Message-ID: <dmarc.{draft.report_id}@{reporter.hostname}>",
        subject,
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        *_base64(_words(draft, reporter).encode()),
        f"--{boundary}",
        "Content-Type: application/gzip;",
        f'\tname="{name}"',
        "Content-Disposition: attachment;",
        f'\tfilename="{name}"',
        "Content-Transfer-Encoding: base64",
        "",
        *_base64(packed),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(head).encode("utf-8")


def _words(draft: Draft, reporter: Reporter) -> str:
    period = f"{rfc5322_date(draft.begins)} to {rfc5322_date(draft.ends)}"
    return (
        f"This is an aggregate DMARC report from {reporter.organization}\r\n"
        f"about mail in the name of {draft.domain}, from\r\n{period}:\r\n"
        f"{draft.messages} messages. It is meant for programs, which read the attachment.\r\n"
    )


def _display(organization: str) -> str:
    text = organization.translate(_NOT_XML)
    if not text.isascii():
        encoded = base64.b64encode(text[:40].encode()).decode("ascii")
        return f"=?utf-8?b?{encoded}?="
    escaped = text[:200].replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _base64(octets: bytes) -> Iterable[str]:
    text = base64.b64encode(octets).decode("ascii")
    return (text[at : at + _LINE] for at in range(0, len(text), _LINE))


# the XML


def _lines(draft: Draft, reporter: Reporter) -> Iterable[str]:
    yield '<?xml version="1.0" encoding="UTF-8" ?>'
    yield "<feedback>"
    yield "  <version>1.0</version>"
    yield "  <report_metadata>"
    yield from _elements(
        4,
        ("org_name", reporter.organization),
        ("email", str(reporter.address)),
        ("report_id", draft.report_id),
    )
    yield "    <date_range>"
    yield from _elements(6, ("begin", str(draft.begins)), ("end", str(draft.ends)))
    yield "    </date_range>"
    yield "  </report_metadata>"
    yield "  <policy_published>"
    yield from _elements(4, *_published(draft))
    yield "  </policy_published>"
    for row, count in draft.rows:
        yield from _record(row, count)
    yield "</feedback>"


def _published(draft: Draft) -> Iterable[tuple[str, str]]:
    record = draft.record
    yield "domain", draft.domain
    yield "adkim", "s" if record.strict_dkim else "r"
    yield "aspf", "s" if record.strict_spf else "r"
    yield "p", record.policy.value
    yield "sp", (record.subdomains or record.policy).value
    if record.nonexistent is not None:
        yield "np", record.nonexistent.value
    yield "pct", str(record.percent)
    yield "fo", ":".join(sorted(record.failure_options))
    if record.is_testing:
        yield "testing", "y"
    yield "discovery_method", "treewalk"


def _record(row: Mapping[str, Any], count: int) -> Iterable[str]:
    yield "  <record>"
    yield "    <row>"
    yield from _elements(6, ("source_ip", row["source_ip"]), ("count", str(count)))
    yield "      <policy_evaluated>"
    yield from _elements(
        8, ("disposition", row["disposition"]), ("dkim", row["dkim"]), ("spf", row["spf"])
    )
    if row["reason"]:
        kind, comment = row["reason"]
        yield "        <reason>"
        yield from _elements(10, ("type", kind), ("comment", comment))
        yield "        </reason>"
    yield "      </policy_evaluated>"
    yield "    </row>"
    yield "    <identifiers>"
    yield from _elements(
        6, ("envelope_from", row["envelope_from"]), ("header_from", row["header_from"])
    )
    yield "    </identifiers>"
    yield "    <auth_results>"
    for domain, selector, result in row["dkim_results"]:
        yield "      <dkim>"
        yield from _elements(8, ("domain", domain), ("selector", selector), ("result", result))
        yield "      </dkim>"
    if row["spf_result"]:
        domain, scope, result = row["spf_result"]
        yield "      <spf>"
        yield from _elements(8, ("domain", domain), ("scope", scope), ("result", result))
        yield "      </spf>"
    yield "    </auth_results>"
    yield "  </record>"


def _elements(indent: int, *elements: tuple[str, str]) -> Iterable[str]:
    for name, value in elements:
        text = escape(value.translate(_NOT_XML).encode("utf-8", "replace").decode("utf-8"))
        yield f"{' ' * indent}<{name}>{text}</{name}>"
