"""SCRAM: the published exchange, both sides against each other, and liars on either side."""

from __future__ import annotations

import base64

import pytest

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.sasl import (
    Challenge,
    NeedVerifier,
    Proved,
    Rejected,
    client_mechanism,
    server_mechanism,
)

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
BINDINGS = {"tls-exporter": b"exporter data", "tls-server-end-point": b"certificate hash"}


def verifier(password: bytes = b"pencil") -> ScramVerifier:
    return ScramVerifier.derive(password, SALT, 4096)


def converse(client, server, stored=None):
    """The whole exchange; what the server made of it."""
    step = server.step(client.initial())
    assert isinstance(step, NeedVerifier)
    step = server.verifier(stored or verifier())
    assert isinstance(step, Challenge)
    return server.step(client.respond(step.data))


def test_the_exchange_of_rfc_7677_section_3():
    client = client_mechanism("SCRAM-SHA-256", "user", b"pencil", {}, CLIENT_NONCE)
    server = server_mechanism("SCRAM-SHA-256", {}, SERVER_NONCE)
    assert client.initial() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert server.step(client.initial()) == NeedVerifier("user")
    challenge = server.verifier(verifier())
    assert challenge == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    final = client.respond(challenge.data)
    assert final == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    proved = server.step(final)
    assert proved == Proved("user", "", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert client.respond(proved.final) == b""
    client.verify_done()


@pytest.mark.parametrize("login", ["ann@example.test", "a,b=c@example.test", "άννα@example.test"])
def test_names_survive_the_encoding(login):
    client = client_mechanism("SCRAM-SHA-256", login, b"pencil", {}, "c")
    proved = converse(client, server_mechanism("SCRAM-SHA-256", {}, "s"))
    assert isinstance(proved, Proved)
    assert proved.login == login


def test_a_wrong_password_is_rejected():
    client = client_mechanism("SCRAM-SHA-256", "user", b"pen", {}, "c")
    answer = converse(client, server_mechanism("SCRAM-SHA-256", {}, "s"))
    assert answer == Rejected("user", "wrong password")


def test_plus_binds_to_the_strongest_type():
    client = client_mechanism("scram-sha-256-plus", "user", b"pencil", BINDINGS, "c")
    assert client.initial() == b"p=tls-exporter,,n=user,r=c"
    assert isinstance(
        converse(client, server_mechanism("SCRAM-SHA-256-PLUS", BINDINGS, "s")), Proved
    )


def test_a_man_in_the_middle_has_other_bindings():
    client = client_mechanism("SCRAM-SHA-256-PLUS", "user", b"pencil", BINDINGS, "c")
    seen = {**BINDINGS, "tls-exporter": b"another connection"}
    answer = converse(client, server_mechanism("SCRAM-SHA-256-PLUS", seen, "s"))
    assert answer == Rejected("user", "channel bindings do not match")


def test_taking_plus_out_of_the_offer_is_noticed():
    client = client_mechanism("SCRAM-SHA-256", "user", b"pencil", BINDINGS, "c")
    assert client.initial().startswith(b"y,,")
    server = server_mechanism("SCRAM-SHA-256", BINDINGS, "s", plus_offered=True)
    assert server.step(client.initial()) == Rejected("user", "channel binding downgrade")
    with pytest.raises(LocalProtocolError):
        server.verifier(verifier())


def test_a_client_that_could_bind_may_log_in_where_plus_is_not_offered():
    client = client_mechanism("SCRAM-SHA-256", "user", b"pencil", BINDINGS, "c")
    assert isinstance(converse(client, server_mechanism("SCRAM-SHA-256", {}, "s")), Proved)


@pytest.mark.parametrize(
    ("name", "first", "reason"),
    [
        ("SCRAM-SHA-256", b"p=tls-exporter,,n=u,r=c", "flag"),
        ("SCRAM-SHA-256-PLUS", b"n,,n=u,r=c", "flag"),
        ("SCRAM-SHA-256-PLUS", b"y,,n=u,r=c", "flag"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=u,r=c", "type"),
    ],
)
def test_the_binding_flag_must_fit_the_mechanism(name, first, reason):
    answer = server_mechanism(name, BINDINGS, "s", plus_offered=True).step(first)
    assert isinstance(answer, Rejected)
    assert reason in answer.reason


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n",
        b"n,,",
        b"n,,n=u",
        b"n,,n=u,r=",
        b"n,,n=,r=c",
        b"n,,r=c,n=u",
        b"x,,n=u,r=c",
        b"p=,,n=u,r=c",
        b"n,b=x,n=u,r=c",
        b"n,a=,n=u,r=c",
        b"n,,m=ext,n=u,r=c",
        b"n,,n=u=2D,r=c",
        b"n,,n=u=,r=c",
        b"n,,n=u,r=a b",
        b"n,,n=u,r=\xc3\xa9",
        b"n,,n=\xff,r=c",
        b"n,,n=u\0,r=c",
        b"n,,n=u\x07,r=c",
        b"n,,n=" + b"u" * 1025 + b",r=c",
        b"n,,n=u,r=" + b"c" * 5000,
    ],
)
def test_a_malformed_first_message_is_refused(first):
    with pytest.raises(RemoteProtocolError):
        server_mechanism("SCRAM-SHA-256", {}, "s").step(first)


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws",
        b"c=biws,r=cs",
        b"r=cs,c=biws,p=AA==",
        b"c=biws,r=cs,p=!",
        b"c=biws,r=,p=AA==",
    ],
)
def test_a_malformed_final_message_is_refused(final):
    server = server_mechanism("SCRAM-SHA-256", {}, "s")
    server.step(b"n,,n=u,r=c")
    server.verifier(verifier())
    with pytest.raises(RemoteProtocolError):
        server.step(final)
    with pytest.raises(LocalProtocolError):
        server.step(final)


