"""Programs that keep a second copy of the mail, or another server before ours, by IMAP."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BODY, count, fill, logged_in, message, numbers, stored
from tests.interop.peers.imapc import Imapc
from tests.interop.peers.maildir import messages
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.mbsync import Mbsync, finish
from tests.interop.peers.process import need, run, wait_until

# ---- mbsync


def test_mbsync_goes_both_ways_and_a_second_run_changes_nothing(
    running: Mailframe, box: str, tmp_path: Path
) -> None:
    sync = Mbsync(running, box, tmp_path / "one")
    sync()
    first, state = sync.files(), sync.state()
    assert len(first) == 10
    with logged_in(running) as client:
        before = client.status(box, "(UIDNEXT HIGHESTMODSEQ MESSAGES UNSEEN)")
        sync()
        assert (sync.files(), sync.state()) == (first, state)
        assert client.status(box, "(UIDNEXT HIGHESTMODSEQ MESSAGES UNSEEN)") == before
        # Changes on both sides.
        client.select(box)
        client.store("1", "+FLAGS", "\\Flagged")
        client.store("2", "+FLAGS", "\\Deleted")
        client.expunge()
        fill(client, box, range(50, 51))
        sync.drop("1700000000.M1P1.local", stored(message(60)))
        sync()
        client.noop()
        assert len(numbers(client, "ALL")) == 11
        assert numbers(client, "SUBJECT", '"message 60"') == [11]
        assert len(sync.files()) == 11
        assert sum("F" in name.rpartition(",")[2] for name in sync.files()) == 1
        # Here one is trashed and one is read.
        gone, read = sorted(sync.files())[:2]
        for name, flags in ((gone, "T"), (read, "S")):
            path = next(p for p in sync.near.glob(f"*/{name}"))
            path.rename(sync.near / "cur" / f"{name.partition(':')[0]}:2,{flags}")
        sync()
        client.noop()
        assert len(numbers(client, "ALL")) == 10
        assert len(numbers(client, "SEEN")) == 1
        files, state = sync.files(), sync.state()
        sync()
        assert (sync.files(), sync.state()) == (files, state)


def test_two_mbsyncs_at_once_converge(running: Mailframe, box: str, tmp_path: Path) -> None:
    both = [Mbsync(running, box, tmp_path / name) for name in ("one", "two")]
    for name, sync in zip(("one", "two"), both, strict=True):
        for number in range(30):
            content = stored(message(number, f"message {number} of {name}"))
            sync.drop(f"17000000{number:02}.M1P1.{name}", content)
    for _ in range(2):  # the second brings each what the other brought in the first
        children = [sync.start() for sync in both]
        for child in children:
            finish(child)
    assert len(both[0].messages()) == 70
    assert both[0].messages() == both[1].messages()


@pytest.mark.slow
def test_mbsync_of_a_thousand_messages(running: Mailframe, tmp_path: Path) -> None:
    sync = Mbsync(running, "thousand", tmp_path / "one")
    for number in range(1000):
        sync.drop(f"17000{number:05}.M1P1.local", stored(message(number)))
    sync()
    second = Mbsync(running, "thousand", tmp_path / "two")
    second()
    assert second.messages() == sync.messages()
    with logged_in(running) as client:
        assert count(client, "thousand") == 1000
        client.store("1:1000", "+FLAGS.SILENT", "\\Seen")
        sync()
        assert all("S" in name.rpartition(",")[2] for name in sync.files())
        client.store("1:999", "+FLAGS.SILENT", "\\Deleted")
        client.expunge()
        sync()
        assert len(sync.files()) == 1


WAYS = {
    "LOGIN": ">>> 1 LOGIN <user> <pass>",
    "PLAIN": "SASL mechanism PLAIN",
    "SCRAM-SHA-256": "SASL mechanism SCRAM-SHA-256",
}


@pytest.mark.parametrize("mechanism", WAYS)
def test_mbsync_authenticates(running: Mailframe, box: str, mechanism: str, tmp_path: Path) -> None:
    sync = Mbsync(running, box, tmp_path / "one", mechanism)
    said = sync()
    assert WAYS[mechanism] in said
    assert len(sync.files()) == 10


# ---- offlineimap


def test_offlineimap_mirrors_the_account(running: Mailframe, box: str, tmp_path: Path) -> None:
    need("offlineimap")
    certificate = ssl.PEM_cert_to_DER_cert(running.certificate.read_text())
    config = tmp_path / "offlineimaprc"
    config.write_text(
        f"""[general]
