from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.errors import TransientFailure
from mailframe.runtime.database import Database
from tests.unit.runtime.loops import Loop

MIGRATIONS = [
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    "CREATE TABLE child (note INTEGER REFERENCES note(id) DEFERRABLE INITIALLY DEFERRED)",
]


def add(text: str) -> Any:
    return lambda connection: (
        connection.execute("INSERT INTO note (text) VALUES (?)", (text,)).lastrowid
    )


def orphan(connection: sqlite3.Connection) -> None:
    """Well until the commit, which then fails for the whole transaction."""
    connection.execute("INSERT INTO child VALUES (999)")


def texts(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY id")]


def done(deferred: Deferred[Any]) -> Any:
    results: list[Any] = []
    failures: list[Any] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    [result] = results
    return result


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def database(tmp_path: Path, loop: Loop) -> Iterator[Database]:
    database = Database(str(tmp_path / "x.db"), MIGRATIONS, loop, backlog=50)
    database.open()
    yield database
    database.close()


@pytest.fixture
def inline(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "x.db"), MIGRATIONS, None)
    database.open()
    yield database
    database.close()


def hold(database: Database) -> threading.Event:
    """Keep the writer busy, so that what follows becomes one batch."""
    began, gate = threading.Event(), threading.Event()

    def wait(connection: sqlite3.Connection) -> None:
        began.set()
        assert gate.wait(10)

    database.write(wait)
    assert began.wait(10)
    return gate


def test_a_write_is_there_for_whoever_opens_the_file(loop: Loop, database: Database) -> None:
    assert loop.result(database.write(add("a"))) == 1
    assert loop.result(database.read(texts)) == ["a"]
    other = sqlite3.connect(database.path)
    assert texts(other) == ["a"]
    other.close()


