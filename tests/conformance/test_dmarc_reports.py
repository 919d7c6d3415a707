"""Reports of many reporters: read, or refused with a reason; those with an expected reading equal
it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from mailframe.reports.aggregate import AggregateReport, ReportRefused
from mailframe.reports.feedback import read_feedback
from mailframe.reports.found import FoundReports, find_reports
from mailframe.reports.unpacking import unpack

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites")) / "02-auth"
pytestmark = pytest.mark.skipif(not SUITE.is_dir(), reason="the public suites are not here")
SAMPLES = SUITE / "parsedmarc-samples" / "samples"
STALWART = SUITE / "stalwart-mail-auth"


def files(folder: Path, *patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.rglob(pattern))


def found_in(path: Path) -> FoundReports:
    lf = path.read_bytes().replace(b"\r\n", b"\n")
    return find_reports(lf.replace(b"\n", b"\r\n"))


REFUSED = {
    "invalid_xml.xml": "broken XML",
    "empty.xml": "broken XML",
}


@pytest.mark.parametrize(
    "path", files(SAMPLES, "*.xml", "*.zip", "*.gz"), ids=lambda path: str(path.name)
)
def test_samples(path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(ReportRefused, match=REFUSED[path.name]):
            read_feedback(unpack(path.read_bytes()))
        return
    report = read_feedback(unpack(path.read_bytes()))
    assert report.rows
    assert report.domain
    assert not report.skipped


@pytest.mark.parametrize(
    "path",
    [*files(SAMPLES / "aggregate", "*.eml"), *files(SUITE / "mox-reports/dmarc-reports", "*.eml")],
    ids=lambda path: str(path.name),
)
def test_mailed_samples(path: Path) -> None:
    found = found_in(path)
    assert len(found.aggregate) == 1
    assert found.troubles == ()


@pytest.mark.parametrize("path", files(SAMPLES / "failure", "*.eml"), ids=lambda path: path.name)
def test_failure_samples(path: Path) -> None:
    failure = found_in(path).failure
    if path.name.startswith("exim_plain"):  # says it in prose only
        assert failure is None
    else:
        assert failure is not None
        assert failure.kind == "auth-failure"
        assert failure.domain
        assert failure.source_ip


def word(value: str | None) -> str:
    """``SoftFail`` -> ``softfail``; mail-auth's word for what was not said."""
    return "" if value in (None, "Unspecified") else str(value).lower()


def same(report: AggregateReport, wanted: dict[str, Any]) -> None:
    metadata, policy = wanted["report_metadata"], wanted["policy_published"]
    assert report.organization == metadata["org_name"]
    assert report.email == metadata["email"]
    assert report.report_id == metadata["report_id"]
    assert report.begins == metadata["date_range"]["begin"]
    assert report.ends == metadata["date_range"]["end"]
    assert list(report.errors) == metadata["error"]
    assert report.domain == policy["domain"]
    for name in ("p", "sp"):
        assert report.policy.get(name, "") == word(policy[name])
    assert len(report.rows) == len(wanted["record"])
    for row, record in zip(report.rows, wanted["record"], strict=True):
        same_row(row, record)


def same_row(row: Any, record: dict[str, Any]) -> None:
    evaluated = record["row"]["policy_evaluated"]
    assert row.source_ip == record["row"]["source_ip"]
    assert row.count == record["row"]["count"]
    assert (row.dkim, row.spf) == (word(evaluated["dkim"]), word(evaluated["spf"]))
    assert row.disposition == word(evaluated["disposition"])
    # RFC 9990 has no sampled_out any more, and the expected readings call it "other"
    kinds = ["other" if each.type == "sampled_out" else each.type for each in row.reasons]
    expected = [word(each["type_"]) for each in evaluated["reason"]]
    assert [kind.replace("_", "") for kind in kinds] == expected
    assert [each.comment for each in row.reasons] == [e["comment"] for e in evaluated["reason"]]
    identifiers = record["identifiers"]
    assert row.header_from == identifiers["header_from"]
    assert row.envelope_from == (identifiers["envelope_from"] or "")
    assert row.envelope_to == (identifiers["envelope_to"] or "")
    results = record["auth_results"]
    assert [(each.domain, each.selector, each.result) for each in row.dkim_results] == [
        (each["domain"], each["selector"], word(each["result"])) for each in results["dkim"]
    ]
    assert [(each.domain, each.result) for each in row.spf_results] == [
        (each["domain"], word(each["result"])) for each in results["spf"]
    ]


@pytest.mark.parametrize(
    "path", files(STALWART / "dmarc-feedback", "*.json"), ids=lambda path: path.stem
)
def test_expected_feedback(path: Path) -> None:
    wanted = json.loads(path.read_text())
    mailed = path.with_suffix(".eml")
    if mailed.is_file():
        (report,) = found_in(mailed).aggregate
    else:
        report = read_feedback(path.with_suffix(".xml").read_bytes())
    same(report, wanted)


def plain(value: Any) -> str:
    return re.sub(r"\s+", " ", str(value))


@pytest.mark.parametrize("path", files(STALWART / "arf", "*.json"), ids=lambda path: path.stem)
def test_expected_failures(path: Path) -> None:
    wanted = json.loads(path.read_text())
    failure = found_in(path.with_suffix(".eml")).failure
    assert failure is not None
    assert failure.kind.replace("-", "") == word(wanted["feedback_type"])
    assert failure.source_ip == (wanted["source_ip"] or "")
    assert failure.incidents == wanted["incidents"]
    assert failure.arrived == wanted["arrival_date"]
    assert failure.fields.get("reported-domain", ()) == tuple(wanted["reported_domain"])
    for name in ("user_agent", "original_mail_from", "original_rcpt_to", "dkim_selector"):
        if isinstance(wanted.get(name), str):
            assert plain(failure.first(name.replace("_", "-"))) == plain(wanted[name])
    results = failure.fields.get("authentication-results", ())
    assert [plain(each) for each in results] == [plain(e) for e in wanted["authentication_results"]]
    if wanted["headers"]:
        assert plain(failure.header).strip() == plain(wanted["headers"]).strip()
