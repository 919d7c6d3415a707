"""A disk that spoiled some of what it held: the rest is served, what is spoiled is set aside and
reported; and a queue of 100,000, which must not keep a start waiting."""

from __future__ import annotations

import imaplib
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fire import faults, long_queue
from tests.fire.damage import spoil_files, spoil_rows
from tests.fire.ground import BOB, CAT, DAN, EVE, Ground, ground
from tests.fire.ledger import Ledger
from tests.fire.letters import found, letter
from tests.interop.peers.imap import logged_in, message
from tests.interop.peers.imap_look import ask
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import wait_until

QUEUED = 500


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    with ground("damage") as made:
        made.mailframe.configure(routes={".peer.test": made.sink.url})
        made.mailframe.start()
        yield made


def spoil(path: Path, chance: random.Random, octets: int = 200) -> None:
    """Random octets in the midst of it."""
    with path.open("r+b") as file:
        file.seek(chance.randrange(path.stat().st_size))
        file.write(chance.randbytes(octets))


def aside(base: Path) -> set[str]:
    return {found.name.partition(".damaged-")[0] for found in base.rglob("*.damaged-*")}


@pytest.mark.slow
def test_the_rest_is_served(place: Ground) -> None:
    server, ledger, chance = place.mailframe, Ledger(), random.Random(7)
    assert faults.send(place, ledger, EVE, 30) == [250] * 30
    with logged_in(server, DAN) as client:
        ask(client, "create", "Work")
        for number in range(30):
            ask(client, "append", "Work", "", "", message(number))
    place.drained(30)
    server.stop()
    base = server.base
    long_queue.fill(place, QUEUED, domains=20)
    _spoil_rows(place)
    for name in ("policy.db", "journal.db"):
        (base / name).write_bytes(b"")
    (base / "spam.db").write_bytes(b"garbage " * 5000)
    (base / "reports.db").write_bytes((base / "reports.db").read_bytes()[:2000])
    home = base / "mail" / "mf.test" / "dan"
    spoil(home / "index.db", chance, 9000)
    (home / "Maildir" / ".Work" / "mailframe-folder").write_bytes(b"\xff\x00\xfe" * 50)
    eve = sorted((server.maildir(EVE) / "new").iterdir())
    eve[0].write_bytes(b"")
    eve[1].write_bytes(eve[1].read_bytes()[:100])
    spoil(eve[2], chance)
    eve[3].unlink()

    server.start()
    for name in ("policy.db", "journal.db", "spam.db", "reports.db"):
        assert f"{name} is damaged" in server.log
    assert aside(base) >= {"policy.db", "journal.db", "spam.db", "reports.db"}
    wait_until(lambda: len(place.sink.messages) >= QUEUED - 5, "the rest of the queue goes", 60)
    left = {entry["queue_id"]: entry["queue_name"] for entry in server.queue()}
    assert set(left.values()) == {"corrupt"}
    assert {"LONG00000001", "LONG00000002", "LONG00000004"} <= set(left)
    for queue_id in left:
        assert f"{queue_id} is set aside" in server.log
    check = server.cli_result("check", "--no-network").stdout
    assert f"{len(left)} messages have lost their content" in check
    # mail goes on, new and old
    assert faults.send(place, ledger, BOB, 3) == [250] * 3
    with logged_in(server, DAN) as client:
        # the first who looks is told that the index is being made anew
        wait_until(lambda: client.select("Work")[0] == "OK", "the index is made anew")
        assert int(ask(client, "select", "Work")[0]) == 30
        ask(client, "append", "Work", "", "", message(99))
    with logged_in(server, EVE) as client:
        there = int(ask(client, "select", "INBOX")[0])
        assert there == 29
        assert len(ask(client, "fetch", "4:*", "(BODY.PEEK[])")) >= 26
    server.cli("queue", "rm", "--yes", *left)


@pytest.mark.slow
def test_one_of_a_hundred_is_damaged(place: Ground) -> None:
    """Files and rows of the queue, of a mailbox and of its index: what was not touched is served
    whole, and nothing that was touched goes without a word."""
    server, chance = place.mailframe, random.Random(11)
    server.stop()
    letters = _fill_mailbox(place, CAT, 600)
    server.start()
    with logged_in(server, CAT) as client:
        client.select("INBOX")
        ask(client, "fetch", "1:*", "(ENVELOPE BODYSTRUCTURE)")
        ask(client, "uid", "SEARCH", "TEXT", "invoice")
    server.stop()
    long_queue.fill(place, 2000, domains=20, name="PART", files=500)
    queued = _spoil_queue(place, chance)
    files = sorted((server.maildir(CAT) / "cur").iterdir())
    lost = {path.name.partition(":")[0] for path in spoil_files(files, chance)}
    index = server.base / "mail" / "mf.test" / "cat" / "index.db"
    for table, key in (("message", "uid"), ("content", "id"), ("heading", "content")):
        spoil_rows(index, table, key, chance)
    before = len(place.sink.messages)
    server.start()
    whole = {f"u{one}" for one in range(2000) if f"PART{one:08}" not in queued}

    def arrived() -> Counter[str]:
        return Counter(
            message.recipients[0].partition("@")[0]
            for message in place.sink.messages[before:]
            if message.content.endswith(long_queue.BODY)
        )

    wait_until(lambda: whole <= set(arrived()), "what is whole goes", 120)
    assert max(arrived().values()) == 1
    waiting = {entry["queue_id"] for entry in server.queue()}
    for queue_id in queued:
        told = f"id={queue_id} " in server.log or f"{queue_id} is set aside" in server.log
        assert queue_id in waiting or told, queue_id
    shown = _by_imap(server, CAT)
    assert {digest for name, digest in letters.items() if name not in lost} <= shown
    assert server.tracebacks == []
    server.cli("queue", "rm", "--yes", *waiting)


