"""Chains that hold, that break, and that were made to cost us something."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any

import pytest

from mailframe.core.authentication import ArcResult, Result
from mailframe.mailauth.arc import ArcLimits, sealing
from mailframe.mailauth.dkim.signing import folded
from tests.unit.mailauth.arc.messages import (
    BODY,
    HEADER,
    NOW,
    Body,
    Records,
    dns,
    key,
    sealed,
    verified,
)

LIST, FORWARDER = key("list.example"), key("forward.example")
ED = key("ed.example", "ed25519-sha256")
DNS = dns(LIST, FORWARDER, ED)


@pytest.fixture(scope="module")
def one() -> bytes:
    return sealed(HEADER, LIST)


@pytest.fixture(scope="module")
def two(one: bytes) -> bytes:
    return sealed(one, FORWARDER)


def reason(header: bytes, records: Records = DNS, **more: Any) -> str:
    result = verified(header, records, **more)
    assert result.result is Result.FAIL
    return result.reason


class TestNone:
    def test_no_fields_is_none_and_the_body_is_not_read(self) -> None:
        body = Body()
        assert verified(HEADER, DNS, body) == ArcResult(Result.NONE)
        assert body.opened == 0


class TestPass:
    def test_one_set(self, one: bytes) -> None:
        assert verified(one, DNS) == ArcResult(Result.PASS, ("list.example",))

    def test_two_sets_the_latest_sealer_first(self, two: bytes) -> None:
        result = verified(two, DNS)
        assert result.result is Result.PASS
        assert result.sealers == ("forward.example", "list.example")

    def test_the_body_is_read_once(self, two: bytes) -> None:
        body = Body()
        verified(two, DNS, body)
        assert body.opened == 1

    def test_ed25519(self, one: bytes) -> None:
        assert verified(sealed(one, ED), DNS)

    def test_the_order_of_the_fields_does_not_matter(self, one: bytes) -> None:
        seal, rest = one.split(b"ARC-Message-Signature", 1)
        assert verified(b"ARC-Message-Signature" + rest + seal, DNS)

    def test_an_earlier_body_may_have_been_another(self, one: bytes) -> None:
        footer = BODY + b"-- \r\nthe list\r\n"
        assert verified(sealed(one, FORWARDER, body=footer), DNS, Body(footer))

    def test_fifty_sets(self) -> None:
        header = HEADER
        for _ in range(50):
            header = sealed(header, ED)
        result = verified(header, DNS)
        assert result.result is Result.PASS
        assert len(result.sealers) == 50
        assert "more than 10 sets" in reason(header, limits=ArcLimits(max_sets=10))

    def test_comments_in_front_of_the_instance(self) -> None:
        header = HEADER.replace(b"From", b"ARC-Authentication-Results: (x) i (y) = 1;a\r\nFrom", 1)
        assert "no ARC-Message-Signature i=1" in reason(header)


class TestFail:
    def test_another_body(self, one: bytes) -> None:
        assert "body hash" in reason(one, body=Body(b"Other.\r\n"))

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"Minutes", b"Money"), (b"Ann <ann@", b"Eve <eve@"), (b"d=author.", b"d=evil.")],
    )
    def test_a_changed_field(self, one: bytes, old: bytes, new: bytes) -> None:
        assert "signature does not match" in reason(one.replace(old, new, 1))

    @pytest.mark.parametrize("field", [b"From: <eve@evil.example>\r\n", b"Subject: Hi\r\n"])
    def test_another_field_of_a_name_that_is_signed(self, one: bytes, field: bytes) -> None:
        assert "signature does not match" in reason(one + field)
        assert "signature does not match" in reason(field + one)

    def test_changed_results(self, two: bytes) -> None:
        first_set = two.replace(b"mx.list.example; none", b"mx.list.example; dmarc=pass")
        assert reason(first_set) == "ARC-Seal i=1 does not match"

    def test_a_missing_set(self, one: bytes, two: bytes) -> None:
        latest = two[: len(two) - len(one)]
        assert "i=1" in reason(latest + HEADER)

    @pytest.mark.parametrize("kind", [b"Seal", b"Message-Signature", b"Authentication-Results"])
    def test_a_missing_field(self, one: bytes, kind: bytes) -> None:
        assert reason(one.replace(b"ARC-" + kind, b"X-ARC-" + kind)).startswith("no ARC-")

    @pytest.mark.parametrize("kind", [b"Seal", b"Message-Signature", b"Authentication-Results"])
    def test_a_field_twice(self, one: bytes, kind: bytes) -> None:
        field = b"ARC-" + kind + one.split(b"ARC-" + kind, 1)[1].split(b"\r\nARC", 1)[0]
        field = field.split(b"\r\nReceived", 1)[0] + b"\r\n"
        assert reason(field + one).endswith("i=1 twice")

    @pytest.mark.parametrize(
        ("old", "new", "why"),
        [
            (b"cv=none", b"cv=pass", "cv=pass"),
            (b"cv=none", b"cv=fail", "cv=fail"),
            (b"cv=none", b"cv=NONE", "unknown cv="),
            (b"cv=none", b"h=from; cv=none", "has h="),
            (b"cv=none", b"cv=none; cv=none", "tag cv twice"),
            (b"a=rsa-sha256", b"a=rsa-sha1", "rsa-sha1 is not secure"),
            (b"d=list.example", b"d=..", "no domain name"),
            (b"i=1; s=", b"i=0; s=", "with i=0"),
            (b"i=1; s=", b"i=51; s=", "with i=51"),
            (b"i=1; s=", b"i=111; s=", "without i="),
            (b"i=1; s=", b"i=-1; s=", "without i="),
            (b"i=1; s=", b"s=", "without i="),
        ],
    )
    def test_a_malformed_seal(self, one: bytes, old: bytes, new: bytes, why: str) -> None:
        seal, rest = one.split(b"ARC-Message-Signature", 1)
        assert old in seal
        assert why in reason(seal.replace(old, new) + b"ARC-Message-Signature" + rest)

    @pytest.mark.parametrize("said", ["none", "fail", "Pass", ""])
    def test_a_second_seal_says_something_else_than_pass(
        self, one: bytes, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def saying(name: str, tags: Sequence[tuple[str, str]]) -> bytes:
            return folded(name, [(tag, said if tag == "cv" else value) for tag, value in tags])

        monkeypatch.setattr(sealing, "folded", saying)
        assert "cv=" in reason(sealed(one, LIST))

    def test_a_seal_is_signed(self) -> None:
        names = [b"from", b"arc-seal"]
        assert "signs ARC-Seal" in reason(sealed(HEADER, LIST, names=names))
        assert verified(sealed(HEADER, LIST, names=names[:1]), DNS)

    @pytest.mark.parametrize("names", [[], [b"to", b"subject"]])
    def test_from_is_not_signed_but_all_else_is_right(self, names: list[bytes]) -> None:
        why = reason(sealed(HEADER, LIST, names=names))
        assert why.endswith(("From is not signed", "h= names no fields"))

    def test_expired(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tag = ("x", str(int(NOW) + 10))
        monkeypatch.setattr(sealing, "folded", lambda name, tags: folded(name, [*tags, tag]))
        header = sealed(HEADER, LIST)
        assert verified(header, DNS, now=NOW + 10)
        assert "expired" in reason(header, now=NOW + 11)

    @pytest.mark.parametrize(("length", "is_right"), [(3, False), (len(BODY), True)])
    def test_only_a_part_of_the_body_is_signed(
        self, length: int, is_right: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever could add text could put it before the reader in the sealer's name."""
        tag = ("l", str(length))
        monkeypatch.setattr(sealing, "folded", lambda name, tags: folded(name, [*tags, tag]))
        header = sealed(HEADER, LIST, body=BODY[:length])
        if is_right:
            assert verified(header, DNS)
        else:
            assert "only a part" in reason(header)

    def test_from_is_not_signed(self, one: bytes) -> None:
        seal, signature, rest = one.partition(b"ARC-Message-Signature")
        unsigned = seal + signature + rest.replace(b"from:from:", b"x-from:", 1)
        assert "From is not signed" in reason(unsigned)