@pytest.mark.parametrize(
    ("final", "reason"),
    [
        (b"c=biws,r=c,p=AA==", "nonce"),
        (b"c=biws,r=csX,p=AA==", "nonce"),
        (b"c=eSws,r=cs,p=AA==", "bindings"),
        (b"c=biws,r=cs,p=AA==", "password"),
        (b"c=biws,r=cs,p=", "password"),
    ],
)
def test_a_wrong_final_message_is_rejected(final, reason):
    server = server_mechanism("SCRAM-SHA-256", {}, "s")
    server.step(b"n,,n=u,r=c")
    server.verifier(verifier())
    answer = server.step(final)
    assert isinstance(answer, Rejected)
    assert reason in answer.reason


def test_the_server_asks_once_for_a_missing_first_message():
    server = server_mechanism("SCRAM-SHA-256", {}, "s")
    assert server.step(None) == Challenge(b"")
    with pytest.raises(LocalProtocolError):
        server.step(None)
    assert server.step(b"n,a=boss,n=u,r=c") == NeedVerifier("u")
    with pytest.raises(LocalProtocolError):
        server.step(b"c=biws,r=cs,p=AA==")


@pytest.mark.parametrize("nonce", ["", "a,b", "a b", "é"])
def test_a_bad_nonce_of_ours_is_our_fault(nonce):
    with pytest.raises(LocalProtocolError):
        server_mechanism("SCRAM-SHA-256", {}, nonce)
    with pytest.raises(LocalProtocolError):
        client_mechanism("SCRAM-SHA-256", "u", b"p", {}, nonce)


@pytest.mark.parametrize(
    "first",
    [
        b"r=c,s=c2FsdA==,i=4096",
        b"r=other,s=c2FsdA==,i=4096",
        b"m=x,r=cs,s=c2FsdA==,i=4096",
        b"r=cs,s=,i=4096",
        b"r=cs,s=***,i=4096",
        b"r=cs,s=c2FsdA==,i=1",
        b"r=cs,s=c2FsdA==,i=99999999",
        b"r=cs,s=c2FsdA==,i=-4096",
        b"r=cs,s=c2FsdA==,i=" + b"9" * 4000,
        b"r=cs,s=c2FsdA==",
        b"\xff",
        b"e=other-error",
    ],
)
def test_the_client_refuses_a_lying_server(first):
    client = client_mechanism("SCRAM-SHA-256", "user", b"pencil", {}, "c")
    with pytest.raises(RemoteProtocolError):
        client.respond(first)


def test_the_client_believes_success_only_with_the_signature():
    client = client_mechanism("SCRAM-SHA-256", "user", b"pencil", {}, "c")
    with pytest.raises(RemoteProtocolError):
        client.verify_done()
    client.respond(b"r=cs,s=c2FsdA==,i=4096")
    for final in (b"v=AAAA", b"e=invalid-proof", b"", b"v=?"):
        with pytest.raises(RemoteProtocolError):
            client.respond(final)
    with pytest.raises(RemoteProtocolError):
        client.verify_done()


def test_plus_without_bindings_is_our_fault():
    with pytest.raises(LocalProtocolError):
        client_mechanism("SCRAM-SHA-256-PLUS", "user", b"pencil", {}, "c")
