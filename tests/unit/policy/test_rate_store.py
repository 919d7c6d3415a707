"""Counts outlive the process: stopped, killed, and with a disk that does not work."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from mailframe.policy.rate_store import WindowStore
from mailframe.policy.schema import MIGRATIONS
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database

EVERY = 3.0
COUNTED = "messages per user in 3600"
NOW = 1_750_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "policy.db"), MIGRATIONS, None, durable=False)
    opened.open()
    yield opened
    opened.close()


def clock_at(seconds: float) -> Clock:
    clock = Clock()
    clock.advance(seconds)
    return clock


def started(database: Any, clock: Clock, *counted: str) -> WindowStore:
    store = WindowStore(database, clock, every=EVERY)
    for name in counted or (COUNTED,):
        store.windows(name, 3600)
    fired(as_deferred(store.start()))
    return store


def rows(database: Database) -> list[tuple[Any, ...]]:
    return fired(database.read(lambda c: c.execute("SELECT * FROM windows").fetchall()))


def test_a_restart_forgets_nothing(database: Database) -> None:
    clock = clock_at(NOW)
    store = started(database, clock)
    for who in ("ann@one.example", "a\0b", "x" * 10_000, "ψ\udc80"):
        store.windows(COUNTED, 3600).add(who, NOW, 7)
    fired(as_deferred(store.stop()))
    again = started(database, clock_at(NOW + 3000)).windows(COUNTED, 3600)
    for who in ("ann@one.example", "a\0b", "x" * 10_000, "ψ\udc80"):
        assert again.total(who, NOW + 3000) == 7
        assert again.total(who, NOW + 3600) == 0


def test_it_is_written_every_few_seconds_and_only_what_changed(database: Database) -> None:
    clock = clock_at(NOW)
    store = started(database, clock)
    for number in range(3000):
        store.windows(COUNTED, 3600).add(f"user{number}", NOW)
    assert rows(database) == []
    clock.advance(EVERY)
    assert len(rows(database)) == 3000
    database.write = lambda job: pytest.fail("nothing has changed")  # type: ignore
    clock.advance(EVERY)


def test_what_is_over_is_not_kept(database: Database) -> None:
    store = started(database, clock_at(NOW), COUNTED, "recipients per user in 3600")
    store.windows(COUNTED, 3600).add("old", NOW - 3000)
    store.windows("recipients per user in 3600", 3600).add("old", NOW)
    fired(as_deferred(store.stop()))
    later = started(database, clock_at(NOW + 1000))
    fired(as_deferred(later.stop()))
    # the other limit is not configured any more
    assert rows(database) == []


def test_what_memory_forgets_goes_from_the_disk(database: Database) -> None:
    clock = clock_at(NOW)
    store = started(database, clock)
    store.windows(COUNTED, 3600).add("early", NOW)
    clock.advance(EVERY)
    assert len(rows(database)) == 1
    clock.advance(7200)
    store.windows(COUNTED, 3600).add("late", clock.seconds())
    clock.advance(EVERY)
    assert [row[1] for row in rows(database)] == ["late"]


def test_a_dropped_limit_goes_from_the_disk(database: Database) -> None:
    clock = clock_at(NOW)
    store = started(database, clock)
    store.windows(COUNTED, 3600).add("ann", NOW)
    clock.advance(EVERY)
    store.drop(COUNTED)
    clock.advance(EVERY)
    assert rows(database) == []


def test_nonsense_in_the_file_is_not_believed(database: Database) -> None:
    def spoil(connection: sqlite3.Connection) -> None:
        for number, steps in enumerate(("", "{}", "[[1]]", '[["x", 1]]', "[[1, -5]]", "null")):
            values = (COUNTED, f"user{number}", number, steps)
            connection.execute("INSERT INTO windows VALUES (?, ?, ?, ?)", values)

    fired(database.write(spoil))
    store = started(database, clock_at(NOW))
    assert len(store.windows(COUNTED, 3600)) == 0
    fired(as_deferred(store.stop()))
    assert rows(database) == []


def test_a_clock_that_was_ahead_when_it_was_written(database: Database) -> None:
    store = started(database, clock_at(NOW))
    store.windows(COUNTED, 3600).add("ann", NOW + 10**8, 5)
    fired(as_deferred(store.stop()))
    windows = started(database, clock_at(NOW)).windows(COUNTED, 3600)
    assert windows.total("ann", NOW) == 5
    assert windows.total("ann", NOW + 3600) == 0


class FailingDatabase:
    """Fails while ``broken``."""

    def __init__(self, database: Database) -> None:
        self.broken = False
        self._database = database
        self.read = database.read

    def write(self, job: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        if self.broken:
            return fail(sqlite3.OperationalError("disk full"))
        return self._database.write(job)


def test_a_full_disk(database: Database, caplog: Any) -> None:
    clock = clock_at(NOW)
    failing = FailingDatabase(database)
    store = started(failing, clock)
    failing.broken = True
    for _ in range(10):
        store.windows(COUNTED, 3600).add("ann", clock.seconds())
        clock.advance(EVERY)
    assert store.windows(COUNTED, 3600).total("ann", clock.seconds()) == 10
    fired(as_deferred(store.stop()))  # ends all the same
    assert rows(database) == []
    failing.broken = False
    fired(as_deferred(store.stop()))
    assert len(rows(database)) == 1


CHILD = """
import sys
from twisted.internet import reactor
from mailframe.policy.rate_store import WindowStore
from mailframe.policy.schema import MIGRATIONS
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.database import Database

database = Database(sys.argv[1], MIGRATIONS, reactor, durable=False)
database.open()
store = WindowStore(database, reactor, every=0.2)
windows = store.windows("messages per user in 3600", 3600)

def count(number=0):
    windows.add("ann", reactor.seconds())
    print(number + 1, flush=True)
    reactor.callLater(0.01, count, number + 1)

def begin():
    as_deferred(store.start()).addCallback(lambda _: count())

reactor.callWhenRunning(begin)
reactor.run()
"""


def test_kill_loses_a_moment_at_most(tmp_path: Path) -> None:
    path = str(tmp_path / "policy.db")
    child = subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    counted = 0
    for line in child.stdout:
        counted = int(line)
        if counted == 200:
            os.kill(child.pid, signal.SIGKILL)
    child.wait()
    database = Database(path, MIGRATIONS, None, durable=False)
    database.open()

    clock = clock_at(time.time())
    total = started(database, clock).windows(COUNTED, 3600).total("ann", clock.seconds())
    database.close()
    assert counted - 60 <= total <= counted
