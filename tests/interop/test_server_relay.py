"""mailframe among other mail servers: by MX and with STARTTLS, both ways; waiting, bouncing."""

from __future__ import annotations

import contextlib
import email
import re
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.peers import mutt
from tests.interop.peers.dns import Dns
from tests.interop.peers.exim import Exim
from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port, loopback_address, wait_until, workdir

ANN, BOB = "ann@mf.test", "bob@peer.test"
MX = "mx.peer.test"


@dataclass
class Network:
    """mailframe for mf.test and another server for peer.test, who find each other by MX."""

    mailframe: Mailframe
    peer: Postfix | Exim
    dns: Dns
    directory: Path


def network(kind: str, stack: contextlib.ExitStack) -> Network:
    path = stack.enter_context(workdir(kind))
    for name in ("dns", "mailframe", "peer"):
        (path / name).mkdir()
    port = free_port()
    dns = Dns(path / "dns", loopback_address())
    mailframe = Mailframe(path / "mailframe", loopback_address(), port)
    peer_class = Postfix if kind == "postfix" else Exim
    peer = peer_class(path / "peer", loopback_address(), port, MX)
    stack.callback(dns.stop)
    dns.start(
        {
            "mf.test": ["MX 10 mail.mf.test."],
            "mail.mf.test": [f"A {mailframe.address}"],
            "peer.test": [f"MX 20 {MX}.", "MX 10 dead.peer.test."],
            MX: [f"A {peer.address}"],
            "dead.peer.test": [f"A {loopback_address()}"],
            "nomail.test": ["MX 0 ."],
            "plain.test": [f"A {peer.address}"],
        },
        servfail=["broken.test"],
    )
    stack.callback(peer.stop)
    peer.start(mailboxes=[BOB, "bob@plain.test"], resolv_conf=dns.resolv_conf, relay_port=port)
    stack.callback(mailframe.stop)
    mailframe.configure(
        dns={"servers": [dns.server]},
        relay={"port": port, "networks": ["127.0.0.1/32"]},
        queue={"retry": ["2s"], "expire": "5m", "warn_after": "4m"},
    )
    mailframe.add_users(ANN)
    mailframe.start()
    return Network(mailframe, peer, dns, path)


@pytest.fixture(scope="module", params=["postfix", "exim"])
def mail(request: pytest.FixtureRequest) -> Iterator[Network]:
    with contextlib.ExitStack() as stack:
        made = network(request.param, stack)
        yield made
        assert made.mailframe.tracebacks == []


def submit(server: Mailframe, recipient: str, subject: str, body: str = "Hello.\n") -> None:
    text = wire(f"From: {ANN}\nTo: {recipient}\nSubject: {subject}\n\n{body}")
    with server.submission(ANN) as client:
        assert client.sendmail(ANN, [recipient], text, ["body=8bitmime"]) == {}


def wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def with_subject(messages: list[bytes], subject: str) -> list[bytes]:
    return [one for one in messages if header(one, "Subject") == [subject]]


def dsn(server: Mailframe) -> list[bytes]:
    return [one for one in server.inbox(ANN) if b"multipart/report" in one]


def test_to_the_peer_by_mx_with_tls(mail: Network) -> None:
    submit(mail.mailframe, BOB, "out", "Γεια σου.\n.\n..\n" + "long " * 300 + "\n")
    wait_until(lambda: with_subject(mail.peer.inbox(BOB), "out"), "the message arrives")
    (made,) = with_subject(mail.peer.inbox(BOB), "out")
    received = header(made, "Received")
    assert f"by {MX}" in received[0]
    assert re.search(r"TLSv?1\.3", received[0])
    assert "mail.mf.test" in received[0]
    assert "with ESMTPSA" in received[1]
    assert "Γεια σου.\n.\n..\n".encode() in made.replace(b"\r\n", b"\n")
    wait_until(lambda: mail.mailframe.queue() == [], "the queue is empty")


def test_from_the_peer_by_mx_with_tls(mail: Network) -> None:
    with smtplib.SMTP(mail.peer.address, mail.peer.port) as client:
        text = wire(f"From: {BOB}\nTo: {ANN}\nSubject: in\n\nΓεια.\n.\n")
        assert client.sendmail(BOB, [ANN], text) == {}
    wait_until(lambda: with_subject(mail.mailframe.inbox(ANN), "in"), "the message arrives")
    (made,) = with_subject(mail.mailframe.inbox(ANN), "in")
    assert header(made, "Return-Path") == [f"<{BOB}>"]
    received = header(made, "Received")[0]
    assert received.startswith(f"from {MX} ")
    assert "with ESMTPS (TLSv1." in received
    assert "Γεια.\n.\n".encode() in made.replace(b"\r\n", b"\n")


