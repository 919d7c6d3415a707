"""PLAIN, LOGIN, SASLprep and the choice of mechanisms."""

from __future__ import annotations

import pytest

from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.sasl import (
    CLIENT_PREFERENCE,
    SERVER_MECHANISMS,
    SERVER_PREFERENCE,
    TOKEN_MECHANISMS,
    Challenge,
    CheckPassword,
    SaslprepError,
    UnknownMechanism,
    acts_for_another,
    client_mechanism,
    prepared_password,
    saslprep,
    server_mechanism,
)


def plain():
    return server_mechanism("plain", {}, "nonce")


def test_plain_of_rfc_4616_section_4():
    assert plain().step(b"\0tim\0tanstaaftanstaaf") == CheckPassword("tim", b"tanstaaftanstaaf", "")
    answer = plain().step(b"Ursel\0Kurt\0xipj3plmq")
    assert answer == CheckPassword("Kurt", b"xipj3plmq", "Ursel")
    assert acts_for_another(answer)
    assert not acts_for_another(plain().step(b"Kurt\0Kurt\0xipj3plmq"))


def test_plain_without_an_initial_response():
    mechanism = plain()
    assert mechanism.step(None) == Challenge(b"")
    assert mechanism.step(b"\0a\0b") == CheckPassword("a", b"b", "")
    with pytest.raises(LocalProtocolError):
        mechanism.step(b"\0a\0b")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"a",
        b"\0a",
        b"\0\0",
        b"\0a\0",
        b"\0\0b",
        b"\0a\0b\0",
        b"\0a\0b\0c",
        b"\0\xff\0b",
        b"\0a\x07\0b",
        b"\x7f\0a\0b",
        b"\0" + b"a" * 1025 + b"\0b",
        b"\0a\0" + b"b" * 1025,
    ],
)
def test_malformed_plain_is_refused(message):
    with pytest.raises(RemoteProtocolError):
        plain().step(message)


def test_a_password_may_be_any_octets():
    assert plain().step(b"\0a\0 \xff\xfe ").password == b" \xff\xfe "


def test_the_password_stays_out_of_the_repr():
    assert "secret" not in repr(plain().step(b"\0a\0secret"))


def test_login_with_and_without_an_initial_response():
    mechanism = server_mechanism("LOGIN", {}, "nonce")
    assert mechanism.step(None) == Challenge(b"Username:")
    assert mechanism.step(b"ann") == Challenge(b"Password:")
    assert mechanism.step(b"secret") == CheckPassword("ann", b"secret", "")
    with pytest.raises(LocalProtocolError):
        mechanism.step(b"more")
    mechanism = server_mechanism("LOGIN", {}, "nonce")
    assert mechanism.step(b"ann") == Challenge(b"Password:")


@pytest.mark.parametrize("answers", [[b""], [b"\xff"], [b"ann", b""], [b"a" * 2000]])
def test_malformed_login_is_refused(answers):
    mechanism = server_mechanism("LOGIN", {}, "nonce")
    mechanism.step(None)
    for answer in answers[:-1]:
        mechanism.step(answer)
    with pytest.raises(RemoteProtocolError):
        mechanism.step(answers[-1])


def test_neither_takes_a_verifier():
    for name in ("PLAIN", "LOGIN"):
        with pytest.raises(LocalProtocolError):
            server_mechanism(name, {}, "nonce").verifier(None)


def test_clients_and_servers_of_both_agree():
    client = client_mechanism("PLAIN", "ann", b"secret", {}, "")
    assert plain().step(client.initial()) == CheckPassword("ann", b"secret", "")
    with pytest.raises(RemoteProtocolError):
        client.respond(b"")
    client.verify_done()
    client = client_mechanism("LOGIN", "ann", b"secret", {}, "")
    assert client.initial() is None
    assert client.respond(b"VXNlcg") == b"ann"
    assert client.respond(b"Password:") == b"secret"
    with pytest.raises(RemoteProtocolError):
        client.respond(b"Mother's maiden name:")
    client.verify_done()


def test_plain_cannot_carry_nul():
    with pytest.raises(LocalProtocolError):
        client_mechanism("PLAIN", "a\0b", b"c", {}, "")


@pytest.mark.parametrize("name", ["CRAM-MD5", "", "plain ", "__init__"])
def test_unknown_mechanisms(name):
    with pytest.raises(UnknownMechanism):
        server_mechanism(name, {}, "n")
    with pytest.raises(KeyError):
        client_mechanism(name, "a", b"b", {}, "n")


def test_every_mechanism_of_passwords_exists_on_both_sides():
    assert set(CLIENT_PREFERENCE) == SERVER_MECHANISMS - TOKEN_MECHANISMS
    assert set(SERVER_PREFERENCE) == SERVER_MECHANISMS


@pytest.mark.parametrize(
    ("text", "prepared"),
    [  # RFC 4013 section 3, and a non-ASCII space
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u3000b", "a b"),
        ("Ελένη", "Ελένη"),
        ("\u0627b\u0627"[:1], "\u0627"),
        ("", ""),
        ("\U0001f511", "\U0001f511"),
    ],
)
def test_saslprep(text, prepared):
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\x07", "\u0627\u0031", "\u0627a\u0627", "\x7f", "a\n", "\ue000"])
def test_saslprep_prohibits(text):
    with pytest.raises(SaslprepError):
        saslprep(text)


def test_a_password_that_cannot_be_prepared_stays_as_it_is():
    assert prepared_password("\u2168".encode()) == b"IX"
    assert prepared_password(b"\xff") == b"\xff"
    assert prepared_password(b"\x07") == b"\x07"
