"""Every way in and out beside MX: LMTP from and to others, programs, a smarthost with login."""

from __future__ import annotations

import contextlib
import os
import smtplib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.interop.peers.maildir import header, messages
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import (
    Process,
    free_port,
    loopback_address,
    need_root,
    wait_until,
    workdir,
)

ANN, BOB = "ann@hub.test", "bob@hub.test"
CARL = "carl@edge.test"
TEXT = "From: ann@hub.test\r\nSubject: {}\r\n\r\nHello\r\n.\r\n..\r\n"
NOBODY = 65534


@dataclass
class House:
    """``edge`` sends all mail on, most of it to ``hub``, where it logs in as ann."""

    edge: Mailframe
    hub: Mailframe
    directory: Path

    def send(self, recipient: str, subject: str, sender: str = ANN) -> None:
        with self.edge.smtp() as client:
            assert client.sendmail(sender, [recipient], TEXT.format(subject)) == {}

    def bounce(self, recipient: str) -> bytes:
        """What carl is told about a recipient."""
        field = f"Final-Recipient: rfc822; {recipient}\n".encode()

        def found() -> list[bytes]:
            return [one for one in self.edge.inbox(CARL) if field in one]

        wait_until(found, f"the bounce for {recipient}")
        return found()[0]

    def arrived(self, recipient: str, subject: str) -> bytes:
        def found() -> list[bytes]:
            inbox = self.hub.inbox(recipient)
            return [one for one in inbox if header(one, "Subject") == [subject]]

        wait_until(found, f"{subject} arrives at {recipient}")
        (message,) = found()
        assert message.endswith(b"\n\nHello\n.\n..\n")
        return message


def through_submission(hub: Mailframe, scheme: str, listener: str, options: str = "") -> str:
    login = f"{quote(ANN)}:{quote(PASSWORD)}"
    return f"{scheme}://{login}@{hub.address}:{hub.ports[listener]}{options}"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(workdir("routes"))
        for name in ("edge", "hub"):
            (path / name).mkdir()
        hub = Mailframe(path / "hub", loopback_address())
        socket = path / "hub" / "lmtp.sock"
        listener = {"endpoint": f"unix:{socket}", "role": "lmtp"}
        hub.configure(listen={"unix": listener})
        names = ("hub", "lmtp", "unix", "smtps", "strict")
        hub.add_users(ANN, *(f"bob@{name}.test" for name in names))
        stack.callback(hub.stop)
        hub.start()
        careful = "?tls=required&verify=yes"
        edge = Mailframe(path / "edge", loopback_address())
        edge.configure(
            hostname="edge.test",
            relay={
                "networks": ["127.0.0.0/8"],
                "smarthost": through_submission(hub, "smtp", "submission", "?verify=no"),
            },
            routes={
                "lmtp.test": f"lmtp://{hub.address}:{hub.ports['lmtp']}",
                "unix.test": f"lmtp+unix:{socket}",
                "smtps.test": through_submission(hub, "smtps", "submissions", "?verify=no"),
                "strict.test": through_submission(hub, "smtp", "submission", careful),
                "wrong.test": f"smtp://bob:cow@{hub.address}:{hub.ports['submission']}",
                "pipe.test": f"pipe:{path}/program {path}",
                "dovecot.test": f"lmtp+unix:{path}/dovecot.lmtp",
            },
        )
        edge.add_users(CARL)
        stack.callback(edge.stop)
        edge.start()
        yield House(edge, hub, path)
        assert edge.tracebacks == []
        assert hub.tracebacks == []


# -- to others ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipient", "protocol"),
    [
        (BOB, "ESMTPSA"),
        ("bob@smtps.test", "ESMTPSA"),
        ("bob@lmtp.test", "LMTPS"),
        ("bob@unix.test", "LMTP"),
    ],
)
def test_to_another_server(house: House, recipient: str, protocol: str) -> None:
    house.send(recipient, f"to {recipient}")
    message = house.arrived(recipient, f"to {recipient}")
    assert f"with {protocol} " in header(message, "Received")[0]
    assert "edge.test" in header(message, "Received")[0]
    wait_until(lambda: house.edge.queue() == [], "the queue is empty")


def why_deferred(house: House, recipient: str) -> str:
    """After the first attempt; takes it out of the queue."""

    def found() -> list[tuple[str, str]]:
        return [
            (entry["queue_id"], each["delay_reason"])
            for entry in house.edge.queue()
            for each in entry["recipients"]
            if each["address"] == recipient and each.get("delay_reason")
        ]

    wait_until(found, f"{recipient} is deferred")
    ((queue_id, reason),) = found()
    house.edge.cli("queue", "rm", "--yes", queue_id)
    return reason


def test_a_password_goes_to_nobody_unproven(house: House) -> None:
    logins = house.hub.log.count("step=login")
    house.send("bob@strict.test", "strict")
    assert "TLS handshake" in why_deferred(house, "bob@strict.test")
    assert "certificate verify failed" in house.edge.cli("trace", "bob@strict.test")
    assert house.hub.log.count("step=login") == logins
    assert house.hub.inbox("bob@strict.test") == []