def _fill_mailbox(place: Ground, account: str, number: int) -> dict[str, str]:
    """Letters that another program put there: the digest of each, by the name of its file."""
    place.mailframe.start()
    assert faults.send(place, Ledger(), account) == [250]  # which makes its Maildir
    place.drained(15)
    place.mailframe.stop()
    cur = place.mailframe.maildir(account) / "cur"
    digests = {}
    for count in range(number):
        made = letter(f"m{count}", EVE, (account,), random.Random(count))
        name = f"1700000000.{count}.elsewhere"
        (cur / f"{name}:2,S").write_bytes(made.content.replace(b"\r\n", b"\n"))
        digests[name] = made.digest
    return digests


def _spoil_queue(place: Ground, chance: random.Random) -> set[str]:
    bodies = sorted((place.spool.parent / "bodies").glob("PART*"))
    spoiled: set[str] = {path.name for path in spoil_files(bodies, chance)}
    for table in ("message", "recipient", "body"):
        spoiled |= {str(key) for key in spoil_rows(place.spool, table, "queue_id", chance)}
    return spoiled


def _by_imap(server: Mailframe, account: str) -> set[str]:
    """The digests of all that can be fetched. Who looks first may be told that the index is made
    anew, or that a file is not there."""
    answers: list[object] = []

    def is_answered() -> bool:
        with logged_in(server, account) as client:
            if client.select("INBOX")[0] != "OK":
                return False
            status, lines = client.uid("FETCH", "1:*", "(FLAGS ENVELOPE BODY.PEEK[])")
            answers[:] = lines
            return status == "OK" and client.uid("SEARCH", "TEXT", "invoice")[0] == "OK"

    def is_there() -> bool:
        try:
            return is_answered()
        except imaplib.IMAP4.error as error:
            if "rebuilt" not in str(error):
                raise
            return False

    wait_until(is_there, "all is shown", 60)
    return {found(item[1]).digest for item in answers if isinstance(item, tuple)}


def _spoil_rows(place: Ground) -> None:
    changes = (
        "DELETE FROM body WHERE queue_id = 'LONG00000001'",
        "UPDATE message SET options = 'x' WHERE queue_id = 'LONG00000002'",
        "UPDATE recipient SET next_at = 'soon' WHERE queue_id = 'LONG00000004'",
        "UPDATE message SET arrival = x'ff', size = 5 WHERE queue_id = 'LONG00000005'",
    )
    with closing(sqlite3.connect(place.spool)) as db:
        for change in changes:
            db.execute(change)
        db.commit()


@pytest.mark.slow
def test_a_spoiled_queue_and_directory_are_mended_or_nothing_starts(place: Ground) -> None:
    server, chance = place.mailframe, random.Random(3)
    server.stop()
    long_queue.fill(place, QUEUED, domains=20, name="MORE")
    before = len(place.sink.messages)
    whole = place.spool.read_bytes()
    with place.spool.open("r+b") as file:
        file.write(chance.randbytes(4096))  # where SQLite keeps what the file is
    server.start()
    assert "spool.db is mended" in server.log
    assert "spool.db" in aside(server.base)
    wait_until(
        lambda: len(place.sink.messages) >= before + QUEUED * 0.9, "what can be read goes", 60
    )
    server.stop()
    directory = server.base / "directory.db"
    octets = directory.read_bytes()
    for path in (directory, place.spool):
        good = path.read_bytes()
        path.write_bytes(b"")
        process = server.launch()
        wait_until(lambda: not process.running, "it does not start", 30)  # noqa: B023
        assert process.stop() == 75
        assert f"{path.name}: it is empty, which it never was; nothing can be read" in server.log
        assert path.read_bytes() == b""
        path.write_bytes(good)
    assert len(whole) > len(octets)
    server.start()
    assert faults.send(place, Ledger(), BOB) == [250]


@pytest.mark.slow
def test_a_long_queue_keeps_no_start_waiting(place: Ground) -> None:
    """100,000 messages add little to a start, also after kill -9, and the queue moves at once. By
    the measure of a start without them, which knows how busy the machine is."""
    server = place.mailframe
    server.stop()
    begun = time.monotonic()
    server.start()
    plain = time.monotonic() - begun
    server.stop()
    long_queue.fill(place, 100_000, name="MANY")
    for _ in range(2):
        found = long_queue.started(place)
        print(f"plain {plain:.2f} s, {found}")
        assert found.ready < 2 * plain + 3
        assert found.moving < found.ready + 3 * plain + 5
        server.kill()
