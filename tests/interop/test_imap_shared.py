"""Quota is what lies on disk; and what users of one domain may do in each other's folders."""

from __future__ import annotations

import imaplib
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BOB, count, fill, logged_in, message
from tests.interop.peers.imap_look import ask, folder_names
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.pop3 import Pop3
from tests.interop.peers.process import loopback_address, wait_until, workdir

CAROL = "carol@other.test"
LIMIT = 40 << 10


@pytest.fixture(scope="module")
def server() -> Iterator[Mailframe]:
    with workdir("shared") as path:
        server = Mailframe(path, loopback_address())
        server.configure()
        server.add_users(ANN, BOB, CAROL)
        server.cli("user", "quota", BOB, str(LIMIT))
        server.start()
        yield server
        server.stop()
        assert server.tracebacks == []


def on_disk(server: Mailframe) -> int:
    """Octets of bob's messages."""
    maildir = server.maildir(BOB)
    places = [path for name in ("new", "cur") for path in maildir.glob(f"**/{name}/*")]
    return sum(path.stat().st_size for path in places)


def used(server: Mailframe) -> int:
    """What GETQUOTAROOT says, kilobytes."""
    with logged_in(server, BOB) as client:
        status, (_, quotas) = client.getquotaroot("INBOX")
        assert status == "OK"
        found = re.search(rb"STORAGE (\d+) (\d+)", quotas[0])
        assert found, quotas
        assert int(found[2]) == LIMIT >> 10
        return int(found[1])


def agree(server: Mailframe) -> None:
    octets = on_disk(server)
    assert octets // 1024 <= used(server) <= -(-octets // 1024), octets


def test_quota_is_what_lies_on_disk(server: Mailframe) -> None:
    agree(server)
    with smtplib.SMTP(server.address, server.ports["mx"], timeout=20) as client:
        for number in range(6):
            client.sendmail("a@example.org", [BOB], message(number, body="x" * 800))
    wait_until(lambda: len(server.inbox(BOB)) == 6, "all are delivered")
    agree(server)
    with logged_in(server, BOB) as client:
        ask(client, "create", "More")
        fill(client, "More", range(10, 14), "y" * 1500)
        agree(server)
        count(client, "INBOX")
        ask(client, "copy", "1:3", "More")
        agree(server)
        ask(client, "store", "1:2", "+FLAGS", "\\Deleted")
        ask(client, "expunge")
        agree(server)
    with Pop3(server, BOB) as session:
        session.ask("DELE 1")
    agree(server)
    with logged_in(server, BOB) as client:
        ask(client, "delete", "More")
        agree(server)


def test_over_quota(server: Mailframe) -> None:
    with logged_in(server, BOB) as client:
        ask(client, "create", "Full")
        large = message(1, body=("z" * 70 + "\r\n") * 250)
        assert client.append("Full", "", None, large)[0] == "OK"
        while True:
            status, answer = client.append("Full", "", None, large)
            if status != "OK":
                break
        assert answer[0].startswith(b"[OVERQUOTA]")
        there = count(client, "Full")
        status, answer = client.copy(f"1:{there}", "INBOX")
        assert (status, answer[0].split()[0]) == ("NO", b"[OVERQUOTA]")
        # Nothing of either is left, and there is room again where something goes.
        assert count(client, "Full") == there
        agree(server)
        assert LIMIT - len(large) < on_disk(server) <= LIMIT
        ask(client, "store", "1", "+FLAGS", "\\Deleted")
        ask(client, "expunge")
        assert client.append("Full", "", None, large)[0] == "OK"
    agree(server)


def test_a_folder_of_two_users(server: Mailframe) -> None:
    theirs = f"Other Users/{ANN.partition('@')[0]}/Shared"
    with logged_in(server) as ann, logged_in(server, BOB) as bob:
        ask(ann, "create", "Shared")
        ask(ann, "create", "Private")
        fill(ann, "Shared", range(1, 4))
        assert not any("Shared" in name for name in folder_names(bob))
        assert bob.select(f'"{theirs}"')[0] == "NO"

        ask(ann, "setacl", "Shared", BOB, "lr")
        assert [name for name in folder_names(bob) if "Other" in name] == [theirs]
        with pytest.raises(imaplib.IMAP4.readonly):
            count(bob, f'"{theirs}"')
        ask(bob, "select", f'"{theirs}"', "readonly")
        assert b"Subject: message 2" in ask(bob, "fetch", "2", "(RFC822)")[0][1]
        for refused in (
            bob.store("1", "+FLAGS", "\\Flagged"),
            bob.append(f'"{theirs}"', "", None, message(9)),
            bob.setacl(f'"{theirs}"', BOB, "lrswipkxtea"),
            bob.delete(f'"{theirs}"'),
            bob.create(f'"{theirs}/Below"'),
            bob.rename(f'"{theirs}"', '"Mine"'),
        ):
            assert refused[0] == "NO", refused
        assert count(ann, "Shared") == 3
        assert [line for line in ask(ann, "fetch", "1", "FLAGS") if b"Flagged" in line] == []

        ask(ann, "setacl", "Shared", BOB, "+swite")
        assert count(bob, f'"{theirs}"') == 3
        ask(bob, "store", "1", "+FLAGS", "\\Flagged")
        ask(bob, "append", f'"{theirs}"', None, None, message(9))
        assert count(ann, "Shared") == 4
        assert b"Flagged" in ask(ann, "fetch", "1", "FLAGS")[0]

        ask(ann, "deleteacl", "Shared", BOB)
        assert not any("Shared" in name for name in folder_names(bob))
        assert bob.store("2", "+FLAGS", "\\Flagged")[0] == "NO"


def test_nothing_is_shared_beyond_a_domain(server: Mailframe) -> None:
    with logged_in(server) as ann, logged_in(server, CAROL) as carol:
        ask(ann, "create", "Open")
        ask(ann, "setacl", "Open", "anyone", "lrswipkxte")
        assert ann.setacl("Open", CAROL, "lr")[0] == "NO"
        assert folder_names(carol) == {"INBOX"}
        for name in ("Other Users/ann/Open", f"Other Users/{ANN}/Open"):
            assert carol.select(f'"{name}"')[0] == "NO"
            assert carol.status(f'"{name}"', "(MESSAGES)")[0] == "NO"
            assert carol.myrights(f'"{name}"')[0] == "NO"
    with logged_in(server, BOB) as bob:
        assert "Other Users/ann/Open" in folder_names(bob)


def test_the_mail_of_a_domain_lies_where_it_did(server: Mailframe) -> None:
    """Shared folders are their owner's: nothing of it is in the others' Maildirs."""
    found = {path.name for path in Path(server.maildir(CAROL)).glob("*")}
    assert not any("Open" in name for name in found)