def test_many_messages_both_ways(mail: Network) -> None:
    before = len(mail.peer.inbox(BOB)), len(mail.mailframe.inbox(ANN))
    text = f"From: {ANN}\nSubject: one of many\n\nx\n"
    with mail.mailframe.submission(ANN) as client:
        for _ in range(60):
            client.sendmail(ANN, [BOB], text)
    with smtplib.SMTP(mail.peer.address, mail.peer.port) as client:
        for _ in range(60):
            client.sendmail(BOB, [ANN], text)
    wait_until(lambda: len(mail.peer.inbox(BOB)) == before[0] + 60, "all are out", 60)
    wait_until(lambda: len(mail.mailframe.inbox(ANN)) == before[1] + 60, "all are in", 60)


def test_a_domain_without_mx_is_its_own_mail_host(mail: Network) -> None:
    submit(mail.mailframe, "bob@plain.test", "implicit MX")
    wait_until(lambda: mail.peer.inbox("bob@plain.test"), "the message arrives")


def test_a_5xx_of_the_peer_becomes_a_dsn_that_mutt_shows(mail: Network) -> None:
    before = len(dsn(mail.mailframe))
    submit(mail.mailframe, "nobody@peer.test", "no such user")
    wait_until(lambda: len(dsn(mail.mailframe)) > before, "the DSN arrives")
    made = dsn(mail.mailframe)[-1]
    assert header(made, "Return-Path") == ["<>"]
    parsed = email.message_from_bytes(made)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    kinds = [part.get_content_type() for part in parsed.get_payload()]  # type: ignore[union-attr]
    assert kinds[:2] == ["text/plain", "message/delivery-status"]
    status = parsed.get_payload()[1].get_payload()  # type: ignore[index,union-attr]
    assert status[0]["Reporting-MTA"] == "dns; mail.mf.test"
    assert status[1]["Final-Recipient"] == "rfc822; nobody@peer.test"
    assert status[1]["Action"] == "failed"
    assert status[1]["Status"].startswith("5.")
    assert status[1]["Remote-MTA"] == f"dns; {MX}"
    assert "550" in status[1]["Diagnostic-Code"]
    maildir = mail.directory / "shown"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    (maildir / "new" / f"{before}.dsn").write_bytes(made)
    shown = mutt.shown(maildir, mail.directory)
    assert "Final-Recipient: rfc822; nobody@peer.test" in shown
    assert "Action: failed" in shown


@pytest.mark.parametrize(
    ("recipient", "status"),
    [("x@no-such-domain.test", "5.1.2"), ("x@nomail.test", "5.1.10")],
)
def test_domains_that_take_no_mail_bounce(mail: Network, recipient: str, status: str) -> None:
    before = len(dsn(mail.mailframe))
    submit(mail.mailframe, recipient, "nowhere")
    wait_until(lambda: len(dsn(mail.mailframe)) > before, "the DSN arrives")
    made = dsn(mail.mailframe)[-1]
    assert f"Final-Recipient: rfc822; {recipient}".encode() in made
    assert f"Status: {status}".encode() in made


def test_a_broken_name_server_is_no_reason_to_bounce(mail: Network) -> None:
    before = len(dsn(mail.mailframe))
    submit(mail.mailframe, "x@broken.test", "later")

    def deferred() -> bool:
        return any(
            recipient.get("delay_reason")
            for entry in mail.mailframe.queue()
            for recipient in entry["recipients"]
            if recipient["address"] == "x@broken.test"
        )

    wait_until(deferred, "the message is deferred", 40)
    assert len(dsn(mail.mailframe)) == before
    ids = [entry["queue_id"] for entry in mail.mailframe.queue()]
    mail.mailframe.cli("queue", "rm", "--yes", *ids)


def test_a_bounce_from_the_peer_reaches_its_sender(mail: Network) -> None:
    """The peer accepts for us, we refuse at RCPT, the peer tells its own user."""
    with smtplib.SMTP(mail.peer.address, mail.peer.port) as client:
        client.sendmail(BOB, ["nobody@mf.test"], "Subject: x\n\nx\n")

    def told() -> bool:
        return any(b"nobody@mf.test" in one and b"5.1.1" in one for one in mail.peer.inbox(BOB))

    wait_until(told, "the peer bounces")


