"""A backup of a server under load, taken elsewhere, against a ledger of what was acknowledged.

Mail comes in and goes out, a client moves, flags and copies; two backups are made meanwhile;
then the server is killed. What is restored must have everything that was acknowledged before
the backup began, once.
"""

from __future__ import annotations

import json
import random
import shutil
import smtplib
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BOB, logged_in, message
from tests.interop.peers.imap_look import ask, folder_names, message_ids, number
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import loopback_address, wait_until
from tests.interop.peers.sink import Sink

_FOLDERS = ("INBOX", "A", "B")


class Load:
    """Threads that go on until ``stop``; whatever they do not get an answer to does not count."""

    def __init__(self, server: Mailframe) -> None:
        self.acknowledged: dict[str, float] = {}
        """When, by Message-ID; to ann, and to the sink."""
        self.relayed: dict[str, float] = {}
        self.errors: list[Exception] = []
        self._server = server
        self._ended = threading.Event()
        self._numbers = iter(range(1, 1_000_000))
        work = (self._send, self._send, self._relay, self._move, self._flag)
        self._threads = [threading.Thread(target=self._go, args=(one,)) for one in work]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Errors do not count any more."""
        self._ended.set()

    def stop(self) -> None:
        self.end()
        for thread in self._threads:
            thread.join()

    def _go(self, work: Callable[[random.Random], None]) -> None:
        chance = random.Random(work.__name__)
        while not self._ended.is_set():
            try:
                work(chance)
            except (OSError, smtplib.SMTPException):
                continue
            except Exception as error:
                if not self._ended.is_set():
                    self.errors.append(error)

    def _send(self, chance: random.Random) -> None:
        self._transmit(chance, ANN, self.acknowledged)

    def _relay(self, chance: random.Random) -> None:
        self._transmit(chance, "x@sink.test", self.relayed)
        time.sleep(0.05)

    def _transmit(self, chance: random.Random, to: str, ledger: dict[str, float]) -> None:
        with self._server.smtp("mx") as client:
            for _ in range(10):
                number = next(self._numbers)
                lines = 6000 if chance.random() < 0.1 else 3
                client.sendmail(
                    "s@example.org", [to], message(number, body="x" * 20 + "\r\n" * lines)
                )
                ledger[f"<{number}@example.org>"] = time.time()
                if self._ended.is_set():
                    return

    def _move(self, chance: random.Random) -> None:
        with logged_in(self._server) as client:
            for _ in range(5):
                source, target = chance.sample(_FOLDERS, 2)
                ask(client, "select", source)
                found = ask(client, "uid", "SEARCH", "ALL")[0].split()
                if found:
                    some = b",".join(chance.sample(found, min(8, len(found)))).decode()
                    ask(client, "uid", "MOVE", some, target)

    def _flag(self, chance: random.Random) -> None:
        with logged_in(self._server) as client:
            for name in _FOLDERS:
                ask(client, "select", name)
                found = ask(client, "uid", "SEARCH", "ALL")[0].split()
                if found:
                    some = b",".join(chance.sample(found, min(20, len(found)))).decode()
                    ask(client, "uid", "STORE", some, "+FLAGS", chance.choice(["\\Seen", "one"]))


def everything(server: Mailframe, user: str = ANN) -> tuple[Counter[str], dict[str, int]]:
    """Message-IDs in all folders, and UIDVALIDITY by folder."""
    found: Counter[str] = Counter()
    validities = {}
    with logged_in(server, user) as client:
        for name in folder_names(client):
            ask(client, "select", f'"{name}"', "readonly")
            validities[name] = number(client, "UIDVALIDITY")
            found.update(message_ids(client).values())
    return found, validities


def elsewhere(server: Mailframe, directory: Path) -> Mailframe:
    """Another machine."""
    directory.mkdir()
    other = Mailframe(directory, loopback_address())
    other.configure(routes=server._settings["routes"])
    return other


@pytest.mark.slow
def test_under_load_nothing_acknowledged_before_is_missing_or_twice(
    mailframe: Mailframe, directory: Path
) -> None:
    sink = Sink()
    mailframe.configure(routes={"sink.test": sink.url})
    mailframe.start()
    with logged_in(mailframe) as client:
        for name in _FOLDERS[1:]:
            ask(client, "create", name)
    load = Load(mailframe)
    backups = directory / "backups"
    try:
        wait_until(lambda: len(load.acknowledged) > 60, "some mail is there", 60)
        marks = []
        for _ in range(2):
            marks.append(time.time())
            # exit status 1: a mailbox changed at every look, as this one does
            done = mailframe.cli_result("backup", backups, "--json")
            assert done.returncode in (0, 1), done.stderr
            told = json.loads(done.stdout)
            assert all("changed at every look" in warning for warning in told["warnings"])
        _, validities = everything(mailframe)
    finally:
        load.end()
        mailframe.kill()
        load.stop()
        sink.stop()
    assert load.errors == []
    # The second one was made of the first, with the mail that had come since.
    for began, path in list(zip(marks, sorted(backups.glob("20*")), strict=True))[1:]:
        other = elsewhere(mailframe, directory / f"restored-{path.name}")
        other.cli("restore", path)
        other.cli("verify")
        other.start()
        try:
            before = {i for i, at in load.acknowledged.items() if at < began}
            wait_until(lambda other=other: not _local(other), "local mail has arrived", 60)  # type: ignore[misc]
            found, renewed = everything(other)
            assert before - found.keys() == set()
            assert {i: n for i, n in found.items() if n > 1} == {}
            for name, validity in validities.items():
                assert renewed[name] > validity
            sent = {
                m.content.partition(b"Message-ID: ")[2].split()[0].decode() for m in sink.messages
            }
            waiting = len(other.queue())
            lost = {i for i, at in load.relayed.items() if at < began} - sent
            assert len(lost) <= waiting
            assert not other.tracebacks
        finally:
            other.stop()


def _id(content: bytes) -> str:
    return content.partition(b"Message-ID: ")[2].split()[0].decode()


def _local(server: Mailframe) -> list[str]:
    return [r["address"] for m in server.queue() for r in m["recipients"] if r["address"] == ANN]


@pytest.mark.slow
def test_by_hand_with_tar_and_rsync_and_single_messages(
    mailframe: Mailframe, directory: Path
) -> None:
    mailframe.configure(routes={})
    mailframe.start()
    client = mailframe.smtp("mx")
    for n in range(1, 6):
        client.sendmail("s@example.org", [ANN], message(n))
    client.quit()
    wait_until(lambda: len(mailframe.inbox(ANN)) == 5, "mail is there")
    _, validities = everything(mailframe)
    path = Path(mailframe.cli("backup", directory / "backups").splitlines()[0])
    # one message is lost, and comes back while a client watches
    with logged_in(mailframe) as watching:
        ask(watching, "select", "INBOX")
        ask(watching, "uid", "STORE", "2", "+FLAGS", "(\\Deleted)")
        ask(watching, "expunge")
        words = ("restore", path, "--account", ANN, "--message", "<2@example.org>")
        assert mailframe.cli(*words) == "returned 1 message\n"
        wait_until(lambda: "<2@example.org>" in _seen(watching), "it is seen", 20)
    mailframe.stop()
    packed = directory / "backup.tar"
    subprocess.run(["tar", "-C", path.parent, "-cf", packed, path.name], check=True)
    (directory / "unpacked").mkdir()
    subprocess.run(["tar", "-C", directory / "unpacked", "-xf", packed], check=True)
    mailframe.cli("verify", directory / "unpacked" / path.name)
    other = elsewhere(mailframe, directory / "by-hand")
    subprocess.run(["cp", "-a", path / "base", other.base], check=True)
    other.start()
    try:
        found, renewed = everything(other)
    finally:
        other.stop()
    assert found == Counter(f"<{n}@example.org>" for n in range(1, 6))
    assert renewed["INBOX"] > validities["INBOX"]
    assert not other.tracebacks
    if shutil.which("rsync"):
        copy = directory / "copy"
        subprocess.run(["rsync", "-aH", f"{path.parent}/", copy], check=True)
        mailframe.cli("verify", copy)


def _seen(client: object) -> set[str]:
    ask(client, "noop")  # type: ignore[arg-type]
    return set(message_ids(client).values())  # type: ignore[arg-type]


def test_refusals(mailframe: Mailframe, directory: Path) -> None:
    below = mailframe.cli_result("backup", mailframe.base / "backups")
    assert (below.returncode, "lies below" in below.stderr) == (64, True)
    nothing = mailframe.cli_result("verify", directory)
    assert (nothing.returncode, "no backup" in nothing.stderr) == (1, True)
    mailframe.cli("backup", directory / "b")
    words = ("restore", directory / "b", "--account", BOB)
    assert mailframe.cli_result(*words).returncode == 66
    full = mailframe.cli_result("restore", directory / "b")
    assert (full.returncode, "not empty" in full.stderr) == (73, True)
    mailframe.start()
    running = mailframe.cli_result("restore", directory / "b", "--force", "--yes")
    assert (running.returncode, "a server runs" in running.stderr) == (75, True)
