"""What is to be reported, and what became of reports: the sending half of ``reports.db``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_PURGED_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one report to one address."""

    day: int
    domain: str
    destination: str
    result: str
    """``sent``, ``failed``, ``later`` (tried again) or ``skipped``."""
    detail: str = ""
    queue_id: str = ""
    octets: int = 0
    messages: int = 0
    at: float = 0.0


def due(connection: sqlite3.Connection, before: int, most: int) -> list[tuple[int, str, str, int]]:
    """Day, domain, a record that it had, and the number of messages, of days before ``before``;
    those with the most messages first."""
    return connection.execute(_DUE, (before, most)).fetchall()


def rows(
    connection: sqlite3.Connection, day: int, domain: str, most: int
) -> list[tuple[dict[str, Any], int]]:
    """The rows with the most messages first."""
    found = connection.execute(_ROWS, (day, domain, most)).fetchall()
    return [(json.loads(row), count) for row, count in found]


def is_proved(connection: sqlite3.Connection, domain: str, since: float) -> bool:
    found = connection.execute("SELECT last FROM proved WHERE domain = ?", (domain,)).fetchone()
    return found is not None and found[0] >= since


def outcomes(connection: sqlite3.Connection, day: int, domain: str) -> dict[str, str]:
    """Results by destination."""
    return dict(connection.execute(_OUTCOMES, (day, domain)).fetchall())


def waits_until(connection: sqlite3.Connection, destination: str) -> float:
    found = connection.execute(_UNTIL, (destination,)).fetchone()
    return float(found[0]) if found else 0.0


def note_outcome(connection: sqlite3.Connection, outcome: Outcome) -> None:
    connection.execute(
        _NOTE,
        (
            *(outcome.day, outcome.domain, outcome.destination, outcome.result, outcome.detail),
            *(outcome.queue_id, outcome.octets, outcome.messages, outcome.at),
        ),
    )


def note_trouble(
    connection: sqlite3.Connection, destination: str, now: float, first: float, most: float
) -> None:
    """Nothing goes there for ``first`` seconds; after each failure twice as long, to ``most``."""
    found = connection.execute(_FAILURES, (destination,)).fetchone()
    failures = int(found[0]) + 1 if found else 1
    pause = min(first * 2 ** min(failures - 1, 20), most)
    connection.execute(_TROUBLE, (destination, failures, now + pause))


def destination_of(connection: sqlite3.Connection, queue_id: str) -> str:
    found = connection.execute(_BY_QUEUE_ID, (queue_id,)).fetchone()
    return str(found[0]) if found else ""


def done(connection: sqlite3.Connection, day: int, domain: str) -> None:
    """All has been said about that day."""
    connection.execute("DELETE FROM observed WHERE day = ? AND domain = ?", (day, domain))


def purge(connection: sqlite3.Connection, day: int, keep_from: float, proved_from: float) -> int:
    """Days before ``day`` are given up; times in seconds since the epoch."""
    removed = connection.execute(_PURGE_DAYS, (day,)).rowcount
    removed += connection.execute("DELETE FROM proved WHERE last < ?", (proved_from,)).rowcount
    removed += connection.execute(_PURGE_SENT, (keep_from, _PURGED_AT_ONCE)).rowcount
    removed += connection.execute("DELETE FROM troubles WHERE until < ?", (keep_from,)).rowcount
    return removed


def sent(
    connection: sqlite3.Connection, *, domain: str = "", limit: int = 1_000
) -> Iterator[Outcome]:
    """The latest first."""
    for row in connection.execute(_SENT, (domain, domain, limit)):
        yield Outcome(*row)


_DUE = """
SELECT day, domain, max(record), sum(count) AS messages FROM observed WHERE day < ?
GROUP BY day, domain ORDER BY messages DESC LIMIT ?
"""
_ROWS = """
SELECT row, count FROM observed WHERE day = ? AND domain = ? ORDER BY count DESC, key LIMIT ?
"""
_OUTCOMES = "SELECT destination, result FROM sent WHERE day = ? AND domain = ?"
_UNTIL = "SELECT until FROM troubles WHERE destination = ?"
_FAILURES = "SELECT failures FROM troubles WHERE destination = ?"
_TROUBLE = """
INSERT INTO troubles (destination, failures, until) VALUES (?, ?, ?)
ON CONFLICT (destination) DO UPDATE SET failures = excluded.failures, until = excluded.until
"""
_NOTE = """
INSERT INTO sent (day, domain, destination, result, detail, queue_id, octets, messages, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (day, domain, destination) DO UPDATE
SET result = excluded.result, detail = excluded.detail, queue_id = excluded.queue_id,
    octets = excluded.octets, messages = excluded.messages, at = excluded.at
"""
_BY_QUEUE_ID = "SELECT destination FROM sent WHERE queue_id = ? AND queue_id <> ''"
_PURGE_DAYS = "DELETE FROM observed WHERE day < ?"
_PURGE_SENT = "DELETE FROM sent WHERE id IN (SELECT id FROM sent WHERE at < ? ORDER BY at LIMIT ?)"
_SENT = """
SELECT day, domain, destination, result, detail, queue_id, octets, messages, at FROM sent
WHERE ? = '' OR domain = ? ORDER BY at DESC, id DESC LIMIT ?
"""
