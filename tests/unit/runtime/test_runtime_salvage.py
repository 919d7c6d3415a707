"""A damaged file: what can be read goes on, nothing is invented, nothing is deleted."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mailframe.queue.schema import MIGRATIONS
from mailframe.runtime import salvage
from mailframe.runtime.database import Database, IfDamaged
from mailframe.runtime.disk import Disk
from mailframe.runtime.salvage import NothingReadable
from tests.unit.runtime.loops import Loop

ROWS = 400
PAGE = 4096
Spoil = Callable[[Path], object]
Rows = dict[str, set[tuple[object, ...]]]


def filled(path: Path) -> Rows:
    """A spool in miniature, closed well."""
    database = Database(str(path), MIGRATIONS, None)
    database.open()

    def fill(connection: sqlite3.Connection) -> None:
        for number in range(ROWS):
            queue_id = f"Q{number:05}"
            connection.execute(
                "INSERT INTO message VALUES (?,?,?,?,0,'a@b.test','{}','{}')",
                (queue_id, number, 700, b"p" * 100),
            )
            connection.execute("INSERT INTO body VALUES (?,?)", (queue_id, b"x" * 500))
            connection.execute(
                "INSERT INTO recipient (queue_id, number, lane, state, next_at, token, lease,"
                " attempts, warned, address) VALUES (?,0,?,1,?,0,0,0,0,?)",
                (queue_id, f"d{number % 7}.test", number, f"u{number}@d{number % 7}.test"),
            )

    database.write(fill)
    database.close()
    return rows(path)


def rows(path: Path) -> Rows:
    connection = sqlite3.connect(path)
    try:
        return {
            table: set(connection.execute(f"SELECT * FROM {table}"))
            for table in ("message", "body", "recipient")
        }
    finally:
        connection.close()


def open_it(path: Path, if_damaged: IfDamaged = IfDamaged.MEND_OR_REFUSE) -> Database:
    database = Database(str(path), MIGRATIONS, Loop(), if_damaged=if_damaged)
    database.open()
    return database


def overwrite(path: Path, at: int, octets: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(octets)


def damaged(path: Path) -> list[Path]:
    return sorted(one for one in path.parent.iterdir() if ".damaged-" in one.name)


def test_whatever_page_is_lost_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    before = filled(path)
    whole = path.read_bytes()
    chance = random.Random(1)
    kept = []
    for page in range(len(whole) // PAGE):
        path.write_bytes(whole)
        overwrite(path, page * PAGE, chance.randbytes(PAGE))
        salvage.mend(Disk(), str(path), MIGRATIONS, f"at{page}")
        after = rows(path)
        for table, there in after.items():
            assert there <= before[table], (page, table)
        kept.append(sum(map(len, after.values())) / (3 * ROWS))
        assert (tmp_path / f"spool.db.damaged-at{page}").stat().st_size == len(whole)
    # a leaf costs its own rows; a root page, at worst, what only it leads to
    assert sorted(kept)[len(kept) // 10] > 0.95
    assert min(kept) > 0.6


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: overwrite(path, 0, b"\0" * 100),
        lambda path: overwrite(path, 0, b"x" * PAGE),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4]),
    ],
)
def test_the_server_mends_at_its_start(tmp_path: Path, spoil: Spoil) -> None:
    path = tmp_path / "spool.db"
    before = filled(path)
    spoil(path)
    database = open_it(path)
    try:
        database.file.look_closely()  # what the first reader that stumbles asks for
    finally:
        database.close()
    after = rows(path)
    assert all(after[table] <= before[table] for table in before)
    assert sum(map(len, after.values())) > ROWS
    assert damaged(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\0" * 100_000),
        lambda path: path.write_bytes(b"not a database at all " * 1000),
    ],
)
def test_where_nothing_can_be_read(tmp_path: Path, spoil: Spoil) -> None:
    path = tmp_path / "spool.db"
    filled(path)
    spoil(path)
    octets = path.read_bytes()
    with pytest.raises(NothingReadable, match=r"spool\.db.*nothing can be read.*backup"):
        open_it(path)
    assert path.read_bytes() == octets  # nobody begins with an empty queue
    assert damaged(path) == []
    for how in (IfDamaged.MEND, IfDamaged.BEGIN_ANEW):
        path.write_bytes(octets)
        open_it(path, how).close()
        assert rows(path)["message"] == set()
        assert damaged(path)[-1].read_bytes() == octets


def test_the_command_line_leaves_a_damaged_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"")
    with pytest.raises(sqlite3.DatabaseError, match="empty"):
        Database(str(path), MIGRATIONS, None).open()
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".db"] == ["spool.db"]
    assert path.read_bytes() == b""


def test_damage_that_is_met_later_is_mended_too(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    before = filled(path)
    loop = Loop()
    database = Database(str(path), MIGRATIONS, loop)
    database.open()
    whole = path.read_bytes()
    for page in range(2, len(whole) // PAGE):  # behind the back of every cache
        if b"Q00200" in whole[page * PAGE : (page + 1) * PAGE]:
            overwrite(path, page * PAGE, b"\xff" * PAGE)
    query = "SELECT COUNT(*), MAX(prefix) FROM message"
    with pytest.raises(sqlite3.DatabaseError):
        loop.result(database.read(lambda c: c.execute(query).fetchone()))
    # whatever comes next finds the mended file
    loop.result(database.write(lambda c: c.execute("DELETE FROM body WHERE 1 = 0").rowcount))
    number, _ = loop.result(database.read(lambda c: c.execute(query).fetchone()))
    assert ROWS * 0.9 < number < ROWS
    database.close()
    assert rows(path)["message"] < before["message"]


@pytest.mark.parametrize("step", range(4))
def test_a_crash_while_the_mended_file_is_put_in_place(tmp_path: Path, step: int) -> None:
    """At whichever rename: the next start finishes it, and nothing of the old log is replayed."""
    path = tmp_path / "spool.db"
    before = filled(path)
    overwrite(path, 0, b"x" * 100)
    (tmp_path / "spool.db-wal").write_bytes(b"an old log")

    class Crash(Exception):
        pass

    class Disk_(Disk):
        left = step

        def _count(self) -> None:
            if self.left == 0:
                raise Crash
            self.left -= 1

        def rename(self, source: str, target: str) -> None:
            self._count()
            super().rename(source, target)

        def link(self, source: str, target: str) -> None:
            self._count()
            super().link(source, target)

    with contextlib.suppress(Crash):  # it may have fewer steps
        salvage.mend(Disk_(), str(path), MIGRATIONS, "x")
    open_it(path).close()
    after = rows(path)
    assert all(after[table] <= before[table] for table in before)
    assert sum(map(len, after.values())) > 2 * ROWS
