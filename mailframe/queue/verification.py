"""Is every queued message whole? For ``mailframe verify``, beside a running server. Changes
nothing. What the server itself found at its start has the state CORRUPT; here it is named too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from mailframe.queue.schema import State

_PAGE = 1000


def queue_faults(
    connection: sqlite3.Connection, size_of: Callable[[str], int | None]
) -> Iterator[tuple[str, str]]:
    """Queue id and what is wrong with it. ``size_of`` a body file, None where there is none.
    Raises sqlite3.Error."""
    corrupt = {
        queue_id
        for (queue_id,) in connection.execute(
            "SELECT DISTINCT queue_id FROM recipient WHERE state = ?", (State.CORRUPT,)
        )
    }
    for queue_id, in_file, size, inline in _messages(connection):
        found = size_of(queue_id) if in_file else inline
        if found == size:
            if queue_id in corrupt:
                yield queue_id, "was set aside as corrupt; its content is back: restart the server"
        elif _is_still_there(connection, queue_id):
            what = "is lost" if found is None else f"has {found} octets, not {size}"
            yield queue_id, f"its content {what}"
    query = "SELECT queue_id FROM body WHERE queue_id NOT IN (SELECT queue_id FROM message)"
    for (queue_id,) in connection.execute(query):
        yield queue_id, "content without a message"
    query = "SELECT queue_id FROM message WHERE queue_id NOT IN (SELECT queue_id FROM recipient)"
    for (queue_id,) in connection.execute(query):
        yield queue_id, "a message without recipients"
    query = (
        "SELECT DISTINCT queue_id FROM recipient"
        " WHERE queue_id NOT IN (SELECT queue_id FROM message)"
    )
    for (queue_id,) in connection.execute(query):
        yield queue_id, "recipients without a message"


def _messages(connection: sqlite3.Connection) -> Iterator[tuple[str, bool, int, int | None]]:
    """Page by page: a long read would keep the log from being checkpointed."""
    last = ""
    while page := connection.execute(
        "SELECT message.queue_id, in_file, size - LENGTH(prefix), LENGTH(content) FROM message"
        " LEFT JOIN body USING (queue_id) WHERE message.queue_id > ?"
        " ORDER BY message.queue_id LIMIT ?",
        (last, _PAGE),
    ).fetchall():
        last = page[-1][0]
        for queue_id, in_file, size, inline in page:
            yield queue_id, bool(in_file), size, inline


def _is_still_there(connection: sqlite3.Connection, queue_id: str) -> bool:
    """Not done and gone while we looked for its content."""
    query = "SELECT 1 FROM message WHERE queue_id = ?"
    return connection.execute(query, (queue_id,)).fetchone() is not None
