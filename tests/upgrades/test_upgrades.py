"""Data of every version there was, opened by today's code: all of it is served."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from mailframe.app.backups.layout import DATABASES
from mailframe.mailbox.index.schema import MIGRATIONS as INDEX
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import free_port, loopback_address, workdir
from tests.upgrades.base_files import DATA, load
from tests.upgrades.make_base import look

BASES = sorted(DATA.glob("base-*"))
SCHEMAS = [(file.path, file.migrations) for file in DATABASES]
OLDER = [
    pytest.param(scripts, version, id=f"{path}-{version}")
    for path, scripts in SCHEMAS
    for version in range(1, len(scripts))
]


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
BEGUN_ANEW = {"events", "keys"}
"""The journal's, which has pages since then: what was in them stays in the copy."""


@pytest.mark.parametrize("source", BASES, ids=lambda path: path.name)
def test_a_base_of_that_version_is_served(source: Path) -> None:
    with workdir("upgrade") as directory:
        server = Mailframe(directory, loopback_address())
        load(source, server.base)
        nobody = f"smtp://{server.address}:{free_port(server.address)}"
        ages = {"expire": "36500d", "warn_after": "36500d"}  # it grows older every day
        server.configure(routes={"later.test": nobody}, queue=ages)
        server.cli("verify")
        server.cli("migrate", "--dry-run")
        server.start()
        try:
            found = json.loads(json.dumps(look(server)))
            expected = json.loads((source / "expected.json").read_text())
            assert found == expected
            assert not server.tracebacks
        finally:
            server.stop()
        server.cli("verify")


def _fill(connection: sqlite3.Connection) -> dict[str, int]:
    """A row in every table; how many rows each has."""
    connection.execute("PRAGMA foreign_keys=OFF")
    tables = [name for (name,) in connection.execute(_TABLES)]
    values = {"TEXT": "x", "BLOB": b"x", "REAL": 1.0}
    for table in tables:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        row = [values.get(kind.partition(" ")[0], 1) for _, _, kind, *_ in columns]
        marks = ",".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)
    return _numbers(connection, tables)


def _numbers(connection: sqlite3.Connection, tables: Iterable[str]) -> dict[str, int]:
    return {t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}


def _counted(path: str) -> dict[str, int]:
    """How many rows each table of the file has."""
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute(_TABLES)]
    found = _numbers(connection, tables)
    connection.close()
    return found


def _old_file(path: str, scripts: Sequence[str], version: int) -> dict[str, int]:
    """As the mailframe of that schema left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(";".join([*scripts[:version], f"PRAGMA user_version={version}"]))
    rows = _fill(connection)
    connection.close()
    return rows


def _version(path: str) -> int:
    connection = sqlite3.connect(path)
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


@pytest.mark.parametrize(("scripts", "version"), OLDER)
def test_an_older_schema_is_migrated_and_a_copy_kept(
    tmp_path: Path, scripts: Sequence[str], version: int
) -> None:
    path = str(tmp_path / "x.db")
    rows = _old_file(path, scripts, version)
    (tmp_path / "x.db.v0.bak").touch()
    database = Database(path, scripts, None)
    database.open()
    for table, number in rows.items():
        if table in BEGUN_ANEW:
            continue
        query = f"SELECT count(*) FROM {table}"
        read = database.read(lambda c, query=query: c.execute(query).fetchone())  # type: ignore[misc]
        assert fired(read)[0] >= number
    database.close()
    assert _version(path) == len(scripts)
    kept = sorted(tmp_path.glob("x.db.*"))
    assert [file.name for file in kept] == [f"x.db.v{version}.bak"]
    assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert _version(str(kept[0])) == version
    assert _counted(str(kept[0])) == rows
    database.open()  # nothing more is done
    database.close()
    assert sorted(tmp_path.glob("x.db.*")) == kept


def test_there_are_older_schemas_to_try() -> None:
    assert len(OLDER) >= 3
    assert len(INDEX) > 1


_SLOW = """
import sys
from mailframe.runtime.database import Database
first = "CREATE TABLE t (x)"
slow = (
    "CREATE TABLE u (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
    "WHERE i < 100000000) INSERT INTO u SELECT i FROM n"
)
Database(sys.argv[1], [first, slow][: int(sys.argv[2])], None).open()
"""


def test_a_migration_that_is_killed_leaves_the_old_version(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", _SLOW, path, "1"], check=True, env=environment)
    child = subprocess.Popen([sys.executable, "-c", _SLOW, path, "2"], env=environment)
    end = time.monotonic() + 30
    while not any(f.stat().st_size > 1 << 20 for f in tmp_path.glob("x.db-wal")):
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert _version(path) == 1
    assert _version(f"{path}.v1.bak") == 1
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    Database(path, ["", "CREATE TABLE v (x)"], None).open()
    assert _version(path) == 2


def test_newer_data_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    _old_file(path, ["CREATE TABLE t (x)", ""], 2)
    with pytest.raises(sqlite3.DatabaseError, match="newer mailframe"):
        Database(path, ["CREATE TABLE t (x)"], None).open()
    assert list(tmp_path.glob("*.bak")) == []
