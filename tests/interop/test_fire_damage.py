"""A disk that spoiled some of what it held: the rest is served, what is spoiled is set aside and
reported; and a queue of 100,000, which must not keep a start waiting."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fire import faults, long_queue
from tests.fire.ground import BOB, DAN, EVE, Ground, ground
from tests.fire.ledger import Ledger
from tests.interop.peers.imap import logged_in, message
from tests.interop.peers.imap_look import ask
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
