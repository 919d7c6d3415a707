"""The journal's reading side: from a word to the stories it belongs to.

Works on the same file whether or not a server runs. Each function is a job for
``Database.read``.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from mailframe.journal.keys import search_keys

_EVENTS = "SELECT seq, time, id, session, step, result, detail FROM events"


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of a story."""

    time: float
    """Seconds since the epoch."""
    id: str
    session: str
    step: str
    result: str
    detail: dict[str, Any]


def ids_of(connection: sqlite3.Connection, term: str, limit: int = 1000) -> list[str]:
    """Ids of the messages and sessions that ``term`` may mean, oldest first.

    ``term``: a queue id, the id of a session or refusal, a Message-ID, an address, or the id
    that a remote server gave a message. The newest ``limit`` of them.
    """
    for spelling in dict.fromkeys((term, term.upper())):
        query = "SELECT 1 FROM events WHERE id = ? LIMIT 1"
        if connection.execute(query, (spelling,)).fetchone():
            return [spelling]
    marks = search_keys(term)
    rows = connection.execute(
        "SELECT e.id, min(k.seq) AS first FROM keys k JOIN events e USING (seq)"
        f" WHERE k.key IN ({','.join('?' * len(marks))})"
        " GROUP BY e.id ORDER BY first DESC LIMIT ?",
        (*marks, limit),
    )
    return [row[0] for row in reversed(rows.fetchall())]


def story(connection: sqlite3.Connection, id: str) -> list[Entry]:
    """Everything about a message or a session, in the order it happened.

    A message's story begins with the session it came in by: connect, TLS, login. A session's
    story names the messages that came of it, and does not tell theirs.
    """
    own = connection.execute(f"{_EVENTS} WHERE id = ?", (id,)).fetchall()
    sessions = {row[3] for row in own if row[3]}
    for session in sessions:
        own += connection.execute(f"{_EVENTS} WHERE id = ?", (session,)).fetchall()
    # session != '' lets SQLite use its partial index
    born = "session = ? AND session != '' AND step IN ('accept', 'refuse')"
    own += connection.execute(f"{_EVENTS} WHERE {born}", (id,)).fetchall()
    return [_entry(row) for row in sorted(set(own))]


def _entry(row: tuple[int, float, str, str, str, str, str]) -> Entry:
    _, time, id, session, step, result, detail = row
    return Entry(time, id, session, step, result, json.loads(detail))
