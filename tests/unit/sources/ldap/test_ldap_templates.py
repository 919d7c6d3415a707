"""Templates: what a client sent is a value, whatever it looks like."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansldap import FilterAnd, FilterEquality, LDAPFilter

from mailframe.sources.ldap.templates import (
    Blanks,
    FilterTemplate,
    NameTemplate,
    equals,
    escaped,
)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(texts)
def test_nothing_gets_out_of_a_filter(text: str) -> None:
    made = FilterTemplate("(&(objectClass=person)(mail=%s))").filled(Blanks(text, text))
    person = FilterEquality("objectClass", b"person")
    assert made == FilterAnd([person, FilterEquality("mail", text.encode())])
    assert LDAPFilter.from_string(equals("mail", text)) == FilterEquality("mail", text.encode())


@given(texts)
def test_nothing_gets_out_of_a_name(text: str) -> None:
    name = NameTemplate("uid=%u,ou=people").filled(Blanks(text, text))
    assert name is not None
    value = name.removeprefix("uid=").removesuffix(",ou=people")
    # RFC 4514 section 3: hexpair, and what needs no escaping anywhere
    assert re.fullmatch(r"(?:[A-Za-z0-9@._-]|\\[0-9a-f]{2})+", value)
    octets = re.sub(rb"\\(..)", lambda pair: bytes.fromhex(pair[1].decode()), value.encode())
    assert octets.decode() == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", "\\2a"),
        ("a)(uid=*", "a\\29\\28uid\\3d\\2a"),
        ("a\0", "a\\00"),
        ("ann@mf.test", "ann@mf.test"),
        ("ά", "\\ce\\ac"),
        (" #a,b ", "\\20\\23a\\2cb\\20"),
        ("a\\2a", "a\\5c2a"),
    ],
)
def test_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_placeholders_are_those_of_postfix() -> None:
    blanks = Blanks("ann@mail.mf.test", "ann", "mail.mf.test")
    made = FilterTemplate("(&(a=%s)(b=%u)(c=%d)(d=%1)(e=%3)(f=100%%))").filled(blanks)
    values = [b"ann@mail.mf.test", b"ann", b"mail.mf.test", b"test", b"mail", b"100%"]
    assert isinstance(made, FilterAnd)
    assert [one.value for one in made.filters if isinstance(one, FilterEquality)] == values


def test_what_there_is_not_matches_nobody() -> None:
    assert FilterTemplate("(mail=%u@%d)").filled(Blanks("ann", "ann")) is None
    assert FilterTemplate("(a=%4)").filled(Blanks("a@mf.test", "a", "mf.test")) is None


def test_brackets_may_be_left_out() -> None:
    blanks = Blanks("a", "a")
    assert FilterTemplate("uid=%u").filled(blanks) == FilterEquality("uid", b"a")


@pytest.mark.parametrize(
    "text", ["(mail=%x)", "(mail=%", "(mail=%s", "", "(mail)", "(" * 60, "(&)", "(a=%s))b("]
)
def test_what_is_no_filter_is_said_beforehand(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FilterTemplate(text)


@pytest.mark.parametrize("text", ["cn=admin,dc=mf", "uid=%x", "100%%"])
def test_a_bind_name_needs_whoever_logs_in(text: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder"):
        NameTemplate(text)


def test_names_that_are_no_distinguished_names_take_plain_ones_only() -> None:
    template = NameTemplate("CORP\\%u")
    assert template.filled(Blanks("ann", "ann")) == "CORP\\ann"
    assert template.filled(Blanks("x\\ann", "x\\ann")) is None
    assert template.filled(Blanks("a\0", "a\0")) is None
