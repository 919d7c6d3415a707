"""The file of an account and its jobs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mailframe.errors import TransientFailure
from mailframe.mailbox.index.indexes import Indexes
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailbox.house import done


def put(name: str) -> object:
    def job(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO past (name, uid_validity) VALUES (?, 1)", (name,))

    return job


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM past ORDER BY name")]


def test_a_job_that_fails_leaves_no_rows(tmp_path: Path) -> None:
    index = Indexes(str(tmp_path), Disk(), InlineWorkers()).of("ann@example.org")

    def fail(connection: sqlite3.Connection) -> None:
        put("bad")(connection)  # type: ignore[operator]
        raise ValueError("planned")

    done(index.run(put("a")))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="planned"):
        done(index.run(fail))
    assert done(index.read(names)) == ["a"]
    with pytest.raises(sqlite3.IntegrityError):
        done(index.run(put("a")))  # type: ignore[arg-type]
    done(index.run(put("b")))  # type: ignore[arg-type]
    assert done(index.read(names)) == ["a", "b"]


def test_few_files_stay_open(tmp_path: Path) -> None:
    indexes = Indexes(str(tmp_path), Disk(), InlineWorkers(), most_open=2)
    all_of_them = [indexes.of(f"a{number}@example.org") for number in range(5)]
    for _ in range(2):
        for index in all_of_them:
            done(index.run(names))
            done(index.read(names))
        assert sum(index._write_connection is not None for index in all_of_them) <= 2
        assert sum(index._read_connection is not None for index in all_of_them) <= 2


def test_what_follows_a_commit_is_done_though_nobody_waits(tmp_path: Path) -> None:
    index = Indexes(str(tmp_path), Disk(), InlineWorkers()).of("ann@example.org")
    followed: list[object] = []
    done(index.run(names, followed.append))
    assert followed == [[]]


def test_damage_is_seen_and_the_file_begun_anew(tmp_path: Path) -> None:
    index = Indexes(str(tmp_path), Disk(), InlineWorkers()).of("ann@example.org")
    done(index.run(put("a")))  # type: ignore[arg-type]
    before = index.generation

    def damaged(connection: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(TransientFailure):
        done(index.run(damaged))
    assert done(index.run(names)) == []
    assert index.generation > before
    assert done(index.read(names)) == []
