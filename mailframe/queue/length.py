"""How long the queue is, and how old: for whoever watches it.

One read of an index, which SQLite does without the interpreter's lock; the time that a message
has been here is in its id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from twisted.internet.defer import Deferred

from mailframe.core.ids import earliest_id, time_of
from mailframe.queue.schema import State
from mailframe.runtime.database import Database

_NAMES = {
    State.RETURNING: "returning",
    State.FRESH: "incoming",
    State.DEFERRED: "deferred",
    State.HELD: "hold",
    State.CORRUPT: "corrupt",
    State.DEAD: "dead",
}


@dataclass(frozen=True, slots=True)
class QueueLength:
    """Recipients, those included that are being tried."""

    by_state: dict[str, int]
    """``incoming`` was never tried; the others as ``mailframe queue list`` names them."""
    by_age: tuple[int, ...]
    """How many are as old as each of the ages that were asked for, or younger, but older than the
    one before; then how many are older than all."""
    oldest: float
    """Seconds; 0 where nothing waits. Held, dead and corrupt ones do not."""


def queue_length(database: Database, ages: Sequence[float], now: float) -> Deferred[QueueLength]:
    """``ages`` in seconds, growing. ``now``: seconds since the epoch."""
    youngest = [earliest_id(now - age) for age in ages]

    def job(connection: sqlite3.Connection) -> QueueLength:
        by_state = dict.fromkeys(_NAMES.values(), 0)
        query = "SELECT state, COUNT(*), MIN(queue_id) FROM recipient GROUP BY state"
        oldest = now
        for state, count, first in connection.execute(query):
            by_state[_NAMES.get(state, "corrupt")] += count
            if state < State.HELD:
                oldest = min(oldest, _made(first, now))
        # how many are younger than each age
        columns = ", ".join("COALESCE(SUM(queue_id >= ?), 0)" for _ in youngest)
        query = f"SELECT COUNT(*), {columns} FROM recipient"
        total, *within = connection.execute(query, youngest).fetchone()
        edges = [0, *within, total]
        by_age = tuple(older - younger for younger, older in pairwise(edges))
        return QueueLength(by_state, by_age, max(0.0, now - oldest))

    return database.read(job)


def _made(queue_id: str, now: float) -> float:
    try:
        return time_of(queue_id)
    except ValueError:
        return now  # the row is damaged