class TestKeys:
    def test_no_key(self, one: bytes) -> None:
        body = Body()
        assert reason(one, Records({}), body=body) == "ARC-Seal i=1: no key"
        assert body.opened == 0

    def test_no_answer_is_a_failure_too(self, one: bytes) -> None:
        records = Records({"s1._domainkey.list.example": None})
        assert "no answer from the DNS" in reason(one, records)

    def test_a_revoked_key(self, one: bytes) -> None:
        records = Records({"s1._domainkey.list.example": b"v=DKIM1; p="})
        assert "revoked" in reason(one, records)

    def test_a_key_that_is_too_short_or_too_long(self, one: bytes) -> None:
        assert "too short" in reason(one, limits=ArcLimits(min_key_bits=4096))
        assert "too long" in reason(one, limits=ArcLimits(max_key_bits=1024))

    def test_a_key_for_something_else(self, one: bytes) -> None:
        text = DNS.records["s1._domainkey.list.example"]
        assert text is not None
        records = Records({"s1._domainkey.list.example": text + b"; s=tlsrpt"})
        assert "not for mail" in reason(one, records)

    def test_each_key_is_asked_for_once(self) -> None:
        records = dns(LIST)
        header = sealed(sealed(sealed(HEADER, LIST), LIST), LIST)
        assert verified(header, records)
        assert records.asked == ["s1._domainkey.list.example"]


class TestHostile:
    def test_more_than_fifty_sets(self) -> None:
        fields = b"".join(
            b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=x.example; s=s; b=YQ==\r\n" % i
            for i in range(1, 2000)
        )
        records = Records({})
        assert reason(fields + HEADER, records) == "more than 50 sets"
        assert records.asked == []

    def test_a_gap(self, two: bytes) -> None:
        assert "no ARC-" in reason(two.replace(b"i=2", b"i=3"))

    @pytest.mark.parametrize(
        "value",
        [
            b"i=1;" + b" (" * 300_000,
            b" " * 600_000,
            b"(a)" * 200_000,
            b"(" * 600_000 + b")" * 10,
            b";" * 600_000,
            b"i=1; " + b"a=b;" * 150_000,
            b"\0\xff=" * 200_000,
            b"i=1;\r\n\t" * 60_000,
        ],
    )
    def test_huge_fields(self, value: bytes) -> None:
        started = time.process_time()
        for kind in (b"Seal", b"Message-Signature", b"Authentication-Results"):
            verified(b"ARC-" + kind + b": " + value + b"\r\n" + HEADER, DNS)
        assert time.process_time() - started < 2.0

    def test_a_huge_signature(self, one: bytes) -> None:
        noise = base64.b64encode(b"x" * 499_998)
        seal, rest = one.split(b" b=", 1)
        assert "does not match" in reason(seal + b" b=" + noise + rest)

    def test_a_pile_of_keys_is_not_asked_for_where_the_structure_is_wrong(self) -> None:
        records = Records({})
        one_set = (
            b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=x.example; s=s; b=YQ==\r\n"
            b"ARC-Authentication-Results: i=1; x\r\n"
        )
        assert "no ARC-Message-Signature i=1" in reason(one_set + HEADER, records)
        assert records.asked == []
