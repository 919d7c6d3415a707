"""DMARC's verdict: records, discovery, alignment, authors, and a DNS that does not answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.authentication import (
    Authentication,
    DkimResult,
    DmarcAction,
    DmarcResult,
    Result,
    SpfResult,
)
from mailframe.mailauth.dmarc import accepts_reports, check_dmarc, organizational_domain
from mailframe.mailauth.dmarc.author import authors
from mailframe.mailauth.dmarc.discovery import walk
from mailframe.mailauth.dmarc.record import parse_record
from mailframe.runtime.aio import as_deferred, fired
from tests.conformance.dmarc_zone import TxtZone

REJECT = "v=DMARC1; p=reject"


def wait(coroutine: Any) -> Any:
    return fired(as_deferred(coroutine))


def check(
    sender: str | bytes,
    zone: dict[str, Any] | TxtZone,
    *signers: str,
    spf: str = "",
    spf_result: Result = Result.PASS,
    dkim_result: Result = Result.PASS,
    draw: float = 0.0,
) -> DmarcResult:
    header = sender if isinstance(sender, bytes) else f"From: {sender}\r\n".encode()
    if isinstance(zone, dict):
        zone = TxtZone(
            {f"_dmarc.{name}": text if text is None else [text] for name, text in zone.items()}
        )
    auth = Authentication(
        spf=SpfResult(spf_result, spf) if spf else None,
        dkim=tuple(DkimResult(dkim_result, domain) for domain in signers),
    )
    result: DmarcResult = wait(check_dmarc(zone, header, auth, random=lambda: draw))
    return result


# records


def test_a_whole_record() -> None:
    record = parse_record(
        b"v=DMARC1; p=quarantine; sp=none; np=reject; adkim=s; aspf=S; t=y; psd=n; pct=30; fo=1:d;"
        b" rua=mailto:a@x.example!10m, mailto:b%2bc@x.example, https://x.example/; ri=3600; new=1"
    )
    assert record is not None
    assert (record.policy, record.subdomains, record.nonexistent) == (
        DmarcAction.QUARANTINE,
        DmarcAction.NONE,
        DmarcAction.REJECT,
    )
    assert record.strict_dkim
    assert record.strict_spf
    assert record.is_testing
    assert (record.psd, record.percent, record.interval) == ("n", 30, 3600)
    assert record.failure_options == {"1", "d"}
    addresses = [(str(uri.address), uri.most) for uri in record.aggregate]
    assert addresses == [("a@x.example", 10 << 20), ("b+c@x.example", 0)]


@pytest.mark.parametrize(
    "text",
    ["", "v=DMARC2; p=none", "p=none; v=DMARC1", "v=dmarc1; p=none", "v=DMARC1",
     "v=DMARC1x; p=none", "v=DMARC1; p=nonsense",
     "v=DMARC1; p=reject; sp=nonsense", "v=spf1 -all"],
)  # fmt: skip
def test_no_records(text: str) -> None:
    assert parse_record(text.encode()) is None


def test_a_broken_policy_with_an_address_asks_for_reports_only() -> None:
    record = parse_record(b"v=DMARC1; p=reject; sp=nonsense; rua=mailto:a@x.example")
    assert record is not None
    assert record.policy is DmarcAction.NONE
    assert record.subdomains is None


@given(st.binary(max_size=200))
def test_any_octets_are_a_record_or_none(octets: bytes) -> None:
    parse_record(octets)
    parse_record(b"v=DMARC1;" + octets)


# discovery


def test_eight_lookups_at_most() -> None:
    zone = TxtZone({})
    wait(walk(zone, ".".join("abcdefghijklmnop") + ".example"))
    assert len(zone.asked) == 8
    assert zone.asked[1] == "_dmarc.k.l.m.n.o.p.example"
    assert zone.asked[-1] == "_dmarc.example"


def test_two_records_are_none() -> None:
    zone = TxtZone({"_dmarc.a.example": [REJECT, "v=DMARC1; p=none"]})
    assert wait(walk(zone, "a.example")).applicable() is None
    zone = TxtZone({"_dmarc.a.example": [REJECT, "something else"]})
    assert wait(walk(zone, "a.example")).applicable() is not None


@pytest.mark.parametrize(
    ("zone", "domain", "organization"),
    [
        ({}, "a.b.co.uk", "b.co.uk"),
        ({"a.b.co.uk": REJECT}, "a.b.co.uk", "b.co.uk"),
        # a registry that says nothing is no organization
        ({"co.uk": REJECT}, "a.b.co.uk", "b.co.uk"),
        ({"co.uk": REJECT + "; psd=y"}, "a.b.co.uk", "b.co.uk"),
        ({"b.example": REJECT + "; psd=y"}, "c.a.b.example", "a.b.example"),
        ({"a.b.example": REJECT + "; psd=n"}, "c.a.b.example", "a.b.example"),
    ],
)
def test_organizations(zone: dict[str, str], domain: str, organization: str) -> None:
    resolver = TxtZone({f"_dmarc.{name}": [text] for name, text in zone.items()})
    assert wait(organizational_domain(resolver, domain)) == organization


def test_which_policy() -> None:
    zone = {"example.org": "v=DMARC1; p=reject; sp=quarantine; np=none"}
    assert check("a@example.org", zone).action is DmarcAction.REJECT
    assert check("a@ghost.example.org", zone).action is DmarcAction.NONE
    records = {"_dmarc.example.org": [zone["example.org"]]}
    living = TxtZone(records, living=["sub.example.org"])
    found = check("a@sub.example.org", living)
    assert (found.action, found.record_domain) == (DmarcAction.QUARANTINE, "example.org")


# alignment


@pytest.mark.parametrize(
    ("tags", "signer", "spf", "aligned"),
    [
        ("", "example.org", "", ("dkim",)),
        ("", "mail.example.org", "", ("dkim",)),
        ("; adkim=s", "mail.example.org", "", ()),
        ("; adkim=s", "news.example.org", "", ("dkim",)),
        ("; adkim=s", "news.example.org", "b.example.org", ("dkim", "spf")),
        ("; aspf=s", "", "b.example.org", ()),
        ("", "example.com", "org", ()),
        ("", "other-example.org", "xexample.org", ()),
        ("", "NEWS.example.org", "", ("dkim",)),
    ],
)
def test_alignment(tags: str, signer: str, spf: str, aligned: tuple[str, ...]) -> None:
    zone = {"news.example.org": REJECT + tags}
    signers = (signer,) if signer else ()
    found = check("a@news.example.org", zone, *signers, spf=spf)
    assert found.aligned_by == aligned
    assert found.result is (Result.PASS if aligned else Result.FAIL)


def test_organizations_that_were_declared_do_not_speak_for_each_other() -> None:
    zone = {"co.example": REJECT + "; psd=n", "example": REJECT}
    assert not check("a@co.example", zone, "x.example")
    registry = {"bank.example": REJECT + "; psd=y", "a.bank.example": REJECT}
    assert not check("a@a.bank.example", registry, "b.bank.example")


def test_what_did_not_pass_does_not_align() -> None:
    for result in (Result.FAIL, Result.POLICY, Result.NEUTRAL, Result.NONE):
        found = check("a@x.example", {"x.example": REJECT}, "x.example", dkim_result=result)
        assert found.result is Result.FAIL


def test_a_signature_that_could_not_be_checked_may_have_passed() -> None:
    zone = {"x.example": REJECT}
    found = check("a@x.example", zone, "x.example", dkim_result=Result.TEMPERROR)
    assert (found.result, found.action) == (Result.TEMPERROR, DmarcAction.NONE)
    other = check("a@x.example", zone, "y.example", dkim_result=Result.TEMPERROR)
    assert other.result is Result.FAIL
    spf = check("a@x.example", zone, spf="x.example", spf_result=Result.TEMPERROR)
    assert spf.result is Result.TEMPERROR


# DNS


def test_no_answer_is_temperror_wherever_it_is_missing() -> None:
    for zone in ({"x.example": None}, {"a.x.example": None}, {"example": None}):
        found = check("a@a.x.example", zone)  # type: ignore[arg-type]
        assert (found.result, found.action) == (Result.TEMPERROR, DmarcAction.NONE)
    # about the identifier
    silent: dict[str, Any] = {"x.example": REJECT, "b.x.example": None}
    assert check("a@x.example", silent, "b.x.example").result is Result.TEMPERROR


def test_answers_of_any_size() -> None:
    zone = TxtZone({"_dmarc.x.example": [b"v=DMARC1; p=reject; " + b"a=b;" * 16_000, b"\xff" * 64]})
    assert check("a@x.example", zone).action is DmarcAction.REJECT


# wishes


def test_sampling() -> None:
    zone = {"x.example": REJECT + "; pct=30"}
    assert check("a@x.example", zone, draw=0.29).action is DmarcAction.REJECT
    left_out = check("a@x.example", zone, draw=0.31)
    assert (left_out.action, left_out.override) == (DmarcAction.QUARANTINE, "sampled_out")
    none = check("a@x.example", {"x.example": "v=DMARC1; p=quarantine; pct=0"})
    assert (none.published, none.action) == (DmarcAction.QUARANTINE, DmarcAction.NONE)


def test_a_test_is_one_step_milder() -> None:
    found = check("a@x.example", {"x.example": REJECT + "; t=y"})
    assert (found.action, found.override) == (DmarcAction.QUARANTINE, "policy_test_mode")


# authors

TWO: dict[str, Any] = {"x.example": REJECT, "y.example": "v=DMARC1; p=quarantine"}


def test_of_several_authors_the_strictest_wish_of_those_that_fail() -> None:
    assert check("a@x.example, b@y.example", TWO).domain == "x.example"
    found = check("a@x.example, b@y.example", TWO, "x.example")
    assert (found.domain, found.action) == ("y.example", DmarcAction.QUARANTINE)
    assert check("a@x.example, b@y.example", TWO, "x.example", "y.example")
    assert check("G: a@x.example, b@y.example;", TWO).domain == "x.example"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Subject: x\r\n",
        b"From: \r\n",
        b"From: nobody:;\r\n",
        b"From: a@[192.0.2.1]\r\n",
        b"From: nobody\r\n",
        b"From: a@x..example\r\n",
        b"From: a@\xff\r\n",
        b"From: a@z.example\r\nFrom: b@z.example\r\n",
        b"From: a@z.example <b@z.example\r\n",
    ],
)
def test_from_that_is_none(header: bytes) -> None:
    found = check(header, TWO, "z.example")
    assert (found.result, found.action) == (Result.PERMERROR, DmarcAction.NONE)
    assert found.reason


@pytest.mark.parametrize(
    "header",
    [
        b"From: a@z.example\r\nFrom: b@x.example\r\n",
        b"From: a@x.example <b@z.example\r\n",
        b'From: "a <b@x.example>\r\n',
        b"From: <a@x.example> <a@z.example>\r\n",
        b"From: a@x.example\x00\r\n",
        b"From: a@(b)x.example c\r\n",
        b'From: a@"x.example"\r\n',
        b"From: a@b..x.example\r\n",
        b"From: a@.x.example\r\n",
        b"From: a@" + b"b" * 64 + b".x.example\r\n",
        b"From: " + b"\r\n  " * 30_000 + b"<a@x.example>\r\n",
        b'From: "' + b"b" * 70_000 + b'" <a@x.example>\r\n',
    ],
)
def test_a_policy_is_not_evaded_by_a_syntax_error(header: bytes) -> None:
    assert check(header, TWO, "z.example").action is DmarcAction.REJECT


@pytest.mark.parametrize(
    "header",
    [
        b"From: a@q.example, a@b.test, a@c.test, a@d.test, a@x.example\r\n",
        b"From: a@q.example\r\n" * 5 + b"From: a@x.example\r\n",
    ],
)
@pytest.mark.parametrize("signer", ["z.example", "q.example"])
def test_nor_by_a_crowd_of_authors(header: bytes, signer: str) -> None:
    zone = {"x.example": REJECT, "q.example": "v=DMARC1; p=none"}
    found = check(header, zone, signer)
    assert (found.result, found.action) == (Result.PERMERROR, DmarcAction.QUARANTINE)


def test_a_broken_from_vouches_for_nobody() -> None:
    found = check(b"From: a@x.example <b@x.example\r\n", TWO, "x.example")
    assert found.result is Result.PERMERROR


def test_internationalised_names() -> None:
    zone = {"xn--bcher-kva.example": REJECT}
    found = check("a@bücher.example", zone)
    assert (found.domain, found.result) == ("xn--bcher-kva.example", Result.FAIL)
    assert check("a@bücher.example", zone, "bücher.example")


def test_many_authors_cost_a_few_lookups() -> None:
    zone = TxtZone({})
    addresses = ", ".join(f"a@a.b.c.d.e.f.g.h{number}.example" for number in range(900))
    found = check(addresses, zone)
    assert found.result is Result.PERMERROR
    assert len(zone.asked) <= 4 * 8


@given(st.binary(max_size=200))
def test_any_from_has_authors_or_trouble(value: bytes) -> None:
    found = authors(b"From: " + value.replace(b"\n", b"") + b"\r\n")
    assert found.domains or found.trouble


# consent


@pytest.mark.parametrize(
    ("destination", "texts", "agrees"),
    [
        ("example.org", [], True),
        ("reports.example.org", [], True),
        ("other.example", [], False),
        ("other.example", ["v=DMARC1"], True),
        ("other.example", ["v=DMARC1; rua=mailto:x@other.example"], True),
        ("other.example", ["v=spf1"], False),
        ("other.example", ["v=DMARC1; bogus"], False),
        ("not a name", ["v=DMARC1"], False),
    ],
)
def test_who_agreed(destination: str, texts: list[str], agrees: bool) -> None:
    records = {f"example.org._report._dmarc.{destination}": texts} if texts else {}
    assert wait(accepts_reports(TxtZone(records), destination, "example.org")) is agrees