def test_a_wrong_password_waits_for_a_better_one(house: House) -> None:
    house.send("bob@wrong.test", "wrong")
    assert "535" in why_deferred(house, "bob@wrong.test")
    assert "cow" not in house.edge.log


def test_lmtp_answers_for_each_recipient(house: House) -> None:
    with house.edge.smtp() as client:
        recipients = ["bob@lmtp.test", "nobody@lmtp.test"]
        assert client.sendmail(CARL, recipients, TEXT.format("two")) == {}
    house.arrived("bob@lmtp.test", "two")
    assert b"rfc822; bob@lmtp.test" not in house.bounce("nobody@lmtp.test")


def test_into_a_program(house: House) -> None:
    program = house.directory / "program"
    program.write_text('#!/bin/sh\ncat > "$1/$RECIPIENT"\necho "$SENDER" > "$1/sender"\n')
    program.chmod(0o755)
    house.send("a.b@pipe.test", "piped")
    made = house.directory / "a.b@pipe.test"
    wait_until(lambda: made.exists() and house.edge.queue() == [], "the program has it")
    assert made.read_bytes().endswith(b"Subject: piped\n\nHello\n.\n..\n")
    assert (house.directory / "sender").read_text() == f"{ANN}\n"


def test_a_program_that_refuses(house: House) -> None:
    program = house.directory / "program"
    program.write_text("#!/bin/sh\ncat > /dev/null\necho no such person >&2\nexit 67\n")
    program.chmod(0o755)
    house.send("gone@pipe.test", "refused", CARL)
    report = house.bounce("gone@pipe.test")
    assert b"Status: 5.1.1" in report
    assert b"no such person" in report


def test_to_dovecot_by_lmtp(house: House, stack: contextlib.ExitStack) -> None:
    need_root("Dovecot")
    if not Path("/usr/lib/dovecot/lmtp").exists():
        pytest.skip("dovecot-lmtpd is not installed")
    base = house.directory / "dovecot"
    base.mkdir()
    os.chown(base, NOBODY, NOBODY)
    socket = house.directory / "dovecot.lmtp"
    (house.directory / "dovecot.conf").write_text(
        _DOVECOT.format(base=base, socket=socket, uid=NOBODY)
    )
    command = ["dovecot", "-F", "-c", str(house.directory / "dovecot.conf")]
    dovecot = Process(command, house.directory / "dovecot.start")
    stack.callback(dovecot.stop)
    dovecot.wait_for(socket.exists, "Dovecot listens")
    house.send("bea@dovecot.test", "for Dovecot")
    inbox = base / "bea@dovecot.test" / "Maildir"
    wait_until(lambda: messages(inbox), "Dovecot has it")
    (message,) = messages(inbox)
    assert header(message, "Return-Path") == [f"<{ANN}>"]
    assert message.replace(b"\r\n", b"\n").endswith(b"Subject: for Dovecot\n\nHello\n.\n..\n")


_DOVECOT = """\
protocols = lmtp
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
ssl = no
first_valid_uid = 100
first_valid_gid = 100
mail_location = maildir:{base}/%u/Maildir
postmaster_address = postmaster@dovecot.test
auth_mechanisms = plain
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={base}/%u allow_all_users=yes
}}
service lmtp {{
  unix_listener {socket} {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


# -- from others ----------------------------------------------------------------------


def told(postfix: Postfix) -> Callable[[], bool]:
    return lambda: any(b"nobody@hub.test" in one for one in postfix.inbox("bea@pf.test"))


def test_postfix_delivers_by_lmtp(house: House, stack: contextlib.ExitStack) -> None:
    path = stack.enter_context(workdir("postfix-lmtp"))
    postfix = Postfix(path, loopback_address(), free_port(), "mx.pf.test")
    stack.callback(postfix.stop)
    lmtp = f"lmtp:inet:{house.hub.address}:{house.hub.ports['lmtp']}"
    settings = {"relay_domains": "hub.test", "relay_transport": lmtp, "lmtp_host_lookup": "native"}
    postfix.start(mailboxes=["bea@pf.test"], settings=settings)
    with smtplib.SMTP(postfix.address, postfix.port) as client:
        recipients = [BOB, ANN, "nobody@hub.test"]
        assert client.sendmail("bea@pf.test", recipients, TEXT.format("by LMTP")) == {}
    for recipient in (BOB, ANN):
        message = house.arrived(recipient, "by LMTP")
        assert header(message, "Delivered-To") == [recipient]
        assert "with LMTP" in header(message, "Received")[0]
    wait_until(told(postfix), "Postfix tells of the one who does not exist")
    assert postfix.log_has(r"to=<bob@hub.test>.*dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok")
    assert postfix.log_has(r"to=<nobody@hub.test>.*dsn=5\.1\.1, status=bounced")


def test_lmtp_does_not_relay(house: House) -> None:
    with smtplib.LMTP(house.hub.address, house.hub.ports["lmtp"]) as client:
        client.ehlo_or_helo_if_needed()
        client.mail(ANN)
        assert client.rcpt("somebody@else.test")[0] == 550
