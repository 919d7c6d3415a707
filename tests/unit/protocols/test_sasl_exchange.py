"""A server's exchange as the text protocols carry it."""

from __future__ import annotations

import base64

import pytest

from mailframe.core.scram import ScramVerifier
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.sasl import (
    Challenge,
    CheckPassword,
    Exchange,
    NeedVerifier,
    Rejected,
    challenge_line,
    response_octets,
)

OFFERED = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256"})


def exchange(name: str) -> Exchange:
    return Exchange(name, OFFERED, {}, "nonce")


def encoded(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def test_plain_at_once_and_when_asked() -> None:
    wanted = CheckPassword("ann", b"secret", "")
    assert exchange("PLAIN").begin(encoded(b"\0ann\0secret")) == wanted
    asked = exchange("PLAIN")
    assert asked.begin(None) == Challenge(b"")
    assert asked.answer(encoded(b"\0ann\0secret")) == wanted


def test_login_in_two_answers() -> None:
    login = exchange("LOGIN")
    assert login.begin(None) == Challenge(b"Username:")
    assert login.answer(encoded(b"ann")) == Challenge(b"Password:")
    assert login.answer(encoded(b"secret")) == CheckPassword("ann", b"secret", "")


def test_nobody_acts_for_another() -> None:
    step = exchange("PLAIN").begin(encoded(b"bob\0ann\0secret"))
    assert step == Rejected("ann", "wants to act for somebody else")


def test_scram_asks_for_its_verifier() -> None:
    scram = exchange("SCRAM-SHA-256")
    assert scram.begin(encoded(b"n,,n=ann,r=client")) == NeedVerifier("ann")
    step = scram.verifier(ScramVerifier.derive(b"secret", b"salt", 1))
    assert isinstance(step, Challenge)
    assert step.data.startswith(b"r=clientnonce,")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"*", "Authentication cancelled"),
        (b"=", "That is not base64"),
        (b"no base64", "That is not base64"),
        (b"\xc3\xa4", "That is not base64"),
        (encoded(b"one field"), "That is not what the mechanism expects"),
    ],
)
def test_what_ends_it(line: bytes, text: str) -> None:
    plain = exchange("PLAIN")
    plain.begin(None)
    with pytest.raises(RemoteProtocolError) as caught:
        plain.answer(line)
    assert str(caught.value) == text


def test_an_equals_sign_is_an_empty_initial_response() -> None:
    assert response_octets(b"=", initial=True) == b""
    assert response_octets(b"") == b""
    with pytest.raises(RemoteProtocolError):
        response_octets(b"=")


def test_challenges_on_the_wire() -> None:
    assert challenge_line(b"") == b"+ \r\n"
    assert challenge_line(b"Username:") == b"+ VXNlcm5hbWU6\r\n"
