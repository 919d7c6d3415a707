"""Addresses as they are searched and sorted."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.message.address_texts import AddressText, address_texts
from mailframe.message.envelope import MAX_ADDRESSES


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        (b"", []),
        (b" , ,", []),
        (b"a@b.example", [("", "a", "b.example")]),
        (b"<a@b.example>", [("", "a", "b.example")]),
        (b"Ann Other <a@b>", [("Ann Other", "a", "b")]),
        (b"a@b (Ann)", [("Ann", "a", "b")]),  # as names were written before RFC 822
        (b"a@b, c@d,\r\n\te@f", [("", "a", "b"), ("", "c", "d"), ("", "e", "f")]),
        (b'"Other, Ann" <a@b>', [("Other, Ann", "a", "b")]),
        (b'"a \\"b\\" \\\\ c" <a@b>', [('a "b" \\ c', "a", "b")]),
        (b'"(NIL) ) {3}" <a@b>', [("(NIL) ) {3}", "a", "b")]),
        (b'"a b"@c', [("", "a b", "c")]),
        (b"=?utf-8?b?zobOvc69zrE=?= <a@b>", [("Άννα", "a", "b")]),
        (b'"=?utf-8?q?=CE=86?=" <a@b>', [("Ά", "a", "b")]),
        ("Άννα <άννα@παράδειγμα.example>".encode(), [("Άννα", "άννα", "παράδειγμα.example")]),
        (b"\xc1 <a@b>", [("\u00c1", "a", "b")]),  # windows-1252, as nobody said
        # RFC 9051 section 7.5.2: a group's name is its mailbox, and its end is not told
        (b"Team: a@b, c@d;", [("", "Team", ""), ("", "a", "b"), ("", "c", "d")]),
        (b"undisclosed-recipients:;", [("", "undisclosed-recipients", "")]),
        (b"=?utf-8?q?=CE=86?=: a@b;, c@d", [("", "Ά", ""), ("", "a", "b"), ("", "c", "d")]),
        # what is missing is not told
        (b"nobody", [("", "nobody", "")]),
        (b"Ann <>", [("Ann", "", "")]),
        (b"<@b>", [("", "", "b")]),
    ],
)
def test_addresses(value: bytes | None, expected: list[tuple[str, str, str]]) -> None:
    assert list(address_texts(value)) == [AddressText(*one) for one in expected]


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        (AddressText("Ann", "a", "b"), "a@b", "Ann"),
        (AddressText("", "a", "b"), "a@b", "a@b"),
        (AddressText("", "Team", ""), "Team", "Team"),
        (AddressText("", "", "b"), "@b", "@b"),
    ],
)
def test_what_is_shown(text: AddressText, address: str, shown: str) -> None:
    assert (text.address, text.shown) == (address, shown)


@given(
    st.lists(
        st.sampled_from(
            [b"a", b"@", b"<", b">", b'"', b"(", b")", b":", b";", b",", b"\\", b"\0", b" "]
        )
        | st.binary(max_size=3),
        max_size=30,
    ).map(b"".join)
)
def test_anything_is_read(value: bytes) -> None:
    assert len(list(address_texts(value))) <= len(value)
    # what stands behind it is found all the same, unless something is open
    if not set(value) & set(b'"(<:\\[='):
        assert list(address_texts(value + b", last@example.org"))[-1].mailbox == "last"


@given(st.text(st.characters(codec="utf-8", exclude_characters='\r\n"\\=')))
def test_a_name_is_shown_as_it_was_written(name: str) -> None:
    (found,) = address_texts(b'"%b" <a@b>' % name.encode())
    assert found.address == "a@b"
    assert found.name.split() == name.split() or "\0" in name


@pytest.mark.parametrize(
    ("value", "fewest", "most"),
    [
        (b"a@b," * 9_000, 9_000, 9_000),
        (b"a@b," * 60_000, MAX_ADDRESSES, MAX_ADDRESSES + 2),
        (b'"' + b"a" * 200_000 + b'" <a@b>', 1, 1),
        (b'"' + b"\\a" * 100_000 + b'" <a@b>', 1, 1),
        (b"g:" * 50_000, 0, MAX_ADDRESSES + 2),
        (b"(" * 100_000, 0, 1),
        (b"<" * 100_000, 0, 1),
        (b'"' * 100_001, 0, 1),
    ],
    ids=lambda value: repr(value[:8]) if isinstance(value, bytes) else str(value),
)
def test_many(value: bytes, fewest: int, most: int) -> None:
    began = time.process_time()
    assert fewest <= len(list(address_texts(value))) <= most
    assert time.process_time() - began < 10  # takes 0.2; would be minutes
