"""Many users in a moment: copies of one, so that no password is hashed again."""

from __future__ import annotations

import sqlite3

from tests.benchmarks.paired_servers import MAILBOX
from tests.interop.peers.mailframe import Mailframe


def add_copies(server: Mailframe, number: int) -> None:
    """``user1@bench.test`` and so on, with the password of MAILBOX; before the server starts."""
    domain = MAILBOX.partition("@")[2]
    directory = sqlite3.connect(server.base / "directory.db")
    with directory:
        columns = [row[1] for row in directory.execute("PRAGMA table_info(users)")]
        others = ", ".join(name for name in columns if name not in ("id", "name"))
        rows = ((f"user{each}@{domain}", MAILBOX) for each in range(1, number + 1))
        directory.executemany(
            f"INSERT INTO users (name, {others}) SELECT ?, {others} FROM users WHERE name = ?", rows
        )
    directory.close()