@pytest.mark.parametrize("kind", ["postfix"])
def test_mail_waits_survives_a_crash_and_arrives(kind: str, stack: contextlib.ExitStack) -> None:
    mail = network(kind, stack)
    assert isinstance(mail.peer, Postfix)
    mail.peer.stop()
    for number in range(20):
        submit(mail.mailframe, BOB, f"waits {number}")
    wait_until(lambda: len(mail.mailframe.queue()) == 20, "all wait")
    wait_until(
        lambda: all(r["delay_reason"] for e in mail.mailframe.queue() for r in e["recipients"]),
        "each has been tried",
        30,
    )
    mail.mailframe.kill()
    assert len(mail.mailframe.queue()) == 20  # read without a server
    mail.mailframe.start()
    assert len(mail.mailframe.queue()) == 20
    mail.mailframe.restart()
    mail.peer.restart()
    wait_until(lambda: len(mail.peer.inbox(BOB)) >= 20, "all arrive", 60)
    wait_until(lambda: mail.mailframe.queue() == [], "the queue is empty")
    subjects = sorted(header(one, "Subject")[0] for one in mail.peer.inbox(BOB))
    assert subjects == sorted(f"waits {number}" for number in range(20))
    assert dsn(mail.mailframe) == []


def test_kill_9_in_the_midst_of_deliveries_loses_nothing(stack: contextlib.ExitStack) -> None:
    mail = network("postfix", stack)
    accepted = 0
    with contextlib.suppress(OSError), mail.mailframe.submission(ANN) as client:
        for number in range(200):
            client.sendmail(ANN, [BOB, ANN], f"From: {ANN}\nSubject: n{number}\n\nx\n")
            accepted += 1
            if number == 150:
                mail.mailframe.kill()
    assert accepted >= 150
    mail.mailframe.start()
    wait_until(lambda: mail.mailframe.queue() == [], "the queue is empty", 60)
    expected = {f"n{number}" for number in range(accepted)}
    relayed = [header(one, "Subject")[0] for one in mail.peer.inbox(BOB)]
    stored = [header(one, "Subject")[0] for one in mail.mailframe.inbox(ANN)]
    assert expected <= set(relayed)
    assert expected <= set(stored)
    # once in a local mailbox, even across the crash
    assert len(stored) == len(set(stored))


def test_8_bit_mail_is_converted_for_a_host_without_8bitmime(stack: contextlib.ExitStack) -> None:
    path = stack.enter_context(workdir("downgrade"))
    (path / "peer").mkdir()
    (path / "mailframe").mkdir()
    peer = Postfix(path / "peer", loopback_address(), free_port(), MX)
    stack.callback(peer.stop)
    peer.start(
        mailboxes=[BOB], settings={"smtpd_discard_ehlo_keywords": "8bitmime, chunking, smtputf8"}
    )
    mailframe = Mailframe(path / "mailframe", loopback_address())
    stack.callback(mailframe.stop)
    mailframe.configure(routes={"peer.test": f"smtp://{peer.address}:{peer.port}"})
    mailframe.add_users(ANN)
    mailframe.start()
    submit(mailframe, BOB, "8 bit", "naïve text, mostly ASCII\n" * 3)
    wait_until(lambda: with_subject(peer.inbox(BOB), "8 bit"), "the message arrives")
    (made,) = with_subject(peer.inbox(BOB), "8 bit")
    assert made.isascii()
    payload = email.message_from_bytes(made).get_payload(decode=True)
    assert payload == ("naïve text, mostly ASCII\n" * 3).encode()
    # a signed part is never touched: that one bounces
    signed = (
        f"From: {ANN}\nTo: {BOB}\nSubject: signed\nMIME-Version: 1.0\n"
        'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="s"\n\n'
        "--s\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
        "naïve\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n"
    )
    with mailframe.submission(ANN) as client:
        client.sendmail(ANN, [BOB], wire(signed), ["body=8bitmime"])
    wait_until(lambda: dsn(mailframe), "the DSN arrives")
    assert b"Status: 5.6.3" in dsn(mailframe)[0]
    assert with_subject(peer.inbox(BOB), "signed") == []
