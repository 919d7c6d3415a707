"""The version of a database: another number whenever anybody has committed, and never a wait."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailframe.runtime.database import Database, IfDamaged
from tests.unit.runtime.loops import Loop
from tests.unit.runtime.test_runtime_database import MIGRATIONS, add, texts

_ADD = (
    "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
    "connection.execute(\"INSERT INTO note (text) VALUES ('theirs')\"); connection.commit()"
)
Version = Callable[[], int]


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture(params=[False, True], ids=["alone", "shared"])
def database(tmp_path: Path, loop: Loop, request: pytest.FixtureRequest) -> Iterator[Database]:
    path = str(tmp_path / "x.db")
    database = Database(path, MIGRATIONS, loop, if_damaged=IfDamaged.MEND, shared=request.param)
    database.open()
    yield database
    database.close()


@pytest.fixture
def version(loop: Loop, database: Database) -> Version:
    """What the next look tells that tells anything."""

    def told() -> int:
        loop.until(lambda: database.version() is not None)
        found = database.version()
        assert found is not None
        return found

    return told


@pytest.fixture
def other(database: Database) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(database.path, isolation_level=None)
    yield other
    other.close()


def test_nothing_is_told_before_a_thread_has_opened_the_file(
    database: Database, version: Version
) -> None:
    assert database.version() is None
    assert version() == version()


def test_reading_changes_nothing(
    loop: Loop, database: Database, version: Version, other: sqlite3.Connection
) -> None:
    before = version()
    assert loop.result(database.read(texts)) == []
    assert texts(other) == []
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO note (text) VALUES ('given up')")
    assert version() == before  # nobody is waited for who has not committed
    other.execute("ROLLBACK")
    assert version() == before


def test_every_commit_counts_whoever_made_it(
    loop: Loop, database: Database, version: Version, other: sqlite3.Connection
) -> None:
    seen = [version()]
    loop.result(database.write(add("ours")))
    seen.append(version())
    other.execute("INSERT INTO note (text) VALUES ('beside')")
    seen.append(version())
    subprocess.run([sys.executable, "-c", _ADD, database.path], check=True, timeout=30)
    seen.append(version())
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.execute("INSERT INTO note (text) VALUES ('in the log anew')")
    seen.append(version())
    assert len(set(seen)) == 5
    assert version() == seen[-1]


def test_it_counts_at_once(database: Database, version: Version, other: sqlite3.Connection) -> None:
    before = version()
    for number in range(100):
        other.execute("INSERT INTO note (text) VALUES (?)", (str(number),))
        after = database.version()
        assert after not in {None, before}
        before = after or 0


def test_another_file_of_that_name_has_another_version(
    loop: Loop, database: Database, version: Version
) -> None:
    loop.result(database.write(add("kept")))
    assert loop.result(database.read(texts)) == ["kept"]
    before = version()
    database.file.look_closely()
    assert version() == before  # there was nothing wrong with it
    _spoil_all_but_the_log(database)
    database.file.look_closely()
    assert database.version() != before
    assert version() != before


def _spoil_all_but_the_log(database: Database) -> None:
    with open(database.path, "r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (os.path.getsize(database.path) - 4096))


@pytest.mark.parametrize("database", [True], ids=["shared"], indirect=True)
def test_a_file_that_another_process_puts_in_its_place_has_another_version(
    tmp_path: Path, loop: Loop, database: Database, version: Version
) -> None:
    loop.result(database.write(add("old")))
    before = version()
    made = Database(str(tmp_path / "made.db"), MIGRATIONS, None)
    made.open()
    made.write(add("new"))
    made.close()
    with database.file.alone():
        for beside in ("-wal", "-shm"):
            os.rename(f"{database.path}{beside}", f"{database.path}.old{beside}")
        os.rename(tmp_path / "made.db", database.path)
    assert database.version() is None
    assert loop.result(database.read(texts)) == ["new"]
    assert version() != before


def test_nothing_is_told_without_a_reactor(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "x.db"), MIGRATIONS, None)
    database.open()
    assert database.version() is None
    database.close()


def test_nothing_is_told_when_it_is_closed_and_another_number_when_it_is_open_again(
    database: Database, version: Version
) -> None:
    before = version()
    database.close()
    assert database.version() is None
    database.open()
    assert database.version() is None
    assert version() != before


def test_closing_it_gives_up_what_is_being_opened(loop: Loop, database: Database) -> None:
    assert database.version() is None
    database.close()
    while not loop.calls.empty():
        loop.calls.get()()
    assert database.version() is None
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    opened = [os.readlink(link) for link in links if os.path.lexists(link)]
    assert not [name for name in opened if name.startswith(database.path)]


def test_what_cannot_be_opened_is_tried_again(
    loop: Loop, database: Database, monkeypatch: pytest.MonkeyPatch, version: Version
) -> None:
    def fail() -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    with monkeypatch.context() as failing:
        failing.setattr(database.file, "connect", fail)
        assert database.version() is None
        loop.calls.get(timeout=10)()
        assert database.version() is None
        loop.calls.get(timeout=10)()
    assert version()


def test_trouble_is_no_error_of_who_asks(
    database: Database, monkeypatch: pytest.MonkeyPatch, version: Version
) -> None:
    before = version()

    def fail() -> int:
        raise PermissionError("the directory is closed")

    with monkeypatch.context() as failing:
        failing.setattr(database.file, "look", fail)
        assert database.version() is None
    assert version() != before
