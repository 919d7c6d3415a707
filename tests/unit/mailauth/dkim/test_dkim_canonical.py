"""Canonicalization: the RFC's examples, the ends of bodies, and any cut into pieces."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.mailauth.dkim.canonical import CanonicalBody, canonical_field


def body(data: bytes, *, relaxed: bool, cuts: tuple[int, ...] = ()) -> bytes:
    canonical = CanonicalBody(relaxed=relaxed)
    places = [0, *sorted(cuts), len(data)]
    out = [b"".join(canonical.feed(data[start:end])) for start, end in itertools.pairwise(places)]
    return b"".join([*out, *canonical.finish()])


def simple_by_the_book(data: bytes) -> bytes:
    """RFC 6376 section 3.4.3, word by word."""
    while data.endswith(b"\r\n"):
        data = data[:-2]
    return data + b"\r\n"


def relaxed_by_the_book(data: bytes) -> bytes:
    """RFC 6376 section 3.4.4, word by word."""
    lines = [re.sub(rb"[ \t]+", b" ", line) for line in data.split(b"\r\n")]
    data = b"\r\n".join(line.removesuffix(b" ") for line in lines)
    while data.endswith(b"\r\n"):
        data = data[:-2]
    return data + b"\r\n" if data else b""


def test_the_examples_of_rfc_6376_section_3_4_5() -> None:
    example = b" C \r\nD \t E\r\n\r\n\r\n"
    assert body(example, relaxed=True) == b" C\r\nD E\r\n"
    assert body(example, relaxed=False) == b" C \r\nD \t E\r\n"
    fields = [b"A: X\r\n", b"B : Y\t\r\n\tZ  \r\n"]
    assert [canonical_field(raw, relaxed=True) for raw in fields] == [b"a:X", b"b:Y Z"]
    assert [canonical_field(raw, relaxed=False) for raw in fields] == [
        b"A: X", b"B : Y\t\r\n\tZ  ",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \t\r\n\r\n", b" \t\r\n", b""),
        (b" ", b" \r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a \t", b"a \t\r\n", b"a\r\n"),
        (b"a\r\n \r\n", b"a\r\n \r\n", b"a\r\n"),
        (b"a\r", b"a\r\r\n", b"a\r\r\n"),
        (b"a \r", b"a \r\r\n", b"a \r\r\n"),
        (b"a\n\r\n", b"a\n\r\n", b"a\n\r\n"),
        (b"\r\n\r\na", b"\r\n\r\na\r\n", b"\r\n\r\na\r\n"),
    ],
)
def test_ends_of_bodies(data: bytes, simple: bytes, relaxed: bytes) -> None:
    assert body(data, relaxed=False) == simple == simple_by_the_book(data)
    assert body(data, relaxed=True) == relaxed == relaxed_by_the_book(data)


PIECES = st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"  ", b"a", b"\x00", b"\xff", b".."])
BODIES = st.lists(PIECES, max_size=30).map(b"".join)


@given(BODIES, st.lists(st.integers(0, 60), max_size=6), st.booleans())
@settings(max_examples=500, deadline=None)
def test_bodies_in_any_pieces_are_as_the_book_says(
    data: bytes, cuts: list[int], relaxed: bool
) -> None:
    by_the_book = relaxed_by_the_book if relaxed else simple_by_the_book
    places = tuple(min(cut, len(data)) for cut in cuts)
    assert body(data, relaxed=relaxed, cuts=places) == by_the_book(data)


@given(BODIES, st.booleans())
@settings(deadline=None)
def test_twice_is_once(data: bytes, relaxed: bool) -> None:
    once = body(data, relaxed=relaxed)
    assert body(once, relaxed=relaxed) == once


# no lone CR or LF: the server takes no header section with one
VALUES = st.lists(
    st.sampled_from([b"\r\n ", b"\r\n\t", b" ", b"\t", b"a", b":", b"\xff"]), max_size=20
)


@given(VALUES.map(b"".join), st.booleans())
@settings(deadline=None)
def test_fields_twice_are_once(value: bytes, relaxed: bool) -> None:
    once = canonical_field(b"X-A:" + value + b"\r\n", relaxed=relaxed)
    assert canonical_field(once + b"\r\n", relaxed=relaxed) == once


@pytest.mark.parametrize("relaxed", [False, True])
@pytest.mark.parametrize(
    "unit", [b" ", b"\r\n", b" \r\n", b"\r", b"\t \r", b"a ", b"\r\n ", b"\n\r"]
)
def test_hostile_bodies_take_linear_time(unit: bytes, relaxed: bool) -> None:
    data = unit * ((4 << 20) // len(unit))
    started = time.perf_counter()
    body(data, relaxed=relaxed)
    assert time.perf_counter() - started < 5
