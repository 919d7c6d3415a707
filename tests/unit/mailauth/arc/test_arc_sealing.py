"""Seals of our own: what is in them, what is not sealed, and what another verifier says."""

from __future__ import annotations

from typing import Any

import pytest

from mailframe.core.authentication import ArcResult, Result
from mailframe.mailauth.arc import seal_arc
from mailframe.mailauth.dkim import SigningKey
from mailframe.message.headers import fields, first
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailauth.arc.messages import BODY, HEADER, NOW, Body, dns, key, sealed, verified

LIST, FORWARDER = key("list.example"), key("forward.example")
DNS = dns(LIST, FORWARDER)
RESULTS = "mx.list.example;\r\n\tspf=pass smtp.mailfrom=author.example;\r\n\tdmarc=pass"
NONE, FAIL = ArcResult(Result.NONE), ArcResult(Result.FAIL)


def seal(header: bytes, arc: ArcResult, by: SigningKey = LIST, results: str = RESULTS) -> bytes:
    made: bytes = fired(
        as_deferred(
            seal_arc(header, Body(), InlineWorkers(), by, "mx.list.example", results, arc, now=NOW)
        )
    )
    return made


def text(header: bytes, name: str) -> str:
    field = first(header, name)
    assert field is not None
    return field.text


class TestFields:
    def test_three_the_seal_on_top(self) -> None:
        made = seal(HEADER, NONE)
        assert [field.name for field in fields(made)] == [
            "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results",
        ]  # fmt: skip
        assert b"".join(field.raw for field in fields(made)) == made

    def test_what_they_say(self) -> None:
        made = seal(HEADER, NONE)
        assert text(made, "ARC-Authentication-Results").split() == ["i=1;", *RESULTS.split()]
        for part in ("i=1;", "cv=none;", "d=list.example;", "a=rsa-sha256;", "s=s1;"):
            assert part in text(made, "ARC-Seal")
        assert "h=" not in text(made, "ARC-Seal")

    def test_what_is_signed(self) -> None:
        signature = seal(HEADER.replace(b"From", b"Authentication-Results: x\r\nFrom"), NONE)
        unblanked = text(signature, "ARC-Message-Signature").replace(" ", "")
        names = unblanked.split(";h=")[1].split(";")[0].split(":")
        assert names.count("from") == 2
        assert "dkim-signature" in names
        # RFC 8617 section 4.1.2
        assert not {name for name in names if "arc-" in name or "results" in name}
        assert "received" not in names

    def test_nothing_was_checked(self) -> None:
        made = seal(HEADER, NONE, results="")
        assert text(made, "ARC-Authentication-Results") == "i=1; mx.list.example; none"

    def test_lines_are_short(self) -> None:
        assert max(map(len, seal(HEADER, NONE).split(b"\r\n"))) <= 78

    def test_no_key(self) -> None:
        with pytest.raises(ValueError, match="key"):
            seal(HEADER, NONE, SigningKey("x.example", "s", "rsa-sha256", b"nonsense"))


class TestChains:
    def test_a_chain_that_passed(self) -> None:
        made = seal(sealed(HEADER, FORWARDER), ArcResult(Result.PASS))
        assert "cv=pass;" in text(made, "ARC-Seal")
        assert "i=2;" in text(made, "ARC-Seal")

    def test_a_chain_that_failed_is_declared_so_once(self) -> None:
        broken = sealed(HEADER, FORWARDER).replace(b"mx.forward", b"mx.evil")
        made = seal(broken, FAIL)
        assert "cv=fail;" in text(made, "ARC-Seal")
        assert "i=2;" in text(made, "ARC-Seal")
        assert seal(made + broken, FAIL) == b""

    def test_the_seal_of_a_failed_chain_covers_its_own_set_only(self) -> None:
        """RFC 8617 section 5.1.2: as if this newest set was the only one present."""
        broken = sealed(HEADER, FORWARDER).replace(b"mx.forward", b"mx.evil")
        alone = seal(HEADER.replace(b"Received", b"X"), FAIL)
        among = seal(broken.replace(b"Received", b"X"), FAIL)
        assert b"i=1" in alone
        assert b"i=2" in among
        again = seal(broken.replace(b"mx.evil", b"mx.other").replace(b"Received", b"X"), FAIL)
        assert again == among

    def test_unreadable_fields(self) -> None:
        made = seal(b"ARC-Seal: moo\r\n" + HEADER, FAIL)
        assert "cv=fail;" in text(made, "ARC-Seal")

    def test_nothing_after_fifty(self) -> None:
        last = b"ARC-Seal: i=50; cv=pass; a=rsa-sha256; d=x.example; s=s; b=YQ==\r\n"
        assert seal(last + HEADER, FAIL) == b""
        assert seal(last.replace(b"50", b"49") + HEADER, FAIL) != b""

    def test_nothing_where_nobody_validated(self) -> None:
        assert seal(sealed(HEADER, FORWARDER), NONE) == b""


class TestOracle:
    """dkimpy is another implementation."""

    @pytest.mark.parametrize("number", [1, 2, 5])
    def test_dkimpy_agrees(self, number: int) -> None:
        header = HEADER
        for _ in range(number):
            header = sealed(header, FORWARDER, RESULTS)
        assert verdict(header) == "pass"
        assert verified(header, DNS)

    def test_and_about_what_was_changed(self) -> None:
        header = sealed(sealed(HEADER, LIST), FORWARDER)
        assert verdict(header.replace(b"Minutes", b"Money")) == "fail"

    def test_and_we_about_its_seals(self) -> None:
        dkim = pytest.importorskip("dkim", reason="dkimpy is the oracle")
        header = HEADER
        for so_far in (b"none", b"pass", b"pass"):
            results = b"Authentication-Results: mx.list.example; arc=" + so_far + b"\r\n"
            lines = dkim.arc_sign(
                results + header + b"\r\n" + BODY, b"s1", b"list.example", pem(LIST),
                b"mx.list.example", timestamp=int(NOW),
            )  # fmt: skip
            header = b"".join(lines) + header
        result = verified(header, DNS)
        assert result.result is Result.PASS, result.reason


def verdict(header: bytes) -> str:
    dkim = pytest.importorskip("dkim", reason="dkimpy is the oracle")

    def txt(name: bytes, timeout: int = 5) -> Any:
        return DNS.records.get(name.decode().rstrip("."))

    found: bytes = dkim.arc_verify(header + b"\r\n" + BODY, dnsfunc=txt)[0]
    return found.decode()


def pem(by: SigningKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_der_private_key,
    )

    return load_der_private_key(by.private, None).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