accounts = a
metadata = {tmp_path}/meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = {running.address}
remoteport = {running.ports["imaps"]}
remoteuser = {ANN}
remotepass = {PASSWORD}
ssl = yes
cert_fingerprint = {hashlib.sha1(certificate).hexdigest()}
folderfilter = lambda name: name == {box!r}
"""
    )
    command: list[str | Path] = ["offlineimap", "-o", "-1", "-c", config]

    def sync() -> None:
        done = run(command, env=os.environ | {"HOME": str(tmp_path)}, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    sync()
    mail = tmp_path / "mail" / box
    first = {path.name for name in ("cur", "new") for path in (mail / name).iterdir()}
    assert len(first) == 10
    sync()
    assert {path.name for name in ("cur", "new") for path in (mail / name).iterdir()} == first
    (mail / "new" / "1700000000.M1P1.local").write_bytes(stored(message(5)))
    sync()
    with logged_in(running) as client:
        assert count(client, box) == 11
        client.store("1:3", "+FLAGS", "\\Deleted")
        client.expunge()
    sync()
    assert sum(1 for name in ("cur", "new") for _ in (mail / name).iterdir()) == 8


# ---- Dovecot before us


def test_dovecot_reads_through_imapc(running: Mailframe, box: str, directory: Path) -> None:
    dovecot = Imapc(running, directory)
    assert box in dovecot.rows("mailbox", "list")
    status = dovecot.rows("mailbox", "status", "messages unseen uidnext vsize", box)
    with logged_in(running) as client:
        size = sum(len(message(number, body=BODY.format(number))) for number in range(1, 11))
        assert status[0].split("\t")[1:] == ["10", "11", "10", str(size)]
        assert "body 3" in dovecot.run("fetch", "text", "mailbox", box, "uid", "3")
        subjects = dovecot.rows("fetch", "hdr.subject", "mailbox", box)
        assert subjects == [f"message {number}" for number in range(1, 11)]
        structures = dovecot.run("fetch", "imap.bodystructure imap.envelope", "mailbox", box)
        assert structures.count('"text" "plain"') == 10
        found = dovecot.rows("search", "mailbox", box, "text", "Αύγουστο")
        assert len(found) == 10
        dovecot.run("flags", "add", "\\Flagged $Mine", "mailbox", box, "uid", "2:4")
        dovecot.run("expunge", "mailbox", box, "uid", "1")
        dovecot.run("mailbox", "create", f"{box}/below")
        dovecot.run("copy", f"{box}/below", "mailbox", box, "all")
        dovecot.run("move", f"{box}/below", "mailbox", box, "uid", "10")
        assert count(client, box) == 8
        assert numbers(client, "FLAGGED", "KEYWORD", "$Mine") == [1, 2, 3]
        assert count(client, f"{box}/below") == 10
        dovecot.run("mailbox", "rename", f"{box}/below", f"{box}/beside")
        dovecot.run("mailbox", "delete", f"{box}/beside")
        assert client.select(f"{box}/beside")[0] == "NO"


def test_dovecot_backs_up_through_imapc(running: Mailframe, box: str, directory: Path) -> None:
    dovecot = Imapc(running, directory)
    backup = ("backup", "-m", box, f"maildir:{directory}/backup")
    dovecot.run(*backup)
    copy = directory / "backup" / f".{box}"
    wanted = [message(number, body=BODY.format(number)) for number in range(1, 11)]
    assert sorted(messages(copy)) == sorted(stored(content) for content in wanted)
    with logged_in(running) as client:
        count(client, box)
        client.store("1:2", "+FLAGS", "\\Deleted")
        client.store("3", "+FLAGS", "\\Seen")
        client.expunge()
        fill(client, box, range(20, 22))
    dovecot.run(*backup)
    names = [path.name for name in ("cur", "new") for path in (copy / name).iterdir()]
    assert len(names) == 10
    assert sum(name.endswith(":2,S") for name in names) == 1


# ---- other programs in the same Maildir


def test_what_other_programs_do_to_the_maildir_is_seen(running: Mailframe, box: str) -> None:
    """mutt, procmail and Dovecot work with files: so does this."""
    folder = running.maildir(ANN) / f".{box}"
    with logged_in(running) as client:
        client.select(box)
        files = sorted((folder / "cur").iterdir())
        assert len(files) == 10
        files[0].unlink()
        files[1].rename(folder / "cur" / (files[1].name.partition(":")[0] + ":2,FS"))
        shutil.copy(files[2], folder / "new" / "1800000000.M1P1.elsewhere")

        def is_seen() -> bool:
            client.noop()
            return numbers(client, "ALL") == list(range(1, 11)) == numbers(client, "UID", "2:11")

        wait_until(is_seen, "all changes are seen")
        assert numbers(client, "FLAGGED", "SEEN") == [1]
