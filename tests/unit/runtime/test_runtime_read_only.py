"""A database that was opened while the disk took nothing works again when the disk does."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet.defer import Deferred

from mailframe.testing.disk import SimDisk
from mailframe.testing.machine import SimMachine
from mailframe.testing.network import SimNetwork

MIGRATIONS = ["CREATE TABLE note (text TEXT NOT NULL)"]


def add(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO note VALUES ('text')")


def test_the_writer_does_not_stay_read_only() -> None:
    network = SimNetwork(1)
    machine = SimMachine(network, "mx", "10.0.0.1", SimDisk())
    machine.disk.make_directories("/base")
    database = machine.database("/base/notes.db", MIGRATIONS)
    database.open()
    results: list[Any] = []

    def write() -> None:
        done: Deferred[None] = database.write(add)
        done.addCallbacks(lambda _: results.append("ok"), lambda f: results.append(f.type))
        network.run(5.0)

    write()
    machine.disk.faults.is_read_only = True
    for _ in range(3):
        write()
    machine.disk.faults.is_read_only = False
    write()
    write()
    assert results[0] == "ok"
    assert sqlite3.OperationalError in results[1:4]
    assert results[-1] == "ok"
    network.close()