def test_a_bad_job_among_good_ones_fails_alone_and_leaves_no_trace(
    loop: Loop, database: Database
) -> None:
    def bad(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        add("a")(connection)

    gate = hold(database)
    results = [database.write(job) for job in (add("a"), bad, add("b"))]
    gate.set()
    assert loop.result(results[0]) == 1
    with pytest.raises(sqlite3.IntegrityError):
        loop.result(results[1])
    loop.result(results[2])
    assert loop.result(database.read(texts)) == ["a", "b"]


def test_jobs_run_once_and_again_only_where_one_of_them_fails(
    loop: Loop, database: Database
) -> None:
    ran: list[str] = []

    def noted(text: str) -> Any:
        def job(connection: sqlite3.Connection) -> None:
            ran.append(text)
            add(text)(connection)

        return job

    gate = hold(database)
    results = [database.write(noted(text)) for text in "abc"]
    gate.set()
    for result in results:
        loop.result(result)
    assert ran == ["a", "b", "c"]
    ran.clear()
    gate = hold(database)
    results = [database.write(noted(text)) for text in "dae"]
    gate.set()
    loop.result(results[0])
    with pytest.raises(sqlite3.IntegrityError):
        loop.result(results[1])
    loop.result(results[2])
    assert ran == ["d", "a", "d", "a", "e"]
    ran.clear()
    with pytest.raises(sqlite3.IntegrityError):
        loop.result(database.write(noted("a")))  # nobody is beside it
    assert ran == ["a"]
    assert loop.result(database.read(texts)) == list("abcde")


def test_one_commit_tells_all_of_its_jobs_in_one_turn(loop: Loop, database: Database) -> None:
    gate = hold(database)
    for number in range(30):
        database.write(add(str(number)))
    gate.set()
    database.close()
    assert loop.calls.qsize() == 2  # of the one that held it up, and of the others


def test_a_failed_commit_fails_every_job_of_the_batch_and_the_writer_goes_on(
    loop: Loop, database: Database
) -> None:
    loop.result(database.write(add("before")))
    gate = hold(database)
    results = [database.write(job) for job in (add("a"), orphan, add("b"))]
    gate.set()
    for result in results:
        with pytest.raises(sqlite3.IntegrityError):
            loop.result(result)
    assert loop.result(database.read(texts)) == ["before"]
    loop.result(database.write(add("after")))
    assert loop.result(database.read(texts)) == ["before", "after"]


def test_a_full_backlog_refuses_at_once(loop: Loop, database: Database) -> None:
    gate = hold(database)
    waiting = [database.write(add(str(number))) for number in range(50)]
    with pytest.raises(TransientFailure) as caught:
        loop.result(database.write(add("one too many")))
    assert caught.value.reply.code == 451
    gate.set()
    for result in waiting:
        loop.result(result)
    assert len(loop.result(database.read(texts))) == 50


def test_the_order_of_writes_is_kept(loop: Loop, database: Database) -> None:
    results = [database.write(add(f"{number:02}")) for number in range(40)]
    ids = [loop.result(result) for result in results]
    assert ids == sorted(ids)
    assert loop.result(database.read(texts)) == sorted(loop.result(database.read(texts)))


def test_a_cancelled_write_disturbs_nobody(loop: Loop, database: Database) -> None:
    gate = hold(database)
    cancelled = database.write(add("cancelled"))
    cancelled.addErrback(lambda failure: None)
    cancelled.cancel()
    other = database.write(add("other"))
    gate.set()
    loop.result(other)


def test_close_commits_what_was_queued_and_open_works_again(loop: Loop, database: Database) -> None:
    results = [database.write(add(str(number))) for number in range(20)]
    database.close()
    assert [loop.result(result) for result in results]
    with pytest.raises(TransientFailure):
        loop.result(database.write(add("closed")))
    database.open()
    assert len(loop.result(database.read(texts))) == 20


def test_a_read_that_fails_is_told(loop: Loop, database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError):
        loop.result(database.read(lambda connection: connection.execute("SELECT nonsense")))


def test_inline_everything_happens_at_once(inline: Database) -> None:
    assert done(inline.write(add("a"))) == 1
    with pytest.raises(sqlite3.IntegrityError):
        done(inline.write(add("a")))
    with pytest.raises(sqlite3.IntegrityError):
        done(inline.write(orphan))
    done(inline.write(add("b")))
    assert done(inline.read(texts)) == ["a", "b"]


def test_the_command_line_writes_while_a_server_runs(
    loop: Loop, database: Database, inline: Database
) -> None:
    done(inline.write(add("inline")))
    loop.result(database.write(add("server")))
    assert done(inline.read(texts)) == loop.result(database.read(texts)) == ["inline", "server"]


def test_migrations_run_once_each(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    for count in (1, 1, 2, 2):
        database = Database(path, MIGRATIONS[:count], None)
        database.open()
        assert done(database.read(lambda c: c.execute("PRAGMA user_version").fetchone())) == (
            count,
        )
        database.close()
    with pytest.raises(sqlite3.DatabaseError, match="newer mailframe"):
        Database(path, MIGRATIONS[:1], None).open()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database " * 1_000)
    with pytest.raises(sqlite3.DatabaseError, match=r"x\.db: file is not a database"):
        Database(str(path), MIGRATIONS, None).open()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    with pytest.raises(sqlite3.OperationalError):
        Database(path, [MIGRATIONS[0], "CREATE TABLE half (x); NONSENSE"], None).open()
    database = Database(path, MIGRATIONS, None)
    database.open()
    names = done(database.read(lambda c: c.execute("SELECT name FROM sqlite_master").fetchall()))
    assert ("half",) not in names
    database.close()


def test_two_processes_migrate_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    errors: list[BaseException] = []
    together = threading.Barrier(6)

    def start() -> None:
        database = Database(path, [f"CREATE TABLE t{n} (x)" for n in range(8)], None)
        together.wait()
        try:
            database.open()
        except BaseException as error:
            errors.append(error)
        else:
            database.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_durable_means_that_every_commit_is_synced(
    tmp_path: Path, durable: bool, level: int
) -> None:
    database = Database(str(tmp_path / "x.db"), MIGRATIONS, None, durable=durable)
    database.open()
    assert done(database.read(lambda c: c.execute("PRAGMA synchronous").fetchone())) == (level,)
    assert done(database.read(lambda c: c.execute("PRAGMA journal_mode").fetchone())) == ("wal",)
    database.close()


def test_its_files_are_for_their_owner_only(tmp_path: Path, loop: Loop) -> None:
    before = os.umask(0)
    try:
        database = Database(str(tmp_path / "mine.db"), MIGRATIONS, loop)
        database.open()
        loop.result(database.write(add("x")))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert set(modes) >= {"mine.db", "mine.db-wal"}
    assert set(modes.values()) == {0o600}
