"""OAUTHBEARER and XOAUTH2: what is read out of one message, and what is refused."""

from __future__ import annotations

import base64
import json

import pytest

from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.sasl import (
    TOKEN_MECHANISMS,
    Challenge,
    CheckToken,
    Exchange,
    server_mechanism,
    token_refusal,
)

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def bearer():
    return server_mechanism("OAUTHBEARER", {}, "nonce")


def xoauth2():
    return server_mechanism("XOAUTH2", {}, "nonce")


def test_oauthbearer_of_rfc_7628_section_4_1() -> None:
    message = (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer " + TOKEN.encode() + b"\x01\x01"
    )
    assert bearer().step(message) == CheckToken("user@example.com", TOKEN)


def test_xoauth2_as_google_and_microsoft_document_it() -> None:
    message = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3\x01\x01"
    assert xoauth2().step(message) == CheckToken("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3")


@pytest.mark.parametrize(
    ("message", "login", "token"),
    [
        (b"n,,\x01auth=Bearer t\x01\x01", "", "t"),
        (b"y,a=ann,\x01auth=Bearer t\x01\x01", "ann", "t"),
        (b"n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01", "a,b=c", "t"),
        (b"n,a=ann,\x01auth=bearer   t.u-v_w~x+y/z==  \x01\x01", "ann", "t.u-v_w~x+y/z=="),
        (b"n,a=ann,\x01mthd=\x01auth=BEARER t\x01qs=a=b\x01\x01", "ann", "t"),
        ("n,a=Ελένη,\x01auth=Bearer t\x01\x01".encode(), "Ελένη", "t"),
    ],
)
def test_what_oauthbearer_takes(message: bytes, login: str, token: str) -> None:
    assert bearer().step(message) == CheckToken(login, token)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        b"\x01\x01",
        b"n,,",
        b"n,,\x01",
        b"n,,\x01\x01",
        b"n,,\x01auth=Bearer t",
        b"n,,\x01auth=Bearer t\x01",
        b"n,,\x01auth=Bearer t\x01\x01\x01",
        b"n,,\x01auth=Bearer t\x01\x01more",
        b"n,,\x01auth=\x01\x01",
        b"n,,\x01auth=Bearer \x01\x01",
        b"n,,\x01auth=Bearer t u\x01\x01",
        b"n,,\x01auth=Bearer t=u\x01\x01",
        "n,,\x01auth=Bearer tö\x01\x01".encode(),
        b"n,,\x01auth=Basic dGVzdA==\x01\x01",
        b"n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
        b"n,,\x01auth=Bearer t\x01AUTH=Bearer u\x01\x01",
        b"n,,\x01=x\x01auth=Bearer t\x01\x01",
        b"n,,\x01host\x01auth=Bearer t\x01\x01",
        b"n,,\x01ho st=x\x01auth=Bearer t\x01\x01",
        b"n,,\x01"
        + b"".join(b"%c=x\x01" % c for c in b"bcdefghijklmnopqrs")
        + b"auth=Bearer t\x01\x01",
        b"n,,\x01host=\0\x01auth=Bearer t\x01\x01",
        b"n,,\x01host=\xff\x01auth=Bearer t\x01\x01",
        b"n,,\x01auth=Bearer " + b"t" * 12_288 + b"\x01\x01",
        b"n,a=" + b"a" * 1025 + b",\x01auth=Bearer t\x01\x01",
        b"n,a=ann\x07,\x01auth=Bearer t\x01\x01",
        b"n,a=ann=,\x01auth=Bearer t\x01\x01",
        b"n,ann,\x01auth=Bearer t\x01\x01",
        b"n,a=ann,x\x01auth=Bearer t\x01\x01",
        b"n,a=ann,,\x01auth=Bearer t\x01\x01",
        b"n\x01auth=Bearer t\x01\x01",
        b"p=tls-exporter,a=ann,\x01auth=Bearer t\x01\x01",
        b"F,n,a=ann,\x01auth=Bearer t\x01\x01",
        b"user=ann\x01auth=Bearer t\x01\x01",
    ],
)
def test_what_oauthbearer_refuses(message: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        bearer().step(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"user=ann",
        b"user=ann\x01",
        b"user=ann\x01\x01",
        b"user=ann\x01auth=Bearer t",
        b"user=ann\x01auth=Bearer t\x01",
        b"user=ann\x01user=bob\x01auth=Bearer t\x01\x01",
        b"user=ann\0\x01auth=Bearer t\x01\x01",
        b"user=" + b"a" * 1025 + b"\x01auth=Bearer t\x01\x01",
        b"n,a=ann,\x01auth=Bearer t\x01\x01",
    ],
)
def test_what_xoauth2_refuses(message: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        xoauth2().step(message)


def test_xoauth2_without_a_user_leaves_it_to_the_token() -> None:
    assert xoauth2().step(b"auth=Bearer t\x01\x01") == CheckToken("", "t")
    assert xoauth2().step(b"user=\x01auth=Bearer t\x01\x01") == CheckToken("", "t")


@pytest.mark.parametrize("name", sorted(TOKEN_MECHANISMS))
def test_without_an_initial_response(name: str) -> None:
    mechanism = server_mechanism(name, {}, "nonce")
    assert mechanism.step(None) == Challenge(b"")
    with pytest.raises(LocalProtocolError):
        mechanism.step(None)
    head = b"n,a=ann,\x01" if name == "OAUTHBEARER" else b"user=ann\x01"
    assert mechanism.step(head + b"auth=Bearer t\x01\x01") == CheckToken("ann", "t")
    with pytest.raises(LocalProtocolError):
        mechanism.step(b"\x01")
    with pytest.raises(LocalProtocolError):
        mechanism.verifier(None)


def test_in_an_exchange_of_lines() -> None:
    exchange = Exchange("XOAUTH2", frozenset({"XOAUTH2"}), {}, "nonce")
    line = base64.b64encode(b"user=ann\x01auth=Bearer t\x01\x01")
    assert exchange.begin(line) == CheckToken("ann", "t")


def test_the_token_stays_out_of_the_repr() -> None:
    assert "secret" not in repr(CheckToken("ann", "secret"))


def test_what_a_refused_client_is_told() -> None:
    place = "https://idp.test/.well-known/openid-configuration"
    assert json.loads(token_refusal("OAUTHBEARER", "mail other", place)) == {
        "status": "invalid_token",
        "scope": "mail other",
        "openid-configuration": place,
    }
    assert json.loads(token_refusal("XOAUTH2", "mail", place)) == {
        "status": "401",
        "schemes": "bearer",
        "scope": "mail",
    }
    assert json.loads(token_refusal("OAUTHBEARER", "", "")) == {"status": "invalid_token"}
