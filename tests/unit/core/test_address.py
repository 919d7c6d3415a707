"""Addresses: what parses, what is refused, and that rendering and parsing agree."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.address import Address, AddressError, literal_ip, normal_domain


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("ann@example.org", "ann", "example.org"),
        ("Ann@EXAMPLE.Org", "Ann", "example.org"),
        ("a.b+c@x", "a.b+c", "x"),
        ('"a b"@example.org', "a b", "example.org"),
        (r'"a\"b\\c"@example.org', r'a"b\c', "example.org"),
        ('"user@other"@example.org', "user@other", "example.org"),
        ("user%other@example.org", "user%other", "example.org"),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[IPv6:2001:DB8:0::1]", "a", "[IPv6:2001:db8::1]"),
        ("a@[x-tag:content]", "a", "[x-tag:content]"),
        ("γιάννης@παράδειγμα.ελ", "γιάννης", "παράδειγμα.ελ"),
        ("a@under_score.example", "a", "under_score.example"),
    ],
)
def test_parses(text: str, local: str, domain: str) -> None:
    address = Address.parse(text)
    assert (address.local_part, address.domain) == (local, domain)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "a b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a..b@example.org",
        '"a@example.org',
        '"a"b@example.org',
        '""@example.org',
        "a@b@example.org",
        "a@exa mple.org",
        "a@example.org ",
        "a@-example.org",
        "a@example-.org",
        "a@example..org",
        "a@example.org.",
        "a@[192.0.2.1",
        "a@[192.0.2.256]",
        "a@[IPv6:::g]",
        "a@[]",
        "a@x\r\nRCPT",
        "a\0b@example.org",
        '"a\0b"@example.org',
        '"a\nb"@example.org',
        "a@exa\u200bmple.org",
        "a" * 65 + "@example.org",
        "a@" + "b" * 64 + ".org",
        "a@" + "b." * 127 + "org",
        "a\udc80@example.org",
        "a@\udc80.org",
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(AddressError):
        Address.parse(text)


def test_compares_without_case() -> None:
    assert Address.parse("Ann@x.org").key == Address.parse("aNN@X.ORG").key


def test_composed_and_decomposed_are_one() -> None:
    assert Address.parse("e\u0301@x.org") == Address.parse("\u00e9@x.org")


def test_needs_utf8_in_either_half() -> None:
    assert Address.parse("é@x.org").needs_utf8
    assert Address.parse("a@é.org").needs_utf8
    assert not Address.parse("a@xn--9ca.org").needs_utf8


def test_literal_ip() -> None:
    assert literal_ip(normal_domain("[192.0.2.1]")) == "192.0.2.1"
    assert literal_ip(normal_domain("[IPv6:::1]")) == "::1"
    assert literal_ip("example.org") is None
    assert literal_ip("[tag:x]") is None


def test_a_long_domain_is_refused_before_it_is_normalised() -> None:
    # Putting marks of two combining classes in order takes time by the square of their number.
    started = time.process_time()
    with pytest.raises(AddressError, match="255"):
        Address.build("a", "a" + "\u0301" * 16_000 + "\u0323" * 16_000)
    assert time.process_time() - started < 0.1


def test_a_domain_that_grows_as_it_is_normalised_is_measured_afterwards() -> None:
    # U+1D160 stands for three characters of four octets each
    assert normal_domain("\U0001d160" * 20)
    with pytest.raises(AddressError, match="255"):
        normal_domain("\U0001d160" * 60)


@given(st.text(min_size=1, max_size=80))
def test_build_refuses_or_round_trips(local_part: str) -> None:
    try:
        address = Address.build(local_part, "example.org")
    except AddressError:
        return
    assert Address.parse(str(address)) == address


@given(st.text(max_size=60))
def test_parse_raises_nothing_else(text: str) -> None:
    try:
        address = Address.parse(text)
    except AddressError:
        return
    assert Address.parse(str(address)) == address
