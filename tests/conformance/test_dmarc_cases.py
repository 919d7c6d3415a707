"""DMARC against the transcribed cases of other implementations, and the vectors of the public
suffix list.

Differences, with the words that justify them:

- ``lookup`` of ``malformed.example`` (``p=none; bogus;``) expects permerror. RFC 9989 section 4.7
  (and 7489 section 6.3): syntax errors in the remainder of a record are to be discarded in favour
  of default values, or ignored outright. Here it is a record with ``p=none``.
- ``verify`` has NONE where it transcribes a domain without a record, as here.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from mailframe.core.authentication import Authentication, DkimResult, DmarcAction, Result, SpfResult
from mailframe.mailauth.dmarc import accepts_reports, check_dmarc
from mailframe.mailauth.dmarc.discovery import walk
from mailframe.mailauth.dmarc.names import a_label, registered_domain
from mailframe.runtime.aio import as_deferred, fired
from tests.conformance.dmarc_zone import TxtZone

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites")) / "02-auth"
pytestmark = pytest.mark.skipif(not SUITE.is_dir(), reason="the public suites are not here")


def cases(kind: str) -> list[Any]:
    path = SUITE / "dmarc-cases.json"
    return list(json.loads(path.read_text())[kind]) if path.is_file() else []


def wait(coroutine: Any) -> Any:
    return fired(as_deferred(coroutine))


@pytest.mark.parametrize("case", cases("lookup"), ids=lambda case: str(case["domain"]))
def test_lookup(case: dict[str, Any]) -> None:
    applicable = wait(walk(TxtZone(case["txt"]), case["domain"])).applicable()
    if case["error"] == "syntax":  # see the module
        assert applicable[1].policy is DmarcAction.NONE
        return
    assert (applicable is not None) is case["record"]
    if applicable:
        assert applicable[0] == case["found_at"]


@pytest.mark.parametrize("case", cases("external_report"), ids=lambda case: str(case["ext"]))
def test_external_report(case: dict[str, Any]) -> None:
    zone = TxtZone({f"{case['from']}._report._dmarc.{case['ext']}": case["txt"]})
    assert wait(accepts_reports(zone, case["ext"], case["from"])) is case["accepts"]


@pytest.mark.parametrize(
    "case", cases("verify"), ids=lambda case: f"{case['from']}-{case['status']}"
)
def test_verify(case: dict[str, Any]) -> None:
    zone = TxtZone({name: [text] for name, text in case["dns"].items() if text is not None})
    dkim = tuple(DkimResult(Result(result), domain) for result, domain in case["dkim"])
    spf = SpfResult(Result(case["spf"]), case["spf_domain"] or "")
    header = f"From: <x@{case['from']}>\r\n".encode()
    auth = Authentication(spf=spf, dkim=dkim)
    found = wait(check_dmarc(zone, header, auth, random=lambda: 0.0))
    assert found.result.value == case["status"]
    assert (found.action is DmarcAction.REJECT) is case["reject"]
    if found.result is not Result.NONE:
        assert ("spf" in found.aligned_by) is case["spf_aligned"]
        assert ("dkim" in found.aligned_by) is case["dkim_aligned"]


@pytest.mark.parametrize(
    "case", cases("policy_discovery_dmarcbis"), ids=lambda case: str(case["policy"])
)
def test_policy_discovery(case: dict[str, Any]) -> None:
    author, _, spf = case["from"].partition(" spf=")
    zone = TxtZone({name: [text] for name, text in case["dns"].items()}, case["exists_a"])
    auth = Authentication(spf=SpfResult(Result.PASS, spf)) if spf else Authentication()
    found = wait(check_dmarc(zone, f"From: {author}\r\n".encode(), auth, random=lambda: 0.0))
    expected = case["policy"].split()[0]
    if expected == "no":
        assert found.result is Result.NONE
    elif expected == "not":
        assert found.result is Result.FAIL
    else:
        assert found.published.value == expected


def vectors() -> list[tuple[str, str]]:
    path = SUITE / "psl" / "tests" / "test_psl.txt"
    text = path.read_text() if path.is_file() else ""
    return re.findall(r"^checkPublicSuffix\((\S+), (\S+)\);", text, re.MULTILINE)


@pytest.mark.parametrize(("name", "expected"), vectors())
def test_public_suffixes(name: str, expected: str) -> None:
    domain = a_label("" if name == "null" else name.strip("'"))
    wanted = "" if expected == "null" else a_label(expected.strip("'"))
    found = registered_domain(domain) if domain else ""
    # a public suffix has no registered domain; here it stands for itself
    assert found == (wanted or domain)


def test_all_vectors_are_there() -> None:
    assert len(vectors()) == 78
