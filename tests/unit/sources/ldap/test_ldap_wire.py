"""LDAP as octets: what is sent is what the RFC has, and nothing that comes does harm."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansldap import (
    FilterEquality,
    LDAPResultCode,
    LDAPServer,
    PagedResultControl,
    PartialAttribute,
)

from mailframe.sources.ldap.wire import (
    LARGEST_MESSAGE,
    Code,
    Found,
    Garbled,
    LdapWire,
    Outcome,
    Query,
)

QUERY = Query("dc=mf,dc=test", FilterEquality("mail", b"ann@mf.test"), ("mail",))


def answers(octets: bytes, step: int = 0) -> list[tuple[int, Found | Outcome]]:
    """To a search, as they come in pieces of ``step`` octets."""
    wire = LdapWire()
    wire.search(QUERY, 5)
    pieces = [octets[n : n + step] for n in range(0, len(octets), step)] if step else [octets]
    return [one for piece in pieces for one in wire.receive(piece)]


def search_answers() -> bytes:
    client = LdapWire()
    _, request = client.search(QUERY, 5)
    server = LDAPServer()
    [message] = server.receive(request)
    mail = [PartialAttribute("mail;lang-el", [b"a@mf.test"]), PartialAttribute("MAIL", [b"\xff"])]
    server.search_result_entry(message.message_id, "uid=ann", mail)
    server.search_result_reference(message.message_id, ["ldap://elsewhere.test/"])
    pages = [PagedResultControl(critical=False, size=0, cookie=b"more")]
    server.search_result_done(message.message_id, diagnostics_message="fine\0\n", controls=pages)
    return server.data_to_send()


def test_answers_are_the_same_however_they_are_cut() -> None:
    octets = search_answers()
    found = Found("uid=ann", {"mail": (b"a@mf.test", b"\xff")})
    expected = [(1, found), (1, Outcome(Code.SUCCESS, "fine", b"more"))]
    assert answers(octets) == expected
    assert answers(octets, 1) == expected
    assert answers(octets, 7) == expected
    assert list(found.texts("mail", "cn")) == ["a@mf.test"]


def test_a_password_is_octets() -> None:
    number, octets = LdapWire().bind("cn=x", b"\xff\x80")
    assert number == 1
    # RFC 4511 section 4.2, by hand
    assert octets.endswith(b"\x60\x0d\x02\x01\x03\x04\x04cn=x\x80\x02\xff\x80")


def test_unbind_is_primitive() -> None:
    assert LdapWire().unbind().endswith(b"\x42\x00")


def test_compare() -> None:
    wire = LdapWire()
    number, octets = wire.compare("cn=x", "userPassword", b"pw")
    body = b"\x6e\x1a\x04\x04cn=x\x30\x12\x04\x0cuserPassword\x04\x02pw"
    assert octets.endswith(body)
    coded = number.to_bytes(4, "big")
    said = b"\x30\x0f\x02\x04" + coded + b"\x6f\x07\x0a\x01\x06\x04\x00\x04\x00"
    assert list(wire.receive(said)) == [(number, Outcome(Code.COMPARE_TRUE))]
    with pytest.raises(Garbled):
        list(wire.receive(said))  # nobody asked twice


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x80\x02\x01\x01\x00\x00",
        b"\x30\x85\x01\x00\x00\x00\x00",
        b"\x30\x84" + (LARGEST_MESSAGE + 1).to_bytes(4, "big"),
        b"\x30\x05\x02\x01\x01\x64\x7f",  # shorter than its parts
        b"\x30\x02\x02\x00",  # a number without octets
        b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x7f",
        b"\x30\x0c\x02\x01\x63\x65\x07\x0a\x01\x00\x04\x00\x04\x00",  # of no request
        b"\x30\x0c\x02\x01\x01\x7f\x07\x0a\x01\x00\x04\x00\x04\x00",  # no such answer
        b"\x30\x0f\x02\x01\x01\x64\x0a\x04\x01\xff\x30\x05\x30\x03\x04\x01a",  # a name in no UTF-8
    ],
)
def test_what_is_no_answer_is_the_end(octets: bytes) -> None:
    with pytest.raises(Garbled):
        answers(octets)


@given(st.binary(max_size=200))
def test_anything_else_is_garbled_or_waited_for(octets: bytes) -> None:
    for message in (octets, b"\x30\x0c\x02\x01\x01" + octets):
        with contextlib.suppress(Garbled):
            answers(message)


@given(st.data())
def test_a_changed_answer_is_garbled_or_understood(data: st.DataObject) -> None:
    octets = bytearray(search_answers())
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Garbled):
        answers(bytes(octets))


def test_results_that_nobody_knows_have_a_text() -> None:
    assert str(Outcome(4096, "odd")) == "unknown 0x00001000 (4096) odd"
    assert str(Outcome(LDAPResultCode.BUSY)) == "busy (51)"
