"""Listeners that do without some verbs and keywords, the whole way through the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailframe.core.session import Role
from mailframe.protocols.smtp.verbs import CANNOT_DO_WITHOUT, KNOWN, VERBS
from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_world import Peer, World

ALWAYS = SmtpLimits(tarpit=0, allow_plaintext=True, messages=5, errors=0)


@contextmanager
def peer_without(*words: str, role: Role = Role.MX) -> Iterator[tuple[set[str], Peer]]:
    """The keywords of the EHLO answer, and the peer."""
    world = World(role=role, limits=ALWAYS, without=words)
    hello = b"LHLO c.test\r\n" if role is Role.LMTP else b"EHLO c.test\r\n"
    with world.greeted(hello=b"NOOP\r\n") as peer:
        lines = peer.ask(hello).decode().splitlines()[1:]
        yield {line[4:].split()[0] for line in lines}, peer


@pytest.mark.parametrize("role", [Role.MX, Role.LMTP])
@pytest.mark.parametrize("word", sorted(KNOWN))
def test_each_word_alone(word: str, role: Role) -> None:
    with peer_without(role=role) as (everything, _):
        pass
    with peer_without(word.lower(), role=role) as (keywords, peer):
        gone = {"BDAT": {"CHUNKING", "BINARYMIME"}, "CHUNKING": {"CHUNKING", "BINARYMIME"}}
        gone["8BITMIME"] = {"8BITMIME", "SMTPUTF8"}
        assert keywords == everything - gone.get(word, {word})
        if word in VERBS:
            code = b"502 5.5.1 "
            assert peer.ask(word.encode() + b" 0 LAST\r\n").startswith(code)
        if word != "HELP":
            answer = peer.ask(b"HELP\r\n").replace(b",", b"").split()
            assert word.encode() not in answer
            assert b"MAIL" in answer
        assert peer.ask(b"MAIL FROM:<a@far.test>\r\n").startswith(b"250 ")


@pytest.mark.parametrize(
    ("word", "command", "code"),
    [
        ("SIZE", b"MAIL FROM:<a@far.test> SIZE=5", b"555 5.5.4 "),
        ("8BITMIME", b"MAIL FROM:<a@far.test> BODY=8BITMIME", b"504 5.5.4 "),
        ("8BITMIME", b"MAIL FROM:<a@far.test> BODY=7BIT", b"250 "),
        ("8BITMIME", b"MAIL FROM:<a@far.test> SMTPUTF8", b"555 5.5.4 "),
        ("BINARYMIME", b"MAIL FROM:<a@far.test> BODY=BINARYMIME", b"504 5.5.4 "),
        ("BINARYMIME", b"MAIL FROM:<a@far.test> BODY=8BITMIME", b"250 "),
        ("CHUNKING", b"MAIL FROM:<a@far.test> BODY=BINARYMIME", b"504 5.5.4 "),
        ("SMTPUTF8", b"MAIL FROM:<a@far.test> SMTPUTF8", b"555 5.5.4 "),
        ("SMTPUTF8", "MAIL FROM:<ψ@far.test> SMTPUTF8".encode(), b"555 5.5.4 "),
        ("DSN", b"MAIL FROM:<a@far.test> RET=HDRS", b"555 5.5.4 "),
        ("DSN", b"MAIL FROM:<a@far.test> ENVID=x", b"555 5.5.4 "),
        ("AUTH", b"MAIL FROM:<a@far.test> AUTH=<>", b"555 5.5.4 "),
    ],
)
def test_parameters_go_with_their_keyword(word: str, command: bytes, code: bytes) -> None:
    with peer_without(word) as (_, peer):
        assert peer.ask(command + b"\r\n").startswith(code)
    with peer_without() as (_, peer):
        assert peer.ask(command + b"\r\n").startswith(b"250 ")


def test_without_8bitmime_and_binarymime_there_is_no_body() -> None:
    with peer_without("8BITMIME", "BINARYMIME") as (_, peer):
        assert peer.ask(b"MAIL FROM:<a@far.test> BODY=7BIT\r\n").startswith(b"555 5.5.4 ")


@pytest.mark.parametrize("parameter", [b"NOTIFY=NEVER", b"ORCPT=rfc822;x@far.test"])
def test_recipients_parameters(parameter: bytes) -> None:
    with peer_without("DSN") as (_, peer):
        peer.ask(b"MAIL FROM:<a@far.test>\r\n")
        refused = peer.ask(b"RCPT TO:<ann@local.test> " + parameter + b"\r\n")
        assert refused.startswith(b"555 5.5.4 ")
        assert peer.ask(b"RCPT TO:<ann@local.test>\r\n").startswith(b"250 ")


def test_what_a_refused_chunk_holds_is_no_command() -> None:
    with peer_without("CHUNKING") as (_, peer):
        peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\n")
        answer = peer.ask(b"BDAT 14 LAST\r\nRSET\r\nQUIT\r\n\r\nNOOP\r\n")
        assert answer.startswith(b"502 5.5.1 ")
        assert answer.count(b"\r\n") == 2
        assert answer.endswith(b"250 2.0.0 Ok\r\n")


def test_without_enhanced_codes_there_are_none() -> None:
    with peer_without("ENHANCEDSTATUSCODES") as (_, peer):
        assert peer.ask(b"NOOP\r\n") == b"250 Ok\r\n"
        assert peer.ask(b"MAIL FROM:<a@far.test>\r\n") == b"250 Sender ok\r\n"
        assert peer.ask(b"RCPT TO:<no@local.test>\r\n").startswith(b"550 No such user here")


def test_nobody_logs_in_without_auth() -> None:
    with peer_without("AUTH", role=Role.SUBMISSION) as (keywords, peer):
        assert "AUTH" not in keywords
        assert peer.ask(b"AUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n").startswith(b"502 ")
        assert peer.ask(b"MAIL FROM:<ann@local.test>\r\n").startswith(b"530 ")


def test_starttls_is_not_even_tried() -> None:
    with peer_without("STARTTLS") as (keywords, peer):
        assert "STARTTLS" not in keywords
        assert peer.ask(b"STARTTLS\r\n").startswith(b"502 5.5.1 ")
        assert peer.transport.tls is None


def test_the_two_sets_are_all_there_is() -> None:
    assert not KNOWN & CANNOT_DO_WITHOUT
    assert frozenset(VERBS) <= KNOWN | CANNOT_DO_WITHOUT
