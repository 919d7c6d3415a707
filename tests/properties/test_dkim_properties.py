"""Whatever arrives as header, body or key record: a result for each signature, never an error, and
a pass for nobody who changed a letter of what is signed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.core.authentication import Result
from tests.unit.mailauth.dkim.dkim_world import (
    BODY,
    ED,
    HEADER,
    RSA,
    Keys,
    hand_signed,
    record_of,
    signed,
    verified,
    zone,
)

GOOD = signed(keys=(RSA, ED))
NAMES = ("r._domainkey.example.org", "e._domainkey.example.org")
PIECES = st.sampled_from(
    [b"v=1", b";", b"=", b"b=", b"bh=AAAA", b"h=from", b"d=example.org", b"s=r", b"a=rsa-sha256",
     b"c=", b"i=@", b"l=1", b"t=1", b"x=1", b"q=dns/txt", b" ", b"\t", b"\r\n ", b"\x00", b"\xff",
     b"\xc3\xa4", b"@", b".", b":", b"/"]
)  # fmt: skip


def changed(text: bytes, place: int, octet: int) -> bytes:
    place %= len(text)
    return text[:place] + bytes([octet]) + text[place + 1 :]


@given(st.lists(PIECES, max_size=40).map(b"".join))
@settings(deadline=None, max_examples=300)
def test_any_field_has_a_result(value: bytes) -> None:
    (result,) = verified(b"DKIM-Signature:" + value + b"\r\n" + HEADER)
    assert result.result in (Result.PERMERROR, Result.FAIL, Result.POLICY)
    assert result.reason


@given(st.binary(max_size=200), st.binary(max_size=50))
@settings(deadline=None, max_examples=200)
def test_any_octets_at_all(header: bytes, body: bytes) -> None:
    assert verified(b"DKIM-Signature: " + header, body)
    assert not any(verified(header + GOOD[:100], body))


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(deadline=None, max_examples=300)
def test_a_changed_octet_of_the_header_is_no_error(place: int, octet: int) -> None:
    verified(changed(GOOD, place, octet))


@given(st.integers(0, 10_000), st.integers(1, 25))
@settings(deadline=None, max_examples=200)
def test_a_changed_letter_of_what_is_signed_does_not_pass(place: int, shift: int) -> None:
    header = hand_signed(h="from:to:subject:date")
    start = header.index(b"From:") + 5
    places = [at for at in range(start, len(header)) if header[at : at + 1].islower()]
    at = places[place % len(places)]
    letter = (header[at] - 97 + shift) % 26 + 97
    assert not any(verified(changed(header, at, letter)))
    at = place % len(BODY)
    if BODY[at : at + 1].isalpha():
        assert not any(verified(header, changed(BODY, at, BODY[at] ^ 1)))


@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 20))
@settings(deadline=None, max_examples=300)
def test_a_changed_record_is_no_error(place: int, octet: int, cut: int) -> None:
    records = {
        name: changed(record_of(key), place, octet)[cut:]
        for name, key in zip(NAMES, (RSA, ED), strict=True)
    }
    assert len(verified(GOOD, BODY, Keys(records))) == 2


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_the_size_of_pieces_does_not_matter(sizes: list[int]) -> None:
    for most in sizes:
        assert all(verified(GOOD, BODY, zone(), most=most))
