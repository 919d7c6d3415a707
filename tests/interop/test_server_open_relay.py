"""Strangers and their tricks get no mail to other people's domains."""

from __future__ import annotations

import poplib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import loopback_address

OUR, THEIR = "mf.test", "victim.test"
TRICKS = [
    f"<spam@{THEIR}>",
    f"<spam@{THEIR.upper()}>",
    f"<spam%{THEIR}@{OUR}>",
    f"<spam%{THEIR}@mail.{OUR}>",
    f"<spam%{THEIR}@[127.0.0.1]>",
    f"<spam%{THEIR}>",
    f'<"spam@{THEIR}"@{OUR}>',
    f'<"spam%{THEIR}"@{OUR}>',
    f'<"spam@{THEIR}">',
    f"<spam@{THEIR}@{OUR}>",
    f"<spam@{OUR}@{THEIR}>",
    f"<@{OUR}:spam@{THEIR}>",
    f"<@{OUR},@mail.{OUR}:spam@{THEIR}>",
    f"<@[127.0.0.1]:spam@{THEIR}>",
    f"<{THEIR}!spam>",
    f"<{THEIR}!spam@{OUR}>",
    f"<{THEIR}!spam@[127.0.0.1]>",
    f'<"{THEIR}!spam"@{OUR}>',
    f"<{OUR}!{THEIR}!spam>",
    f"<spam@[{THEIR}]>",
    f"<spam@[127.0.0.1:{THEIR}]>",
    "<spam@[192.0.2.1]>",
    "<spam@[IPv6:2001:db8::1]>",
    f"spam@{THEIR}",
    f"<spam@{THEIR}.>",
    f"<spam@{OUR}.{THEIR}>",
    f"<spam@{THEIR}%00.{OUR}>",
    f"<ann@{OUR} spam@{THEIR}>",
    f"<ann@{OUR},spam@{THEIR}>",
    f"<ann@{OUR}><spam@{THEIR}>",
    f"<ann@{OUR}> <spam@{THEIR}>",
    f'<"ann@{OUR}" <spam@{THEIR}>>',
    f"<spam@{THEIR}(@{OUR})>",
    f"<spam@{THEIR}\\@{OUR}>",
    f"<spam\\@{THEIR}@{OUR}>",
    f"<spam@{THEIR}#@{OUR}>",
    f"<ann+spam@{THEIR}>",
    f"<|cat@{THEIR}>",
    f"<spam@{THEIR}> ORCPT=rfc822;ann@{OUR}",
    f"<spam@{THEIR}> NOTIFY=SUCCESS",
]  # fmt: skip
SENDERS = ["<>", f"<ann@{OUR}>", f"<postmaster@{OUR}>", f"<spam@{THEIR}>", "<ann@[127.0.0.1]>"]


def test_there_are_enough_tricks() -> None:
    assert len(TRICKS) >= 25


@pytest.mark.parametrize("sender", SENDERS)
def test_every_trick_is_refused_at_rcpt(running: Mailframe, sender: str) -> None:
    for trick in TRICKS:
        # a new session each: ten errors end one
        with running.smtp("mx") as client:
            client.docmd("MAIL", f"FROM:{sender}")
            code, text = client.docmd("RCPT", f"TO:{trick}")
            assert 500 <= code < 600, f"{trick} got {code} {text!r}"
            assert client.docmd("DATA")[0] in (503, 554)
    assert running.queue() == []


def test_a_plain_stranger_is_told_why(running: Mailframe) -> None:
    with running.smtp("mx") as client:
        client.mail("someone@sender.test")
        code, text = client.rcpt(f"spam@{THEIR}")
    assert code == 550
    assert text.startswith(b"5.7.1 ")
    assert b"(ref " in text


def test_local_addresses_work_all_the_same(running: Mailframe) -> None:
    with running.smtp("mx") as client:
        client.mail("someone@sender.test")
        for recipient in ("<ann@mf.test>", "<@relay.test:bob@mf.test>", "<postmaster>"):
            code, text = client.docmd("RCPT", f"TO:{recipient}")
            assert code == 250, f"{recipient}: {text!r}"


def test_vrfy_and_expn_tell_strangers_nothing(running: Mailframe) -> None:
    with running.smtp("mx") as client:
        assert client.docmd("VRFY", "ann@mf.test")[0] == client.docmd("VRFY", "zoe@mf.test")[0]
        assert client.docmd("EXPN", "staff@mf.test")[0] in (252, 502, 550)


@pytest.fixture
def pop_server(mailframe: Mailframe) -> Iterator[Mailframe]:
    mailframe.configure(
        auth={
            "allow_plaintext": True,
            "pop_before_smtp": True,
            "pop_before_smtp_window": "3s",
        }
    )
    mailframe.start()
    yield mailframe
    assert mailframe.tracebacks == []


def rcpt(server: Mailframe, source: str) -> int:
    with server.smtp("mx", source=source) as client:
        client.mail(f"ann@{OUR}")
        return client.rcpt(f"friend@{THEIR}")[0]


def fetch(server: Mailframe, source: str, password: str) -> None:
    # poplib cannot choose its own address
    with socket.create_connection(
        (server.address, server.ports["pop3"]), 10, source_address=(source, 0)
    ) as connection:
        stream = connection.makefile("rwb", buffering=0)
        stream.readline()
        for command in (f"USER ann@{OUR}", f"PASS {password}", "QUIT"):
            stream.write(command.encode() + b"\r\n")
            stream.readline()


def test_pop_before_smtp_opens_for_that_address_and_closes(pop_server: Mailframe) -> None:
    mine, other = loopback_address(), loopback_address()
    assert rcpt(pop_server, mine) == 550
    fetch(pop_server, mine, "wrong")
    assert rcpt(pop_server, mine) == 550
    fetch(pop_server, mine, PASSWORD)
    assert rcpt(pop_server, mine) == 250
    assert rcpt(pop_server, other) == 550
    time.sleep(3.5)
    assert rcpt(pop_server, mine) == 550


def test_pop_before_smtp_is_off_unless_switched_on(running: Mailframe) -> None:
    client = poplib.POP3(running.address, running.ports["pop3"], timeout=10)
    client.stls(any_certificate())
    client.user("ann@mf.test")
    client.pass_(PASSWORD)
    client.quit()
    assert rcpt(running, "") == 550
