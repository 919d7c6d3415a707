"""Whose address is it: full mailboxes, aliases, details, catch-all, literals, loops, VRFY."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.peers.dns import Dns
from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.pop3 import Pop3, take
from tests.interop.peers.process import free_port, loopback_address, wait_until, workdir
from tests.interop.peers.sink import Sink

ANN, BOB, SMALL = "ann@mf.test", "bob@mf.test", "small@mf.test"
SENDER = "x@far.test"
STRANGER = "127.0.0.99"


@dataclass
class House:
    mailframe: Mailframe
    sink: Sink

    def rcpt(self, recipient: str, *options: str, source: str = STRANGER) -> tuple[int, bytes]:
        with self.mailframe.smtp(source=source) as client:
            client.mail(SENDER, options)
            return client.rcpt(recipient)

    def send(self, *recipients: str, size: int = 10, sender: str = SENDER) -> str:
        """From somebody who may relay; the queue id."""
        text = f"Subject: {' '.join(recipients)}\r\n\r\n".encode() + b"x" * size + b"\r\n"
        with self.mailframe.smtp(source="127.0.0.1") as client:
            client.mail(sender)
            for recipient in recipients:
                code, said = client.rcpt(recipient)
                assert code == 250, said
            code, said = client.data(text)
            assert code == 250, said
        found = re.search(rb"Ok: (\w+)", said)
        assert found
        return found[1].decode()

    def taken(self, user: str, count: int = 1) -> list[bytes]:
        def there() -> int:
            with Pop3(self.mailframe, user) as session:
                return len(session.sizes())

        wait_until(lambda: there() == count, f"{count} messages for {user}")
        return take(self.mailframe, user)

    def report(self) -> str:
        """The next one for ann."""
        (made,) = self.taken(ANN)
        assert b"multipart/report" in made
        return made.decode()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(workdir("recipients"))
        (path / "dns").mkdir()
        port = free_port()
        sink = Sink(port=port)
        stack.callback(sink.stop)
        mailframe = Mailframe(path, loopback_address(), port)
        dns = Dns(path / "dns", loopback_address())
        stack.callback(dns.stop)
        ours = [f"A {mailframe.address}"]
        dns.start(
            {
                "mail.mf.test": ours,
                "loop.test": ["MX 10 mail.mf.test."],
                "disguised.test": ["MX 10 other-name.test."],
                "other-name.test": ours,
                "backup.test": ["MX 10 dead.test.", "MX 20 other-name.test."],
                "dead.test": [f"A {loopback_address()}"],
                "nomail.test": ["MX 0 ."],
                "far.test": ["MX 10 sink.test."],
                "sink.test": [f"A {sink.address}"],
            }
        )
        mailframe.configure(
            dns={"servers": [dns.server]},
            relay={"port": port, "networks": ["127.0.0.1/32"]},
            queue={"retry": ["1s"]},
        )
        mailframe.add_users(ANN, BOB, "carl@open.test")
        mailframe.cli("user", "add", SMALL, "--stdin", "--quota", "20K", text=PASSWORD + "\n")
        mailframe.cli("alias", "add", "team@mf.test", ANN, BOB, "dora@far.test")
        mailframe.cli("alias", "add", "nest@mf.test", "team@mf.test", "emil@far.test")
        mailframe.cli("alias", "add", "@open.test", "carl@open.test")
        stack.callback(mailframe.stop)
        mailframe.start()
        yield House(mailframe, sink)
        assert mailframe.tracebacks == []


# -- room -----------------------------------------------------------------------------


def test_a_full_mailbox_refuses_and_recovers(house: House) -> None:
    assert house.rcpt(SMALL, "SIZE=30000")[0] == 452
    assert house.rcpt(SMALL, "SIZE=3000")[0] == 250
    for _ in range(2):
        house.send(SMALL, size=9000)
    wait_until(lambda: len(house.mailframe.inbox(SMALL)) == 2, "both arrive")
    code, text = house.rcpt(SMALL, "SIZE=9000")
    assert (code, text[:6]) == (452, b"4.2.2 ")
    with Pop3(house.mailframe, SMALL) as session:
        session.ask("DELE 1")
    assert house.rcpt(SMALL, "SIZE=9000")[0] == 250
    house.send(SMALL, size=9000)
    wait_until(lambda: len(house.mailframe.inbox(SMALL)) == 2, "there is room again")


def test_what_was_accepted_waits_for_room(house: House) -> None:
    """Two at a time pass RCPT, one fits: the other one is late, not lost."""
    take(house.mailframe, SMALL)
    house.send(SMALL, size=15_000)
    with house.mailframe.smtp(source="127.0.0.1") as client:
        client.mail(SENDER)
        assert client.rcpt(SMALL)[0] == 250
        client.data(b"Subject: larger than it seemed\r\n\r\n" + b"x" * 15_000 + b"\r\n")
    wait_until(lambda: "step=defer" in house.mailframe.log, "the second one waits")
    assert len(take(house.mailframe, SMALL)) == 1
    house.taken(SMALL)


# -- names ----------------------------------------------------------------------------


def test_an_alias_with_targets_here_and_elsewhere(house: House) -> None:
    before = len(house.sink.messages)
    house.send("team@mf.test", BOB)
    assert len(house.taken(ANN)) == 1
    assert len(house.taken(BOB)) == 1  # by two names, once
    wait_until(lambda: len(house.sink.messages) > before, "the third one is relayed")
    assert house.sink.messages[-1].recipients == ["dora@far.test"]


def test_an_alias_of_an_alias(house: House) -> None:
    before = len(house.sink.messages)
    # a stranger may use it, although it leads elsewhere
    with house.mailframe.smtp(source=STRANGER) as client:
        assert client.sendmail(SENDER, ["nest@mf.test"], "Subject: n\r\n\r\nx\r\n") == {}
    house.taken(ANN)
    house.taken(BOB)
    wait_until(lambda: len(house.sink.messages) > before, "it is relayed")
    wait_until(lambda: house.mailframe.queue() == [], "all of it")
    relayed = [one for message in house.sink.messages[before:] for one in message.recipients]
    assert sorted(relayed) == ["dora@far.test", "emil@far.test"]


@pytest.mark.parametrize("recipient", ["ann+shop@mf.test", "ANN+a+b@MF.test"])
def test_a_detail_is_kept_for_the_reader(house: House, recipient: str) -> None:
    house.send(recipient)
    (made,) = house.taken(ANN)
    local_part, _, domain = recipient.partition("@")
    assert header(made, "Delivered-To") == [f"{local_part}@{domain.lower()}"]


def test_catch_all_and_its_end(house: House) -> None:
    house.send("anything@open.test")
    house.taken("carl@open.test")
    assert house.rcpt("nobody@mf.test")[0] == 550


def test_postmaster_always_has_somebody(house: House) -> None:
    assert house.rcpt("postmaster")[0] == 250
    assert house.rcpt("postmaster@mf.test")[0] == 250


# -- literals and loops ---------------------------------------------------------------


def test_a_literal_is_an_address_to_dial(house: House) -> None:
    before = len(house.sink.messages)
    house.send(f"dora@[{house.sink.address}]")
    wait_until(lambda: len(house.sink.messages) > before, "it arrives")
    assert house.sink.messages[-1].recipients == [f"dora@[{house.sink.address}]"]
    assert house.rcpt(f"dora@[{house.sink.address}]")[0] == 550  # not for strangers


@pytest.mark.parametrize(
    ("recipient", "status"),
    [("x@loop.test", "5.4.6"), ("x@disguised.test", "5.4.6"), ("x@nomail.test", "5.1.10")],
)
def test_mail_that_would_come_back_to_us_bounces(house: House, recipient: str, status: str) -> None:
    connections = house.mailframe.log.count("step=connect")
    house.send(recipient, sender=ANN)
    report = house.report()
    assert f"Status: {status}" in report
    assert house.mailframe.log.count("listener=mx") - connections < 5  # it did not go round


def test_a_backup_waits_for_the_better_host(house: House) -> None:
    queue_id = house.send("x@backup.test", sender=ANN)

    def reasons() -> list[str]:
        return [
            recipient["delay_reason"]
            for entry in house.mailframe.queue()
            for recipient in entry["recipients"]
            if entry["queue_id"] == queue_id and recipient.get("delay_reason")
        ]

    wait_until(reasons, "it is deferred")
    assert "dead.test" in reasons()[0]
    house.mailframe.cli("queue", "rm", "--yes", queue_id)


def test_headers_that_say_it_has_been_here(house: House) -> None:
    with house.mailframe.smtp() as client:
        client.mail(ANN)
        client.rcpt(BOB)
        client.data(f"Delivered-To: {BOB}\r\nSubject: again\r\n\r\nx\r\n".encode())
    assert "Status: 5.4.6" in house.report()
    with house.mailframe.smtp() as client:
        client.mail(SENDER)
        client.rcpt(BOB)
        received = b"Received: from a by b; Mon, 23 Nov 2026 05:50:04 +0000\r\n"
        code, text = client.data(received * 101 + b"\r\nx\r\n")
        assert (code, text[:6]) == (554, b"5.4.6 ")


# -- VRFY and EXPN --------------------------------------------------------------------


def ask(house: House, verb: str, address: str, source: str) -> tuple[int, bytes]:
    with house.mailframe.smtp(source=source) as client:
        return client.docmd(verb, address)


def test_strangers_learn_nothing(house: House) -> None:
    answers = {ask(house, "VRFY", who, STRANGER) for who in (ANN, "nobody@mf.test", "team@mf.test")}
    assert {code for code, _ in answers} == {252}
    assert len({text.partition(b" (ref")[0] for _, text in answers}) == 1
    assert ask(house, "EXPN", "team@mf.test", STRANGER)[0] in (252, 502, 550)


def test_friends_are_told(house: House) -> None:
    friend = "127.0.0.1"
    code, text = ask(house, "VRFY", ANN, friend)
    assert (code, b"<ann@mf.test>" in text) == (250, True)
    assert ask(house, "VRFY", "nobody@mf.test", friend)[0] == 550
    code, text = ask(house, "EXPN", "nest@mf.test", friend)
    assert code == 250
    for member in (ANN, BOB, "dora@far.test", "emil@far.test"):
        assert member.encode() in text
