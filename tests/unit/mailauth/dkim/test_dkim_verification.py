"""Verifying: what passes, what does not and why, and that nobody can make it dear."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.core.authentication import DkimResult, Result
from mailframe.mailauth.dkim import DkimLimits, SigningKey, generate, verify_dkim
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailauth.dkim.dkim_world import (
    BODY,
    ED,
    HEADER,
    NOW,
    RSA,
    DnsTemporary,
    Keys,
    Source,
    hand_signed,
    opener,
    record_of,
    signed,
    verified,
    zone,
)

R_NAME = "r._domainkey.example.org"


def one(header: bytes, body: bytes = BODY, *rest: Any, **more: Any) -> DkimResult:
    (result,) = verified(header, body, *rest, **more)
    return result


def with_record(**tags: str) -> Keys:
    return Keys({R_NAME: record_of(RSA, **tags)})


def test_no_signature_is_none() -> None:
    assert verified(HEADER) == (DkimResult(Result.NONE),)


@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
@pytest.mark.parametrize("c", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed"])
@pytest.mark.parametrize("body", [BODY, b"", b"\r\n\r\n", b"no line end", b" \t\r\n"])
def test_right_signatures_pass_whatever_the_pieces(key: SigningKey, c: str, body: bytes) -> None:
    for most in (1, 3, 1 << 20):
        result = one(hand_signed(key=key, c=c, body=body), body, most=most)
        assert result.result is Result.PASS
        assert (result.domain, result.selector) == ("example.org", key.selector)
        assert (result.algorithm, result.identity) == (key.algorithm, "@example.org")
        assert result.key_bits == (2048 if key is RSA else 256)
        assert len(result.signature) == 8


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject:  two", b"Subject: too"),
        (b"Bob <", b"Rob <"),
        (b"s=r", b"s=e"),
        (b"d=example.org", b"d=example.net"),
        (b"a=rsa-sha256", b"a=ed25519-sha256"),
        (b"h=from:to:subject", b"h=from:to"),
        (b"c=relaxed/relaxed", b"c=simple/relaxed"),
        (b"v=1; ", b"v=1; x=9999999999; "),
    ],
)
def test_what_was_signed_cannot_be_changed(old: bytes, new: bytes) -> None:
    header = hand_signed()
    assert header.count(old)
    assert not one(header.replace(old, new, 1))


def test_a_changed_body_fails_as_such() -> None:
    result = one(hand_signed(), BODY.replace(b"last", b"lost"))
    assert (result.result, result.reason) == (Result.FAIL, "body hash does not match")
    result = one(hand_signed().replace(b"Bob", b"Rob"))
    assert (result.result, result.reason) == (Result.FAIL, "signature does not match")


def test_fields_are_taken_from_the_bottom_up() -> None:
    twice = HEADER + b"Comments: one\r\nComments: two\r\n"
    header = hand_signed(twice, h="from:comments")
    assert one(header)
    assert one(header.replace(b"Comments: one", b"Comments: changed"))
    assert not one(header.replace(b"Comments: two", b"Comments: changed"))
    assert one(b"Comments: a new one\r\n" + header)
    assert not one(header + b"Comments: below\r\n")


def test_a_field_that_is_named_once_more_cannot_be_added() -> None:
    """RFC 6376 section 8.15."""
    header = hand_signed(h="from:from:to:subject:subject:reply-to")
    assert one(header)
    for more in (
        b"From: eve@evil.example\r\n",
        b"Subject: x\r\n",
        b"Reply-To: eve@evil.example\r\n",
    ):
        assert one(more + header).reason == "signature does not match"
        assert one(header + more).reason == "signature does not match"


def test_a_second_from_is_never_a_pass() -> None:
    """The signer named From once; the reader may be shown either."""
    result = one(b"From: eve@evil.example\r\n" + hand_signed())
    assert (result.result, result.reason) == (Result.POLICY, "more than one From")


def test_a_signature_covers_those_before_it_and_not_itself() -> None:
    before = hand_signed(key=ED)
    header = hand_signed(before, h="from:dkim-signature:dkim-signature")
    top, below = verified(header)
    assert top
    assert below
    broken = header.replace(b"d=example.org; s=e", b"d=example.org; s=x", 1)
    assert verified(broken)[0].reason == "signature does not match"


@pytest.mark.parametrize(
    ("tags", "result", "reason"),
    [
        ({"t": str(NOW)}, Result.PASS, ""),
        ({"t": str(NOW + 299)}, Result.PASS, ""),
        ({"t": str(NOW + 400)}, Result.POLICY, "signed in the future"),
        ({"x": str(NOW)}, Result.PASS, ""),
        ({"x": str(NOW - 1)}, Result.FAIL, "expired"),
        ({"t": str(NOW - 9), "x": str(NOW - 10)}, Result.PERMERROR, "expires before it was made"),
        ({"t": "soon"}, Result.PERMERROR, "t= is no number"),
        ({"x": "-1"}, Result.PERMERROR, "x= is no number"),
        ({"t": "9" * 77}, Result.PERMERROR, "t= is no number"),
        ({"x": "9" * 76}, Result.PASS, ""),
        ({"i": "bob@example.org"}, Result.PASS, ""),
        ({"i": "bob@Mail.Example.Org"}, Result.PASS, ""),
        ({"i": "=62ob=40mail=2Eexample.org"}, Result.PASS, ""),
        ({"i": "=C3=28\xff@example.org"}, Result.PASS, ""),
        ({"i": "x=0D=0A@example.org"}, Result.PERMERROR, "i= is no identity"),
        ({"i": "@example.net"}, Result.PERMERROR, "i= is not within d="),
        ({"i": "@notexample.org"}, Result.PERMERROR, "i= is not within d="),
        ({"i": "example.org"}, Result.PERMERROR, "i= is no identity"),
        ({"i": "@"}, Result.PERMERROR, "no domain name"),
        ({"q": "dns/txt"}, Result.PASS, ""),
        ({"q": "http : dns/txt"}, Result.PASS, ""),
        ({"q": "http"}, Result.PERMERROR, "unknown query method"),
        ({"z": "From:x|To:y", "new": "tags are ignored"}, Result.PASS, ""),
        ({"v": "2"}, Result.PERMERROR, "unknown version"),
        ({"a": "rsa-md5"}, Result.PERMERROR, "unknown algorithm"),
        ({"a": "RSA-SHA256"}, Result.PASS, ""),
        ({"d": "example..org"}, Result.PERMERROR, "no domain name"),
        ({"d": "x" * 64 + ".org"}, Result.PERMERROR, "no domain name"),
        ({"d": "\u00e4" * 9000}, Result.PERMERROR, "no domain name"),
        ({"s": "a b"}, Result.PERMERROR, "no domain name"),
        ({"s": ""}, Result.PERMERROR, "no domain name"),
        ({"bh": "="}, Result.PERMERROR, "bh= is no base64"),
        ({"bh": ""}, Result.PERMERROR, "bh= is empty"),
        ({"d": "example.net"}, Result.PERMERROR, "no key"),
    ],
)  # fmt: skip
def test_tags(tags: dict[str, str], result: Result, reason: str) -> None:
    found = one(hand_signed(**tags))
    assert (found.result, found.reason) == (result, reason)


@pytest.mark.parametrize("name", ["v", "a", "b", "bh", "d", "h", "s"])
def test_tags_that_must_be_there(name: str) -> None:
    header = hand_signed().replace(b"%s=" % name.encode(), b"x%s=" % name.encode(), 1)
    found = one(header)
    assert (found.result, found.reason) == (Result.PERMERROR, f"no {name}=")


@pytest.mark.parametrize("h", ["to:subject", "", "from:", "from:b d", "resent-from"])
def test_h_must_be_names_with_from_among_them(h: str) -> None:
    assert one(hand_signed(h=h)).result is Result.PERMERROR


@pytest.mark.parametrize("c", ["nowsp", "relaxed/nowsp", "/relaxed", "relaxed/"])
def test_canonicalizations_that_are_none(c: str) -> None:
    header = hand_signed().replace(b"c=relaxed/relaxed", f"c={c}".encode())
    expected = "unknown canonicalization"
    assert one(header).reason == (expected if c != "relaxed/" else "body hash does not match")


def test_a_body_signed_in_part() -> None:
    """RFC 6376 section 8.2: what is appended was never signed."""
    whole = BODY + b"and what somebody added\r\n"
    header = hand_signed(c="simple/simple", length="10")
    result = one(header, whole)
    assert result.result is Result.POLICY
    assert result.reason.startswith("only 10 of ")
    assert one(header, whole, limits=DkimLimits(allow_partial=True))
    for most in (1, 3, 7):
        assert one(header, whole, limits=DkimLimits(allow_partial=True), most=most)
    assert one(header, b"Other stuff").reason == "body hash does not match"
    everything = hand_signed(c="simple/simple", length=str(len(BODY) - 2))
    assert one(everything).reason == ""
    nothing = hand_signed(length="0")
    assert one(nothing).result is Result.POLICY
    beyond = hand_signed(length="5000")
    assert one(beyond).reason == "l= is beyond the body"


@pytest.mark.parametrize(
    ("tags", "result", "reason"),
    [
        ({"t": "s"}, Result.PERMERROR, "the key is not for subdomains"),
        ({"t": "x : s"}, Result.PERMERROR, "the key is not for subdomains"),
        ({"t": "q"}, Result.PASS, ""),
        ({"p": ""}, Result.PERMERROR, "key revoked"),
        ({"p": "AAAA"}, Result.PERMERROR, "no RSA key"),
        ({"p": "!"}, Result.PERMERROR, "key is no base64"),
        ({"h": "sha1"}, Result.PERMERROR, "the key is not for this hash"),
        ({"h": "sha1:sha256"}, Result.PASS, ""),
        ({"s": "tlsrpt"}, Result.PERMERROR, "the key is not for mail"),
        ({"s": "x:email"}, Result.PASS, ""),
        ({"k": "new"}, Result.PERMERROR, "key of unknown type"),
        ({"v": "DKIM2"}, Result.PERMERROR, "key record of another version"),
        ({"g": "jim", "n": "ignored"}, Result.PASS, ""),
    ],
)
def test_records(tags: dict[str, str], result: Result, reason: str) -> None:
    header = hand_signed(i="bob@mail.example.org")
    found = one(header, BODY, with_record(**tags))
    assert (found.result, found.reason) == (result, reason)


def test_a_key_of_another_kind() -> None:
    other = Keys({R_NAME: record_of(ED)})
    assert one(hand_signed(), BODY, other).reason == "the key is for another algorithm"


def test_a_testing_key_is_told() -> None:
    for header, result in (
        (hand_signed(), Result.PASS),
        (hand_signed(body_hash=b"x"), Result.FAIL),
    ):
        found = one(header, BODY, with_record(t="y"))
        assert (found.result, found.is_testing) == (result, True)


def test_short_keys_are_policy() -> None:
    """RFC 8301 section 3.2."""
    found = one(hand_signed(), limits=DkimLimits(min_key_bits=2049))
    assert (found.result, found.reason) == (Result.POLICY, "key of 2048 bits is too short")
    found = one(hand_signed(), limits=DkimLimits(max_key_bits=2047))
    assert (found.result, found.reason) == (Result.PERMERROR, "key of 2048 bits is too long")


@pytest.mark.parametrize(
    ("answer", "result", "reason"),
    [
        (DnsTemporary("no"), Result.TEMPERROR, "no answer from the DNS"),
        ([], Result.PERMERROR, "no key"),
        ([b"v=spf1 -all"], Result.PERMERROR, "key record of another version"),
        ([b"v=spf1 -all", record_of(RSA)], Result.PASS, ""),
        ([b"x"] * 5 + [record_of(RSA)], Result.PERMERROR, "key record: no tag list"),
    ],
)
def test_answers_of_the_dns(answer: Any, result: Result, reason: str) -> None:
    found = one(hand_signed(), BODY, Keys({R_NAME: answer}))
    assert (found.result, found.reason) == (result, reason)


def test_keys_that_do_not_come_in_time() -> None:
    never: Deferred[Any] = Deferred()
    keys = Keys({R_NAME: never, "e._domainkey.example.org": record_of(ED)})
    clock = Clock()
    header = signed(keys=(RSA, ED))
    limits = DkimLimits(timeout=15)
    checking = as_deferred(
        verify_dkim(
            keys, header, opener(BODY), InlineWorkers(), now=NOW, limits=limits, clock=clock
        )
    )
    clock.advance(14.9)
    assert not checking.called
    clock.advance(0.2)
    slow, good = fired(checking)
    assert (slow.result, slow.reason) == (Result.TEMPERROR, "no answer from the DNS")
    assert good
    assert never.called
    assert not clock.getDelayedCalls()


def test_many_signatures_are_looked_at_up_to_the_limit() -> None:
    header = HEADER
    for _ in range(12):
        header = hand_signed(header)
    keys = zone()
    results = verified(header, BODY, keys)
    assert len(results) == 11
    assert all(results[:10])
    assert (results[10].result, results[10].reason) == (Result.POLICY, "too many signatures")
    assert keys.asked == [R_NAME]  # asked once


def test_each_signature_has_its_own_result_from_the_top() -> None:
    header = hand_signed(hand_signed(hand_signed(), body_hash=b"wrong"), key=ED)
    header = b"DKIM-Signature: rubbish\r\n" + header
    results = verified(header)
    assert [each.result for each in results] == [
        Result.PERMERROR, Result.PASS, Result.FAIL, Result.PASS,
    ]  # fmt: skip
    assert results[0].reason == "no tag list"


def test_a_signature_of_megabytes_is_not_read() -> None:
    header = hand_signed(h="from" + ":from" * 200_000)
    started = time.perf_counter()
    found = one(header)
    assert (found.result, found.reason) == (Result.PERMERROR, "the signature is too long")
    assert time.perf_counter() - started < 1


def test_the_body_is_read_once_and_closed() -> None:
    source = Source(BODY)
    opened = []

    async def open_body() -> Any:
        opened.append(source)
        return source

    header = hand_signed(hand_signed(c="simple/simple"), length="5")
    checking = verify_dkim(zone(), header, open_body, InlineWorkers(), now=NOW)
    assert len(fired(as_deferred(checking))) == 2
    assert opened == [source]
    assert source.is_closed


def test_the_body_is_not_read_for_nothing() -> None:
    async def open_body() -> Any:
        raise AssertionError

    for resolver in (Keys({}), Keys({R_NAME: DnsTemporary("no")})):
        checking = verify_dkim(resolver, hand_signed(), open_body, InlineWorkers(), now=NOW)
        assert not fired(as_deferred(checking))[0]


def test_international_domains_and_mailboxes() -> None:
    """RFC 8616 section 4: d=, s= and i= may have U-labels."""
    key = replace(RSA, domain="b\u00fccher.example")
    keys = Keys({"r._domainkey.xn--bcher-kva.example": record_of(RSA)})
    header = hand_signed(key=key, i="j\u00fcrgen@post.b\u00fccher.example")
    found = one(header, BODY, keys)
    assert found
    assert found.domain == "xn--bcher-kva.example"
    assert found.identity == "j\u00fcrgen@post.b\u00fccher.example"


def test_an_sha1_signature_is_refused() -> None:
    """RFC 8301 section 3.1."""
    found = one(hand_signed(a="rsa-sha1"))
    assert (found.result, found.reason) == (Result.PERMERROR, "rsa-sha1 is not secure")


def test_what_a_wrong_signature_says_of_itself_is_kept_short_and_on_one_line() -> None:
    text = b"DKIM-Signature: v=1; d=" + b"a." * 900 + b"\r\n\tb; s=s\r\n\t.t; a=a; i=i\r\n"
    found = one(text + HEADER)
    assert found.result is Result.PERMERROR
    assert len(found.domain) == 253
    assert found.selector == "s.t"


def test_another_key_of_the_same_kind_does_not_do() -> None:
    other = replace(RSA, private=generate("rsa-sha256"))
    assert one(hand_signed(key=other)).reason == "signature does not match"
