"""The openspf.org suite for RFC 7208, with all of its 203 tests, and the older ones beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from mailframe.core.authentication import Result, SpfResult
from mailframe.mailauth.spf.check import ascii_domain, check_identity
from mailframe.runtime.aio import as_deferred, fired
from tests.conformance.spf_zones import DEFAULT, SUITE, Case, cases

pytest.importorskip("yaml", reason="PyYAML reads the suites")
pytestmark = pytest.mark.skipif(not SUITE.is_dir(), reason="the suite is not on this machine")


def load(name: str) -> list[Case]:
    file: Path = SUITE / name
    return list(cases(file)) if file.is_file() else []


RFC7208 = load("rfc7208-tests.yml")
RFC4408 = load("rfc4408-tests.yml")
PYSPF = load("test.yml")


def checked(case: Case) -> SpfResult:
    identity, sender = "mailfrom", case.mailfrom
    if not sender:
        identity, sender = "helo", f"postmaster@{case.helo}"
    local_part, _, domain = sender.rpartition("@")
    who = SpfResult(Result.NONE, ascii_domain(domain), identity, sender)
    clock = Clock()
    clock.advance(1_700_000_000)
    asked = check_identity(case.zone, case.host, local_part, who, case.helo, "unknown", 20.0, clock)
    return fired(as_deferred(asked))


def test_the_suite_is_complete() -> None:
    assert len(RFC7208) == 203


@pytest.mark.parametrize("case", RFC7208, ids=lambda case: case.name)
def test_rfc_7208(case: Case) -> None:
    result = checked(case)
    assert result.result.value in case.results, result
    if case.explanation is not None:
        expected = "" if case.explanation == DEFAULT else case.explanation
        assert result.explanation == expected


@pytest.mark.parametrize("case", RFC4408, ids=lambda case: case.name)
def test_rfc_4408(case: Case) -> None:
    result = checked(case)
    assert result.result.value in case.results, result


# A modifier of pyspf's own. RFC 7208 section 6: unrecognized modifiers MUST be ignored.
PYSPF_ONLY = {"default-modifier", "default-modifier-harsh"}


@pytest.mark.parametrize(
    "case", [c for c in PYSPF if c.name not in PYSPF_ONLY], ids=lambda case: case.name
)
def test_pyspf(case: Case) -> None:
    result = checked(case)
    assert result.result.value in case.results, result
