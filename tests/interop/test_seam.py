"""Below ``base`` nothing is changed but through the seam, as strace sees it.

What the crash explorer and the simulated disk show holds only if they see every change. So the
real server does everything it can do to files while the kernel's side of it is written down.
"""

from __future__ import annotations

import imaplib
import os
import poplib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers.imap import fill, logged_in
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import loopback_address, need, run, wait_until
from tests.interop.peers.seam import Trace, script

ANN, BOB = "ann@mf.test", "bob@mf.test"
TWISTEDS_OWN = "run/control.sock"
"""A socket is bound by its path, and unlinked with it: no content, nothing durable."""


@pytest.fixture(scope="module", autouse=True)
def _can_trace() -> None:
    need("strace")
    if run(["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"]).returncode:
        pytest.skip("tracing is not allowed here")


@pytest.fixture
def traced(directory: Path) -> Iterator[Mailframe]:
    server = Mailframe(directory, loopback_address(), command=str(script(directory)))
    server.configure(
        auth={"allow_plaintext": True},
        policy={"order": ["relay", "rate", "greylist", "content"]},
        relay={"networks": ["127.0.0.0/8"]},
        routes={"away.test": f"smtp://{server.address}:1", "pipe.test": "pipe:/bin/cat"},
    )
    yield server
    server.stop()


def what_was_seen(server: Mailframe) -> Trace:
    """Of all runs so far, which must have ended."""
    trace = Trace(str(server.base))
    for file in sorted(server.directory.glob("trace.*")):
        wait_until(lambda file=file: ended(file), f"{file} is complete")
        trace.read(file)
    trace.strays = [call for call in trace.strays if TWISTEDS_OWN not in call]
    return trace


def ended(file: Path) -> bool:
    return b"+++ " in file.read_bytes()[-200:]


# ---- everything that changes files


def deliver(server: Mailframe) -> None:
    large = "Subject: large\r\n\r\n" + ("x" * 76 + "\r\n") * 2000
    with server.smtp("mx") as client:
        client.sendmail("a@b.test", [ANN, BOB], "Subject: to two\r\n\r\nhello\r\n")
        client.sendmail("a@b.test", [ANN], large)
        client.sendmail("a@b.test", ["x@away.test", "y@pipe.test"], large)
        client.mail("a@b.test")
        client.rcpt(ANN)
        client.putcmd("DATA")
        client.getreply()
        client.send(large.encode())
        client.close()  # in the midst of a large one
    with server.smtp("lmtp") as client:
        client.putcmd("LHLO here")
        client.getreply()
        client.mail("a@b.test")
        client.rcpt(BOB)
        client.data("Subject: by LMTP\r\n\r\nhello\r\n")
    wait_until(lambda: len(server.inbox(ANN)) >= 2, "the mail is delivered")


def fetch(server: Mailframe) -> None:
    client = poplib.POP3(server.address, server.ports["pop3"], timeout=10)
    client.user(BOB)
    client.pass_(PASSWORD)
    client.retr(1)
    client.dele(1)
    client.quit()


def rearrange(client: imaplib.IMAP4) -> None:
    """Every command of IMAP that changes something."""
    fill(client, "INBOX", range(1, 13))
    commands = [
        ("CREATE", "work"),
        ("CREATE", "work/deep"),
        ("CREATE", "mail (USE (\\Archive))"),
        ("SUBSCRIBE", "work"),
        ("UNSUBSCRIBE", "work"),
        ("SELECT", "INBOX"),
        ("STORE", "1:4 +FLAGS (\\Seen $Label1 keyword)"),
        ("STORE", "2 -FLAGS (\\Seen)"),
        ("COPY", "1:6 work"),
        ("MOVE", "7:8 work/deep"),
        ("FETCH", "1:* (BODY[] ENVELOPE BODYSTRUCTURE)"),
        ("SEARCH", "TEXT body"),
        ("STORE", "1:2 +FLAGS (\\Deleted)"),
        ("EXPUNGE", ""),
        ("CREATE", "Junk"),
        ("MOVE", "1:2 Junk"),
        ("SETACL", f"work {BOB} lrswi"),
        ("DELETEACL", f"work {BOB}"),
        ("SETMETADATA", 'work (/private/comment "mine")'),
        ("SETMETADATA", 'work (/private/comment NIL)'),
        ("RENAME", "work office"),
        ("RENAME", "INBOX old"),
        ("SELECT", "office"),
        ("CLOSE", ""),
        ("DELETE", "office/deep"),
        ("DELETE", "office"),
    ]  # fmt: skip
    for name, arguments in commands:
        imaplib.Commands[name] = ("AUTH", "SELECTED")  # the server knows better
        state, answer = client.xatom(name, arguments)
        assert state == "OK", f"{name} {arguments}: {answer}"


def administer(server: Mailframe) -> None:
    """Commands, beside the running server."""
    box = server.directory / "box"
    box.write_bytes(b"From a@b Mon Jan  1 00:00:00 2024\nSubject: old\n\nold\n\n")
    server.cli("mail", "import", "-u", BOB, box)
    server.cli("queue", "rm", "--to", "x@away.test", "--yes")
    server.cli("user", "rm", BOB, "--yes")


def test_every_change_goes_through_the_seam(traced: Mailframe) -> None:
    traced.add_users(ANN, BOB)
    traced.start()
    deliver(traced)
    fetch(traced)
    with logged_in(traced) as client:
        rearrange(client)
    os.kill(traced.pid, signal.SIGHUP)
    administer(traced)
    traced.kill()
    traced.start()
    with logged_in(traced) as client:
        assert client.select("old")[0] == "OK"
    traced.stop()
    trace = what_was_seen(traced)
    assert trace.strays == []
    assert trace.by_seam > 100
    assert trace.by_sqlite > 100
    used = {"create", "write", "make_file", "rename", "link", "unlink", "make_directories"}
    assert used <= trace.seam
    assert traced.tracebacks == []


def test_a_change_that_goes_past_it_is_seen(traced: Mailframe) -> None:
    traced.add_users(ANN, BOB)
    script(traced.directory, plant=True)
    traced.start()
    with traced.smtp("mx") as client:
        client.sendmail("a@b.test", [ANN], "Subject: x\r\n\r\nhello\r\n")
    wait_until(lambda: traced.inbox(ANN), "the mail is delivered")
    traced.stop()
    strays = what_was_seen(traced).strays
    for name in ("openat", "write", "mkdir", "truncate", "unlink"):
        assert any(call.startswith(f"{name}(") for call in strays), f"{name} not in {strays}"
