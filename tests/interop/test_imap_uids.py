"""Uids and UIDVALIDITY never go back, and no uid is ever another message's.

Whatever becomes of the index, of the Maildir's directories, or of the server.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import shutil
import smtplib
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.imap import ANN, BOB, logged_in, message
from tests.interop.peers.imap_look import Memory, ask, folder_names
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import loopback_address, need, wait_until, workdir

FOLDERS = ("INBOX", "Work", "Work/Old")


class Numbers:
    """Messages that are all different."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> bytes:
        self.last += 1
        return message(self.last)


def home(server: Mailframe, user: str = ANN) -> Path:
    return server.maildir(user).parent


def directory(server: Mailframe, name: str) -> Path:
    return server.maildir(ANN) / ("." + name.replace("/", ".") if name != "INBOX" else "")


def append(client: imaplib.IMAP4, name: str, numbers: Numbers) -> None:
    ask(client, "append", name, None, None, numbers.next())


def deliver(server: Mailframe, numbers: Numbers) -> None:
    with smtplib.SMTP(server.address, server.ports["mx"], timeout=20) as client:
        client.sendmail("a@example.org", [ANN], numbers.next())


def drop(place: Path, numbers: Numbers, where: str = "new") -> Path:
    """As any program of the Maildir convention does it."""
    content = numbers.next()
    name = f"{time.time():.6f}.{os.getpid()}_{numbers.last}.elsewhere"
    (place / "tmp" / name).write_bytes(content.replace(b"\r\n", b"\n"))
    target = place / where / (name + (":2,S" if where == "cur" else ""))
    os.rename(place / "tmp" / name, target)
    return target


def work(server: Mailframe, client: imaplib.IMAP4, numbers: Numbers) -> None:
    """What a day brings: mail comes, is read, and goes."""
    deliver(server, numbers)
    for name in FOLDERS:
        append(client, name, numbers)
        append(client, name, numbers)
        drop(directory(server, name), numbers)
        ask(client, "select", name)
        ask(client, "store", "1", "+FLAGS", "\\Deleted word")
        ask(client, "expunge")


# ---- what becomes of an index


def deleted(server: Mailframe, older: Path) -> None:
    for path in home(server).glob("index.db*"):
        path.unlink()


def only_file_deleted(server: Mailframe, older: Path) -> None:
    (home(server) / "index.db").unlink()


def truncated(server: Mailframe, older: Path) -> None:
    os.truncate(home(server) / "index.db", 5000)


def emptied(server: Mailframe, older: Path) -> None:
    os.truncate(home(server) / "index.db", 0)


def overwritten(server: Mailframe, older: Path) -> None:
    size = (home(server) / "index.db").stat().st_size
    with (home(server) / "index.db").open("r+b") as file:
        file.write(b"\xa5" * size)


def replaced_by_an_older_one(server: Mailframe, older: Path) -> None:
    deleted(server, older)
    shutil.copy2(older / "index.db", home(server) / "index.db.new")
    os.rename(home(server) / "index.db.new", home(server) / "index.db")


def overwritten_with_an_older_one(server: Mailframe, older: Path) -> None:
    # cp over it: the same file, and the log beside it is of the younger one.
    shutil.copyfile(older / "index.db", home(server) / "index.db")


def replaced_by_another_accounts(server: Mailframe, older: Path) -> None:
    copy_of(home(server, BOB), older)
    replaced_by_an_older_one(server, older)


def copy_of(source: Path, target: Path) -> None:
    """A consistent copy of an index in use."""
    (target / "index.db").unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(source / "index.db")) as there,
        contextlib.closing(sqlite3.connect(target / "index.db")) as here,
    ):
        there.backup(here)


CALAMITIES: tuple[Callable[[Mailframe, Path], None], ...] = (
    deleted,
    only_file_deleted,
    truncated,
    emptied,
    overwritten,
    replaced_by_an_older_one,
    overwritten_with_an_older_one,
    replaced_by_another_accounts,
)


QUICK = {(deleted, True), (replaced_by_an_older_one, True), (replaced_by_an_older_one, False)}


@pytest.fixture(scope="module")
def server() -> Iterator[Mailframe]:
    with workdir("uids") as path:
        server = Mailframe(path, loopback_address())
        server.configure()
        server.add_users(ANN, BOB)
        server.start()
        with logged_in(server) as client:
            for name in FOLDERS[1:]:
                ask(client, "create", name)
        with logged_in(server, BOB) as client:
            numbers = Numbers()
            for name in FOLDERS[1:]:
                ask(client, "create", name)
            for name in FOLDERS:
                for _ in range(5):
                    append(client, name, numbers)
        yield server
        server.stop()


numbers = Numbers()
memory = Memory()


def patiently(what: Callable[[], Any], seconds: float = 5) -> Any:
    """The server may say for a moment that it cannot tell, but not for longer."""
    end = time.monotonic() + seconds
    while True:
        try:
            return what()
        except AssertionError as error:
            if "[UNAVAILABLE]" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def in_files(server: Mailframe) -> dict[str, int]:
    return {
        name: sum(len(os.listdir(directory(server, name) / sub)) for sub in ("new", "cur"))
        for name in FOLDERS
    }


