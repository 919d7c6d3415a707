"""What is told of SQLite files, and what is not so."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from mailframe.runtime.copies import copy_database, keep_before_migration
from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import faults_of, faults_of_frozen, integrity_faults


@pytest.fixture
def path(tmp_path: Path) -> str:
    name = str(tmp_path / "x.db")
    connection = Disk().connect(name, timeout=1)
    connection.executescript(
        "CREATE TABLE t (a TEXT NOT NULL, n INTEGER NOT NULL, k TEXT NOT NULL,"
        " PRIMARY KEY (a, k)) WITHOUT ROWID; PRAGMA user_version=3"
    )
    for number in range(300):
        connection.execute("INSERT INTO t VALUES ('a', 1, ?)", (f"{number:060}",))
    connection.close()
    return name


def test_nulls_that_are_not_there_are_not_told(path: str) -> None:
    assert faults_of(Disk(), path, 3) == faults_of_frozen(Disk(), path) == []


def test_a_null_that_is_there_is_told(path: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE u (v)")
    connection.execute("INSERT INTO u VALUES (NULL)")
    connection.execute("PRAGMA writable_schema=ON")
    changed = "UPDATE sqlite_master SET sql = 'CREATE TABLE u (v NOT NULL)' WHERE name = 'u'"
    connection.execute(changed)
    connection.close()
    connection = sqlite3.connect(path)
    assert integrity_faults(connection) == ["NULL value in u.v"]
    connection.close()


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("n", "x", ["t.n: a value is no INTEGER"]),
        ("n", b"\x01", ["t.n: a value is no INTEGER"]),
        ("k", b"key", ["t.k: a value is no TEXT"]),
        ("b", "text", ["t.b: a value is no BLOB"]),
        ("b", None, []),
        ("b", b"\x00", []),
        ("k", 7, []),  # SQLite makes a text of it
    ],
)
def test_values_of_another_type_are_told(
    path: str, column: str, value: object, told: list[str]
) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("ALTER TABLE t ADD COLUMN b BLOB")
    connection.execute(f"UPDATE t SET {column} = ? WHERE k = ?", (value, f"{7:060}"))
    connection.close()
    assert faults_of(Disk(), path, 3) == told


def test_a_file_may_name_things_as_it_likes(path: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("""CREATE TABLE "o""dd %s '" ("a""b" INTEGER)""")
    connection.execute("""INSERT INTO "o""dd %s '" VALUES ('x')""")
    connection.close()
    assert faults_of(Disk(), path, 3) == ["""o"dd %s '.a"b: a value is no INTEGER"""]


def test_damage_newer_and_foreign_files_are_told(path: str, tmp_path: Path) -> None:
    assert "schema 3" in faults_of(Disk(), path, 2)[0]
    (tmp_path / "y.db").write_bytes(b"something else")
    assert faults_of(Disk(), str(tmp_path / "y.db")) != []
    with open(path, "r+b") as file:
        file.seek(2 * 4096)
        file.write(os.urandom(3000))
    assert faults_of(Disk(), path) != []
    assert faults_of_frozen(Disk(), path) != []


def test_a_frozen_file_gets_nothing_beside_it(path: str, tmp_path: Path) -> None:
    assert faults_of_frozen(Disk(), path) == []
    assert os.listdir(tmp_path) == ["x.db"]


def test_copies_of_the_same_commit_are_the_same(path: str, tmp_path: Path) -> None:
    writer = Disk().connect(path, timeout=1)
    writer.execute("INSERT INTO t VALUES ('b', 1, 'in the log')")
    for name in ("1", "2"):
        copy_database(Disk(), path, str(tmp_path / name))
    writer.close()
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    copy = sqlite3.connect(tmp_path / "1")
    assert copy.execute("SELECT count(*) FROM t").fetchone() == (301,)
    copy.close()


def test_a_file_that_is_busy_is_not_damaged(path: str) -> None:
    class Hasty(Disk):
        def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
            return super().connect(path, timeout=0)

    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("DELETE FROM t WHERE k = '1'")
    holder.execute("PRAGMA user_version=4")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        faults_of(Hasty(), path)
    holder.close()


def test_what_is_kept_before_a_migration_is_the_file_as_it_is(path: str) -> None:
    """Also where one is left of an earlier attempt, after which somebody went back."""
    for number in range(2):
        kept = keep_before_migration(Disk(), path, 3)
        found = sqlite3.connect(kept)
        assert found.execute("SELECT max(n) FROM t").fetchone()[0] == 1 + number
        found.close()
        changed = sqlite3.connect(path)
        changed.execute("UPDATE t SET n = n + 1")
        changed.commit()
        changed.close()
