"""A process that shares a database with others: ``python -m tests.unit.runtime.sharer``.

Arguments: the file, a name, and how many notes to write, one after the other, each when the one
before is committed. A line is printed at the start, and one JSON object at the end. ``die`` for a
number: the process kills itself within a transaction, behind the gate. It begins when a line
comes in.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from typing import Any

from mailframe.runtime.database import Database, IfDamaged
from tests.unit.runtime.loops import Loop

MIGRATIONS = [
    "CREATE TABLE note (id INTEGER PRIMARY KEY, writer TEXT NOT NULL, number INTEGER NOT NULL)",
    "CREATE INDEX note_writer ON note (writer)",
    "CREATE TABLE first (writer TEXT NOT NULL)",
]


def add(name: str, number: int) -> Any:
    def job(connection: sqlite3.Connection) -> None:
        values = (name, number)
        connection.execute("INSERT INTO note (writer, number) VALUES (?, ?)", values)

    return job


def count(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM note").fetchone()[0]
    return found


def die(connection: sqlite3.Connection) -> None:
    add("dead", 0)(connection)
    os.kill(os.getpid(), signal.SIGKILL)


def main(path: str, name: str, what: str) -> None:
    print("here", flush=True)
    sys.stdin.readline()
    loop = Loop()
    if_damaged = IfDamaged.MEND
    database = Database(path, MIGRATIONS, loop, durable=False, if_damaged=if_damaged, shared=True)
    database.open()
    print("open", flush=True)
    sys.stdin.readline()
    if what == "die":
        loop.result(database.write(die))
    took, failed = [], 0
    for number in range(int(what)):
        before = time.monotonic()
        try:
            loop.result(database.write(add(name, number)))
        except sqlite3.DatabaseError:
            failed += 1
        took.append(time.monotonic() - before)
    seen = loop.result(database.read(count))
    database.close()
    told = {"took": took, "failed": failed, "seen": seen}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
