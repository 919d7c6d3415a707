"""Signing: what is covered, how it is written, and keys that are none."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.mailauth.dkim import generate, is_usable, key_record
from mailframe.mailauth.dkim.keys import private_key
from mailframe.mailauth.dkim.signing import OVERSIGNED
from mailframe.message.headers import fields
from tests.unit.mailauth.dkim.dkim_world import BODY, ED, HEADER, RSA, signed, verified

HARMLESS = {"received", "return-path", "x-spam", "dkim-signature", "comments", "delivered-to"}


def test_a_field_for_each_key_and_each_passes() -> None:
    header = signed(keys=(RSA, ED))
    top, below = verified(header)
    assert top
    assert (top.selector, top.algorithm) == ("r", "rsa-sha256")
    assert below
    assert (below.selector, below.algorithm) == ("e", "ed25519-sha256")


def test_no_keys_no_field() -> None:
    assert signed(keys=()) == HEADER


def test_how_it_is_written() -> None:
    long_name = replace(RSA, domain="a-rather-long-label." * 10 + "example.org")
    ours = signed(keys=(long_name, ED)).removesuffix(HEADER)
    assert [field.name for field in fields(ours)] == ["DKIM-Signature"] * 2
    assert b"".join(field.raw for field in fields(ours)) == ours
    lines = ours.split(b"\r\n")
    assert lines.pop() == b""
    assert all(re.fullmatch(rb"DKIM-Signature: .*| [^ ].*", line) for line in lines)
    assert not any(line.endswith(b" ") for line in lines)
    assert max(len(line) for line in lines if b"d=a-rather" not in line) <= 78
    assert b"t=1795600000" in ours


@pytest.mark.parametrize("name", [name.decode() for name in OVERSIGNED])
def test_what_people_see_cannot_be_added(name: str) -> None:
    header = signed()
    more = f"{name}: eve@evil.example\r\n".encode()
    assert not verified(more + header)[0]
    assert not verified(header + more)[0]


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_the_way_adds_does_no_harm(name: str) -> None:
    more = f"{name}: something\r\n".encode()
    assert verified(signed() + more)[-1 if name != "dkim-signature" else 0]
    assert verified(more + signed())[-1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject:  two  words", b"SUBJECT: two words"),
        (b"\r\n\tand a fold", b" and a fold "),
        (b"To: ann", b"To:\r\n ann"),
    ],
)
def test_folding_does_no_harm(old: bytes, new: bytes) -> None:
    assert old in HEADER
    assert verified(signed().replace(old, new))[0]


def test_blanks_at_the_ends_of_lines_do_no_harm() -> None:
    other = BODY.replace(b"last line \r\n", b"last\tline\r\n").replace(b"  ", b" ") + b"\r\n"
    assert other != BODY
    assert verified(signed(), other)[0]


def test_a_header_with_thousands_of_fields_is_not_signed() -> None:
    """The signature would not be read by anybody, us included."""
    header = HEADER + b"List-Id: x\r\n" * 5000
    assert signed(header) == header


NAMES = st.sampled_from(
    ["From", "To", "Subject", "DATE", "X-A", "List-Id", "Received", "DKIM-Signature", "Resent-To"]
)
VALUES = st.text(st.sampled_from(" \tab;=:\u00e4"), max_size=12).map(lambda text: text.encode())


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_whatever_is_signed_verifies(rows: list[tuple[str, bytes]], body: bytes) -> None:
    text = b"".join(b"%b:%b\r\n" % (name.encode(), value) for name, value in rows)
    header = b"From: bob@example.org\r\n" + text
    result = verified(signed(header, body), body)[0]
    assert result.reason == ("" if text.lower().count(b"from:") == 0 else "more than one From")


def test_records_of_keys() -> None:
    assert key_record(RSA.private).startswith("v=DKIM1; k=rsa; p=MII")
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[\w+/]{43}=", key_record(ED.private))


def test_unknown_algorithms_have_no_keys() -> None:
    with pytest.raises(ValueError, match="rsa-sha1"):
        generate("rsa-sha1")


def with_another_modulus() -> bytes:
    return RSA.private[:100] + bytes([RSA.private[100] ^ 1]) + RSA.private[101:]


def elliptic() -> bytes:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def encrypted() -> bytes:
    key = private_key(ED.private)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


@pytest.mark.parametrize(
    "octets",
    [b"", b"junk", RSA.private[:-9], with_another_modulus(), elliptic(), encrypted()],
)
def test_keys_that_are_none(octets: bytes) -> None:
    for algorithm in ("rsa-sha256", "ed25519-sha256"):
        assert not is_usable(octets, algorithm)
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the library's
        key_record(octets)
    with pytest.raises(ValueError):  # noqa: PT011
        signed(keys=(replace(RSA, private=octets),))


def test_keys_are_for_their_algorithm() -> None:
    assert is_usable(RSA.private, "rsa-sha256")
    assert is_usable(ED.private, "ed25519-sha256")
    assert not is_usable(RSA.private, "ed25519-sha256")
    assert not is_usable(ED.private, "rsa-sha256")
    assert not is_usable(RSA.private, "rsa-sha1")


def test_a_key_is_read_once() -> None:
    assert private_key(RSA.private) is private_key(bytes(bytearray(RSA.private)))
