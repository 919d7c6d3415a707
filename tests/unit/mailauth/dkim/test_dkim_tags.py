"""Tag lists and key records: what is one, what is none, and what is too much."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from mailframe.mailauth.dkim.records import RecordError, parse_record
from mailframe.mailauth.dkim.tags import TagError, parse_tags, without_signature
from tests.unit.mailauth.dkim.dkim_world import ED, RSA, record_of


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (b"v=1; a=b", {"v": b"1", "a": b"b"}),
        (b" v = 1 ;\r\n\ta=b\r\n ;", {"v": b"1", "a": b"b"}),
        (b"a=b=c", {"a": b"b=c"}),
        (b"a=", {"a": b""}),
        (b"A=1;a=2", {"A": b"1", "a": b"2"}),
        (b"n=a b\r\n c", {"n": b"a b\r\n c"}),
        (b"i=\xc3\xa4@\xc3\xb6.example", {"i": b"\xc3\xa4@\xc3\xb6.example"}),
        (b"", {}),
        (b" \r\n\t", {}),
    ],
)
def test_lists(text: bytes, tags: dict[str, bytes]) -> None:
    assert parse_tags(text) == tags


@pytest.mark.parametrize(
    "text",
    [
        b"a=1; a=2",
        b"a",
        b"a=1;;b=2",
        b"a=1;b",
        b"=1",
        b"1a=1",
        b"a b=1",
        b"a=\x00",
        b"a=\x7f",
        b"a=1\nb",
        b"a=1\r\nb=2",
        b"a=1;\rb=2",
        b";".join(b"a%d=1" % number for number in range(101)),
    ],
)
def test_no_lists(text: bytes) -> None:
    with pytest.raises(TagError):
        parse_tags(text)


@given(st.binary(max_size=60))
def test_anything_is_a_list_or_an_error(text: bytes) -> None:
    with contextlib.suppress(TagError):
        assert all(isinstance(value, bytes) for value in parse_tags(text).values())


@pytest.mark.parametrize(
    ("field", "without"),
    [
        (b"X: a=b; b=value; c=d\r\n", b"X: a=b; b=; c=d\r\n"),
        (b"X: a=b;\r\n\tb = v\r\n\tal; c=d\r\n", b"X: a=b;\r\n\tb =; c=d\r\n"),
        (b"X: b=v\r\n", b"X: b="),
        (b"X: bh=v; B=w; b=\r\n", b"X: bh=v; B=w; b="),
        (b"X: a=b=c; b=d", b"X: a=b=c; b="),
        (b"X: a=c\r\n", b"X: a=c\r\n"),
    ],
)
def test_a_field_without_its_signature(field: bytes, without: bytes) -> None:
    assert without_signature(field) == without


def test_records() -> None:
    record = parse_record(record_of(RSA, h="sha256 : sha1", s="other:email", t="y:s", n="note"))
    assert record.key_type == "rsa"
    assert record.hashes == {"sha256", "sha1"}
    assert record.is_for_mail
    assert record.is_strict
    assert record.is_testing
    plain = parse_record(record_of(ED))
    assert (plain.key_type, len(plain.key), plain.hashes) == ("ed25519", 32, None)
    assert plain.is_for_mail
    assert not plain.is_strict
    assert not plain.is_testing
    assert not parse_record(record_of(RSA, s="tlsrpt")).is_for_mail


def test_both_forms_of_rsa_keys() -> None:
    """RFC 6376 section 3.6.1 has PKCS #1; everybody publishes SubjectPublicKeyInfo."""
    key = parse_record(record_of(RSA)).public_key(max_bits=4096)
    der = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    other = parse_record(b"p=" + base64.b64encode(der)).public_key(max_bits=4096)
    assert other == key


@pytest.mark.parametrize(
    "text",
    [
        b"v=DKIM2; p=AAAA",
        b"p=AAAA; v=DKIM1",
        b"v=DKIM1",
        b"k=dsa; p=AAAA",
        b"p=not base64!",
        b"p=AAA",
        b"p=AAAA; p=BBBB",
        b"",
        b"v=spf1 -all",
    ],
)
def test_no_records(text: bytes) -> None:
    with pytest.raises(RecordError):
        parse_record(text)


def rsa(bits: int, exponent: int = 65_537) -> bytes:
    modulus = (1 << (bits - 1)) + 159
    key = RSAPublicNumbers(exponent, modulus).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("kind", "key", "reason"),
    [
        ("rsa", b"", "revoked"),
        ("ed25519", b"", "revoked"),
        ("rsa", b"junk", "no RSA key"),
        ("ed25519", b"k" * 31, "no Ed25519 key"),
        ("ed25519", rsa(1024), "no Ed25519 key"),
        ("rsa", b"k" * 32, "no RSA key"),
        ("rsa", rsa(4104), "4104 bits is too long"),
        ("rsa", rsa(16_384), "too long"),
        ("rsa", rsa(2048, (1 << 2000) + 1), "huge exponent"),
        ("rsa", b"\x30\x84\xff\xff\xff\xff" + b"\0" * 500, "no RSA key"),
        ("rsa", b"\x30\x80" * 600, "no RSA key"),
    ],
)
def test_keys_that_are_none_or_bombs(kind: str, key: bytes, reason: str) -> None:
    record = parse_record(b"k=%b; p=%b" % (kind.encode(), base64.b64encode(key)))
    with pytest.raises(RecordError, match=reason):
        record.public_key(max_bits=4096)


def test_an_elliptic_key_is_no_rsa_key() -> None:

    public = generate_private_key(SECP256R1()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert load_der_public_key(der)
    with pytest.raises(RecordError, match="no RSA key"):
        parse_record(b"p=" + base64.b64encode(der)).public_key(max_bits=4096)


@given(st.binary(max_size=80))
def test_any_octets_are_a_key_or_an_error(octets: bytes) -> None:
    def read(text: bytes) -> Any:
        try:
            return parse_record(text).public_key(max_bits=4096)
        except RecordError:
            return None

    read(octets)
    read(b"p=" + base64.b64encode(octets))
    read(b"k=ed25519; p=" + base64.b64encode(octets))
