"""Many rows with few statements.

With every step of a statement the writer lets go of the interpreter's lock and has to get it
back; beside a busy reactor that takes longer than the row does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

Columns = tuple[tuple[str, str], ...]
"""Names and types, as ``("number", "INTEGER")``."""

_VALUES = 999  # that one statement may have, in any SQLite
_FEW = 4  # rows that are faster deleted one by one than read from a list


def insert_rows(
    connection: sqlite3.Connection, into: str, rows: Sequence[tuple[object, ...]]
) -> None:
    """``into``: table and columns; all rows are as wide. Raises sqlite3.Error, and then some of
    them may be there."""
    if not rows:
        return
    width = len(rows[0])
    for start, count in _pieces(len(rows), _VALUES // width):
        values = tuple(chain.from_iterable(rows[start : start + count]))
        connection.execute(_insertion(into, width, count), values)


def delete_rows(
    connection: sqlite3.Connection,
    table: str,
    columns: Columns,
    keys: Sequence[tuple[str | int, ...]],
) -> int:
    """Those whose ``columns`` are one of the keys; returns how many there were."""
    if not keys:
        return 0
    one, many = _deletions(table, columns)
    if len(keys) <= _FEW:
        return connection.executemany(one, keys).rowcount
    return connection.execute(many, (list_of(keys),)).rowcount


def is_listed(columns: Columns) -> str:
    """The condition that these are in a ``list_of`` tuples of them, which is its one value."""
    names = ", ".join(name for name, _ in columns)
    # Without its type a value is not looked up in an index.
    values = ", ".join(
        f"CAST(json_extract(value, '$[{number}]') AS {type})"
        for number, (_, type) in enumerate(columns)
    )
    return f"({names}) IN (SELECT {values} FROM json_each(?))"


def list_of(keys: Sequence[tuple[str | int, ...]]) -> str:
    return json.dumps(keys)


def _pieces(total: int, most: int) -> Iterator[tuple[int, int]]:
    """Where each begins and how long it is: powers of two, so that few statements serve all."""
    start = 0
    while start < total:
        count = 1 << (min(total - start, most).bit_length() - 1)
        yield start, count
        start += count


@lru_cache(64)
def _insertion(into: str, width: int, count: int) -> str:
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {into} VALUES {','.join([row] * count)}"


@lru_cache(8)
def _deletions(table: str, columns: Columns) -> tuple[str, str]:
    """Of one row, and of a list of them."""
    key = " AND ".join(f"{name} = ?" for name, _ in columns)
    return f"DELETE FROM {table} WHERE {key}", f"DELETE FROM {table} WHERE {is_listed(columns)}"
