"""Many rows with few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mailframe.queue.statements import delete_rows, insert_rows

COLUMNS = (("name", "TEXT"), ("number", "INTEGER"))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(
        "CREATE TABLE things (name TEXT, number INTEGER, data BLOB, PRIMARY KEY (name, number))"
    )
    yield connection
    connection.close()


def things(count: int) -> list[tuple[object, ...]]:
    return [(f"n{each}", each % 3, bytes([each % 256, 0, 255])) for each in range(count)]


def stored(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM things ORDER BY rowid").fetchall()


def count_statements(connection: sqlite3.Connection) -> list[str]:
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    return seen


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 255, 256, 257, 333, 334, 700])
def test_all_rows_are_there_in_their_order(connection: sqlite3.Connection, count: int) -> None:
    rows = things(count)
    insert_rows(connection, "things (name, number, data)", rows)
    assert stored(connection) == rows


def test_few_statements_do(connection: sqlite3.Connection) -> None:
    seen = count_statements(connection)
    insert_rows(connection, "things", things(128))
    assert len(seen) == 1
    insert_rows(connection, "things", [(f"m{name}", *rest) for name, *rest in things(100)])
    assert len(seen) == 4  # 64, 32, 4


def test_one_that_is_there_already_is_told(connection: sqlite3.Connection) -> None:
    rows = things(3)
    with pytest.raises(sqlite3.IntegrityError):
        insert_rows(connection, "things", [*rows, rows[1]])


@pytest.mark.parametrize("count", [0, 1, 4, 5, 200])
def test_only_what_is_named_is_deleted(connection: sqlite3.Connection, count: int) -> None:
    insert_rows(connection, "things", things(400))
    keys = [(f"n{each}", each % 3) for each in range(0, 2 * count, 2)]
    missing = [("n1", 0), ("nobody", 1)] if count else []
    assert delete_rows(connection, "things", COLUMNS, [*keys, *missing]) == count
    left = {(name, number) for name, number, _ in stored(connection)}
    assert len(left) == 400 - count
    assert left.isdisjoint(keys)


@pytest.mark.parametrize("count", [1, 9])
def test_numbers_are_not_texts(connection: sqlite3.Connection, count: int) -> None:
    insert_rows(connection, "things", [("7", 7, b"")])
    keys = [("8", 7), ("7", 8)] * count
    assert delete_rows(connection, "things", COLUMNS, keys) == 0
    assert delete_rows(connection, "things", COLUMNS, [*keys, ("7", 7)]) == 1


def test_a_list_is_looked_up_in_the_index(connection: sqlite3.Connection) -> None:
    seen = count_statements(connection)
    delete_rows(connection, "things", COLUMNS, [(f"n{each}", each) for each in range(10)])
    plan = connection.execute(f"EXPLAIN QUERY PLAN {seen[0]}").fetchall()
    assert any("(name=? AND number=?)" in step[3] for step in plan)
