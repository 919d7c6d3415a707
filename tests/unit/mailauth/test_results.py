"""Authentication-Results: what peers said stays where it stands, what is forged goes."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcAction,
    DmarcResult,
    IprevResult,
    Result,
    SpfResult,
)
from mailframe.mailauth.results import authentication_results, parse_results, without_forged
from mailframe.mailauth.results.lexical import unquoted
from mailframe.message import headers
from mailframe.message.trace import field_line

US = "mx.example.net"
FULL = Authentication(
    iprev=IprevResult(Result.PASS, "2001:db8::1", "mail.example.org"),
    helo=SpfResult(Result.NONE, "mail.example.org", "helo", "mail.example.org"),
    spf=SpfResult(Result.PASS, "example.org", "mailfrom", "ann@example.org"),
    dkim=(
        DkimResult(Result.PASS, "example.org", "s1", "rsa-sha256", "@example.org", "aB/c=", 2048),
        DkimResult(Result.FAIL, "list.example", "s2", reason="body hash did not verify"),
    ),
    arc=ArcResult(Result.PASS, ("list.example",)),
    dmarc=DmarcResult(Result.PASS, "example.org", "example.org", aligned_by=("dkim",)),
)


def test_what_it_looks_like() -> None:
    assert authentication_results(US, FULL).split("\r\n\t") == [
        "mx.example.net;",
        'iprev=pass (mail.example.org) policy.iprev="2001:db8::1";',
        "spf=none smtp.helo=mail.example.org;",
        "spf=pass smtp.mailfrom=ann@example.org;",
        "dkim=pass (2048-bit key) header.d=example.org header.s=s1",
        'header.a=rsa-sha256 header.b="aB/c=";',
        'dkim=fail reason="body hash did not verify" header.d=list.example',
        "header.s=s2;",
        "arc=pass (sealed by list.example);",
        "dmarc=pass (p=none) header.from=example.org",
    ]


def test_nothing_checked_nothing_said() -> None:
    assert authentication_results(US, Authentication()) == ""


def test_a_result_of_the_helo_name_alone_is_told_once() -> None:
    helo = SpfResult(Result.PASS, "h.example", "helo", "h.example")
    told = authentication_results(US, Authentication(helo=helo, spf=helo))
    assert told == "mx.example.net;\r\n\tspf=pass smtp.helo=h.example"


def test_the_wish_of_the_domain_is_told_where_it_matters() -> None:
    dmarc = DmarcResult(
        Result.FAIL, "a.example", "example", DmarcAction.QUARANTINE, DmarcAction.REJECT
    )
    told = authentication_results(US, Authentication(dmarc=dmarc))
    assert "dmarc=fail (p=reject) header.from=a.example policy.dmarc=quarantine" in told


def test_ascii_unless_the_message_may_have_more() -> None:
    spf = SpfResult(Result.PASS, "bücher.example", sender="ann@bücher.example")
    auth = Authentication(spf=spf)
    assert "smtp.mailfrom=ann@xn--bcher-kva.example" in authentication_results(US, auth)
    assert "ann@bücher.example" in authentication_results(US, auth, utf8=True)
    local = Authentication(spf=SpfResult(Result.PASS, "a.example", sender="über@a.example"))
    assert "smtp.mailfrom=a.example" in authentication_results(US, local)


texts = st.text(max_size=300)


@given(texts, texts, texts, st.booleans())
def test_nothing_breaks_out(sender: str, domain: str, reason: str, utf8: bool) -> None:
    auth = Authentication(
        iprev=IprevResult(Result.FAIL, "192.0.2.1", domain, reason),
        spf=SpfResult(Result.FAIL, domain, sender=sender, reason=reason),
        dkim=(DkimResult(Result.FAIL, domain, sender, reason, sender, domain, reason=reason),),
        arc=ArcResult(Result.FAIL, (domain, sender), reason),
        dmarc=DmarcResult(Result.FAIL, domain, domain, override=reason, reason=sender),
    )
    value = authentication_results(US, auth, utf8=utf8)
    line = field_line("Authentication-Results", value)
    (field,) = headers.fields(line)
    assert utf8 or line.isascii()
    assert max(map(len, line.split(b"\r\n"))) < 998
    parsed = parse_results(field.value)
    assert parsed.authserv_id == US
    assert [each.method for each in parsed.results] == ["iprev", "spf", "dkim", "arc", "dmarc"]
    assert {each.result for each in parsed.results} == {"fail"}


# reading


def test_read() -> None:
    parsed = parse_results(
        b"i=2; (c;) mx.example.org 1; spf=pass (a \\) b; dkim=pass) smtp.mailfrom=a@b.example;\r\n"
        b' dkim=fail reason="no; dmarc=pass" header . d = example.org header.b=ab/c=;'
        b" dmarc/1=PASS header.from=example.org;"
    )
    assert parsed.instance == 2
    assert parsed.authserv_id == "mx.example.org"
    spf, dkim, dmarc = parsed.results
    assert (spf.method, spf.result, spf.properties) == (
        "spf", "pass", {"smtp.mailfrom": "a@b.example"},
    )  # fmt: skip
    assert dkim.reason == "no; dmarc=pass"
    assert dkim.properties == {"header.d": "example.org", "header.b": "ab/c="}
    assert (dmarc.result, parsed.of("dmarc")) == ("pass", (dmarc,))


def test_none_is_no_result() -> None:
    assert parse_results("mx.example.org; none").results == ()
    assert parse_results("mx.example.org").results == ()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"; spf=pass",
        b"mx.example.org spf=pass dmarc=pass; dmarc",
        b"mx.example.org; spf=pass (open",
        b'mx.example.org; spf=fail reason="open; dmarc=pass',
        b"mx.example.org; spf=pass smtp.mailfrom=a b c",
        b"mx.example.org; dmarc=pass; \xff",
        b"mx.example.org; " + b"(" * 50 + b")" * 50,
        b"mx.example.org" + b"; a=b" * 500,
        b"x" * 70_000,
    ],
)
def test_malformed_is_refused_as_a_whole(value: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - also of decoding
        parse_results(value)


@given(st.binary(max_size=400))
def test_any_octets_are_read_or_refused(value: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_results(value)


# forged


def without(*values: bytes) -> bytes:
    header = b"".join(b"Authentication-Results: " + value + b"\r\n" for value in values)
    return without_forged(b"From: a@b.example\r\n" + header + b"Subject: x\r\n", US)


@pytest.mark.parametrize(
    "value",
    [
        b"mx.example.net; spf=pass",
        b"MX.Example.NET. ; none",
        b"mx.example.net",
        b"mx.example.net 1; dkim=pass",
        b"mx.example.net/1; dkim=pass",
        b"\r\n\tmx.example.net;\r\n\tspf=pass",
        b"(really (us\\)))mx.example.net(1) ; spf=pass",
        b'"mx.example.net"; spf=pass',
        b'"mx\\.example.n\\et"; spf=pass',
        "ｍｘ．ｅｘａｍｐｌｅ．ｎｅｔ; spf=pass".encode(),
        # what cannot be read may be read by somebody
        b"; mx.example.net; spf=pass",
        b"(open mx.example.net; spf=pass",
        b"mx.example.net spf=pass",
        b"=?utf-8?q?mx.example.net?=; spf=pass",
        b"\xffmx.example.net; spf=pass",
        b"\x00mx.example.net; spf=pass",
        b"mx.exa\x08mple.net; spf=pass",
        b"mx.example.net(" + b"(" * 100 + b"; spf=pass",
    ],
)
def test_forged_ones_go(value: bytes) -> None:
    assert without(value) == b"From: a@b.example\r\nSubject: x\r\n"


@pytest.mark.parametrize(
    "value",
    [
        b"mx.example.org; spf=pass",
        b"x.mx.example.net; none",
        b"(mx.example.net) a.example; none",
        # of nobody: Microsoft's, for one
        b"spf=pass smtp.mailfrom=x",
    ],
)
def test_those_of_others_stay(value: bytes) -> None:
    assert value in without(value)


def test_only_the_forged_ones_go() -> None:
    assert without(b"a.example; none", b"mx.example.net; none", b"c.example; none").count(b":") == 4


def test_an_internationalised_id_in_both_forms() -> None:
    for ours in ("bücher.example", "xn--bcher-kva.example"):
        for theirs in (ours, "bücher.example", "XN--bcher-KVA.example"):
            header = f"authentication-Results : {theirs}; spf=pass\r\n".encode()
            assert without_forged(header, ours) == b""


def test_fields_of_the_filter_go() -> None:
    header = b"X-Spam-Status: No\r\n\tindeed\r\nx-spam-flag: NO\r\nX-Spam-Else: y\r\nA: b\r\n"
    assert without_forged(header, US) == b"X-Spam-Else: y\r\nA: b\r\n"
    assert without_forged(header, US, filters=False) is header
    clean = b"Subject: x-spam-status: No\r\n"
    assert without_forged(clean, US) is clean


@pytest.mark.parametrize(
    "piece",
    [
        b"X-Other: " + b"a" * 60 + b"\r\n",
        b"Authentication-Results: o.example; spf=pass\r\n",
        b"Authentication-Results: (((((((((((((\r\n",
        b'Authentication-Results: "\\"\\"\\"\\"\\"\r\n',
        b"X-Spam-Status: a\r\n b\r\n c\r\n",
        "Authentication-Results: {}; x\r\n".format("é" * 127).encode(),
    ],
)
def test_a_large_header_takes_no_time(piece: bytes) -> None:
    header = piece * (262_144 // len(piece))
    began = time.perf_counter()
    without_forged(header, US)
    assert time.perf_counter() - began < 0.3


def test_ours_is_not_hidden_below_a_crowd_of_others() -> None:
    header = b"Authentication-Results: o.example; spf=pass\r\n" * 200
    ours = f"Authentication-Results: {US}; spf=pass\r\n".encode()
    kept = without_forged(header + ours, US)
    assert kept.count(b"o.example") == 50
    assert US.encode() not in kept


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ('"a b"', "a b"),
        (r'"a\"b"', 'a"b'),
        ('"a" and "b"', "a and b"),
        (r'x"\"', r'x"\"'),
        ('"', '"'),
    ],
)
def test_quotes_go(value: str, meant: str) -> None:
    assert unquoted(value) == meant


def test_quotes_that_do_not_end_take_no_time() -> None:
    bait = '"' + '\\"' * 100_000
    begun = time.thread_time()
    assert unquoted(bait) == bait
    assert time.thread_time() - begun < 1