@pytest.mark.parametrize(
    ("calamity", "running"),
    [
        pytest.param(
            calamity,
            running,
            id=f"{calamity.__name__}-{'running' if running else 'stopped'}",
            marks=[] if (calamity, running) in QUICK else [pytest.mark.slow],
        )
        for calamity in CALAMITIES
        for running in (True, False)
        # Over a file in use, beside the log of the younger one: nobody can tell.
        if not (running and calamity is overwritten_with_an_older_one)
    ],
)
def test_whatever_becomes_of_the_index(
    server: Mailframe,
    tmp_path: Path,
    calamity: Callable[[Mailframe, Path], None],
    running: bool,
) -> None:
    with logged_in(server) as client:
        work(server, client, numbers)
        memory.look(client)
        copy_of(home(server), tmp_path)
        work(server, client, numbers)
        memory.look(client)
    if not running:
        server.stop()
    calamity(server, tmp_path)
    if not running:
        server.start()
    with logged_in(server) as client:
        found = patiently(lambda: memory.look(client))
        assert {name: len(found[name]) for name in FOLDERS} == in_files(server)
        patiently(lambda: work(server, client, numbers))
        patiently(lambda: memory.look(client))
    if running:
        server.restart()
        with logged_in(server) as client:
            memory.look(client)


def test_an_index_that_cannot_be_opened(server: Mailframe, tmp_path: Path) -> None:
    """Nothing is made up meanwhile, mail comes in, and afterwards all goes on."""
    with logged_in(server) as client:
        work(server, client, numbers)
        memory.look(client)
    server.stop()
    os.rename(home(server) / "index.db", tmp_path / "index.db")
    (home(server) / "index.db").mkdir()
    server.start()
    try:
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"), logged_in(server):
            pass
        before = in_files(server)["INBOX"]
        deliver(server, numbers)
        wait_until(lambda: in_files(server)["INBOX"] == before + 1, "it is delivered")
    finally:
        (home(server) / "index.db").rmdir()
        shutil.move(tmp_path / "index.db", home(server) / "index.db")
    numbers_before = dict(memory.numbers)
    with logged_in(server) as client:
        found = memory.look(client)
        assert {name: len(found[name]) for name in FOLDERS} == in_files(server)
    for name, (validity, _) in numbers_before.items():
        assert memory.numbers[name][0] == validity


# ---- what other programs do meanwhile


def test_whatever_other_programs_do(server: Mailframe, tmp_path: Path) -> None:
    need("procmail", "maildrop")
    inbox, old = directory(server, "INBOX"), directory(server, "Work/Old")
    with logged_in(server) as client:
        work(server, client, numbers)
        memory.look(client)

        procmail(inbox, tmp_path, numbers.next())
        maildrop(old, tmp_path, numbers.next())
        before = memory.look(client)
        assert {name: len(before[name]) for name in FOLDERS} == in_files(server)

        # mutt moves a message into another folder, under a name of its own.
        path = drop(inbox, numbers, "cur")
        memory.look(client)
        os.rename(path, old / "cur" / f"{path.name.partition(':')[0]}x:2,FS")
        drop(directory(server, "Work"), numbers, "cur")
        found = memory.look(client)
        assert {name: len(found[name]) for name in FOLDERS} == in_files(server)

        mailbox = tmp_path / "some.mbox"
        mailbox.write_bytes(b"From a@b Mon Jan  1 10:00:00 2024\n" + mbox(numbers.next()))
        server.cli("mail", "import", "--user", ANN, mailbox)
        assert len(memory.look(client)["INBOX"]) == len(found["INBOX"]) + 1


def mbox(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n") + b"\n"


def procmail(maildir: Path, directory: Path, content: bytes) -> None:
    (directory / "procmailrc").write_text(f":0\n{maildir}/\n")
    done = subprocess.run(
        ["procmail", "-m", directory / "procmailrc"], input=mbox(content), check=False
    )
    assert done.returncode == 0


def maildrop(maildir: Path, directory: Path, content: bytes) -> None:
    (directory / "filter").write_text(f'to "{maildir}"\n')
    (directory / "filter").chmod(0o600)
    done = subprocess.run(["maildrop", directory / "filter"], input=content, check=False)
    assert done.returncode == 0


def test_folders_come_go_and_change_their_names(server: Mailframe) -> None:
    maildir = server.maildir(ANN)
    with logged_in(server) as client:
        for name in ("A", "B"):
            ask(client, "create", name)
            for _ in range(4):
                append(client, name, numbers)
        memory.look(client)

        # Deleted and made again; renamed onto a name that was used.
        ask(client, "delete", "A")
        ask(client, "create", "A")
        append(client, "A", numbers)
        memory.look(client)
        ask(client, "delete", "A")
        ask(client, "rename", "B", "A")
        assert len(memory.look(client)["A"]) == 4
        append(client, "A", numbers)
        ask(client, "rename", "A", "B")
        append(client, "B", numbers)
        ask(client, "create", "A")
        append(client, "A", numbers)
        memory.look(client)

        # The same by other programs, while the server runs.
        os.rename(maildir / ".A", maildir / ".C")
        memory.look(client)
        os.rename(maildir / ".B", maildir / ".A")
        memory.look(client)
        make_maildir(maildir / ".B")
        drop(maildir / ".B", numbers)
        memory.look(client)
        # Two change places; one is copied with everything in it; one is put back.
        os.rename(maildir / ".A", maildir / ".swap")
        os.rename(maildir / ".C", maildir / ".A")
        os.rename(maildir / ".swap", maildir / ".C")
        memory.look(client)
        shutil.copytree(maildir / ".A", maildir / ".Copy")
        append(client, "A", numbers)
        append(client, "Copy", numbers)
        memory.look(client)
        shutil.rmtree(maildir / ".A")
        os.rename(maildir / ".Copy", maildir / ".A")
        append(client, "A", numbers)
        memory.look(client)
        shutil.rmtree(maildir / ".B")
        make_maildir(maildir / ".B")
        for _ in range(3):
            drop(maildir / ".B", numbers)
        memory.look(client)
    server.restart()
    with logged_in(server) as client:
        found = memory.look(client)
        assert {"A", "B", "C"} <= set(found) == folder_names(client)


def make_maildir(path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    (path / "maildirfolder").touch()
