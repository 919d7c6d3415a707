"""100,000 messages in the queue, and how long a start takes then."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

from tests.fire.ground import Ground
from tests.interop.peers.process import listens, wait_until

BODY = b"Subject: waiting\r\nMessage-ID: <w@fire.test>\r\n\r\n" + b"text\r\n" * 200


@dataclass(frozen=True, slots=True)
class Started:
    ready: float
    """Seconds from the start of the process until it serves."""
    moving: float
    """Until the first message left the queue."""


def fill(
    ground: Ground, number: int, domains: int = 500, name: str = "LONG", files: int = 0
) -> None:
    """Messages that were put off and are due, for domains whose mail the sink takes; the bodies of
    ``files`` of them lie in files. The server has run once, and does not run now."""
    now = round(time.time() * 1e6)
    options = json.dumps({"body": "7BIT"})
    for one in range(files):
        (ground.spool.parent / "bodies" / f"{name}{one:08}").write_bytes(BODY)
    with closing(sqlite3.connect(ground.spool)) as db:
        db.executemany(
            "INSERT INTO message (queue_id, arrived, size, prefix, in_file, reverse_path, options,"
            " arrival) VALUES (?, ?, ?, x'', ?, NULL, ?, '{}')",
            ((f"{name}{one:08}", now, len(BODY), one < files, options) for one in range(number)),
        )
        db.executemany(
            "INSERT INTO body (queue_id, content) VALUES (?, ?)",
            ((f"{name}{one:08}", BODY) for one in range(files, number)),
        )
        db.executemany(
            "INSERT INTO recipient (queue_id, number, lane, state, next_at, token, lease, attempts,"
            " warned, address) VALUES (?, 0, ?, 2, ?, 1, 0, 1, 0, ?)",
            (
                (f"{name}{one:08}", lane, now, f"u{one}@{lane}")
                for one in range(number)
                for lane in [f"d{one % domains}.peer.test"]
            ),
        )
        db.commit()


def started(ground: Ground) -> Started:
    """Starts it and waits until mail leaves."""
    server, before = ground.mailframe, len(ground.sink.messages)
    begun = time.monotonic()
    server.launch()
    wait_until(lambda: listens(server.address, server.ports["mx"]), "it listens", 60)
    with server.smtp("mx"):
        ready = time.monotonic() - begun
    wait_until(lambda: len(ground.sink.messages) > before, "the queue moves", 60)
    return Started(ready, time.monotonic() - begun)
