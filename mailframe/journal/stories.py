"""The journal's reading side: from a word to the stories it belongs to.

Works on the same file whether or not a server runs. Each function is a job for
``Database.read``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailframe.journal.keys import keys_of, search_keys
from mailframe.journal.pages import with_words

_BRINGS_FORTH = frozenset({"accept", "refuse"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of a story."""

    time: float
    """Seconds since the epoch."""
    id: str
    session: str
    """The session that a message came in by; empty where that is the entry's own."""
    step: str
    result: str
    detail: dict[str, Any]


def ids_of(connection: sqlite3.Connection, term: str, limit: int = 1000) -> list[str]:
    """Ids of the messages and sessions that ``term`` may mean, oldest first.

    ``term``: a queue id, the id of a session or refusal, a Message-ID, an address, or the id
    that a remote server gave a message. The newest ``limit`` of them.
    """
    for spelling in dict.fromkeys((term, term.upper())):
        if any(entry.id == spelling for entry in _backwards(connection, [spelling])):
            return [spelling]
    keys = search_keys(term)
    found: dict[str, None] = {}
    for entry in _backwards(connection, keys):
        if not keys_of(entry.detail).isdisjoint(keys):
            if entry.id not in found and len(found) == limit:
                break
            found[entry.id] = None
    return list(reversed(found))


def story(connection: sqlite3.Connection, id: str) -> list[Entry]:
    """Everything about a message or a session, in the order it happened.

    A message's story begins with the session it came in by: connect, TLS, login. A session's
    story names the messages that came of it, and does not tell theirs.
    """
    own = [entry for entry in _backwards(connection, [id]) if entry.id == id]
    ids = {id, *(entry.session for entry in own if entry.session)}
    told = [
        entry
        for entry in _backwards(connection, sorted(ids))
        if entry.id in ids or (entry.session == id and entry.step in _BRINGS_FORTH)
    ]
    told.reverse()
    told.sort(key=lambda entry: entry.time)  # another process may have put its page down first
    return told


def _backwards(connection: sqlite3.Connection, words: list[str]) -> Iterator[Entry]:
    """The entries of pages that may have one of the words, the newest first."""
    for page in with_words(connection, words):
        for time, id, session, step, result, detail in reversed(page):
            told = {name: value for name, value in detail.items() if value not in (None, "")}
            yield Entry(time, id, "" if session == id else session, step, result, told)
