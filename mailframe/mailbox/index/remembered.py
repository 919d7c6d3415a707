"""What was read of messages, from the index; ``reading`` fills it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from mailframe.core.facts import Fact, MessageFacts
from mailframe.mailbox.index.columns import Garbage, of_type
from mailframe.message.parts import parts_from_bytes

_CHUNK = 500


def facts(
    connection: sqlite3.Connection, folder: int, uids: Sequence[int], wanted: Fact
) -> tuple[dict[int, MessageFacts], list[int]]:
    """Of those that were read; and the uids of those that were not yet."""
    found: dict[int, MessageFacts] = {}
    unread: list[int] = []
    columns = ", ".join(
        name if wanted & fact else empty
        for name, fact, empty in (
            ("c.envelope", Fact.ENVELOPE, "x''"),
            ("c.body", Fact.BODY, "x''"),
            ("c.structure", Fact.STRUCTURE, "x''"),
            ("c.preview", Fact.PREVIEW, "''"),
            ("c.email_id", Fact.IDS, "''"),
            ("c.thread_id", Fact.IDS, "''"),
            ("c.parts", Fact.PARTS, "x''"),
        )
    )
    query = (
        f"SELECT m.uid, m.content, c.id, {columns} FROM message AS m "
        "LEFT JOIN content AS c ON c.id = m.content WHERE m.folder = ? AND m.uid "
    )
    rows = _rows(connection, query, folder, uids)
    for uid, row, content, envelope, body, structure, preview, email, thread, parts in rows:
        if row is None:
            unread.append(uid)
        elif content is None:
            raise Garbage(f"{uid} has what was read of it in row {row!r}, which is none")
        else:
            of_type(bytes, envelope, body, structure)
            of_type(str, preview, email, thread)
            root = parts_from_bytes(parts) if parts else None
            found[uid] = MessageFacts(envelope, body, structure, preview, email, thread, root)
    return found, unread


def headers(
    connection: sqlite3.Connection, folder: int, uids: Sequence[int]
) -> tuple[dict[int, bytes], list[int]]:
    """The same of header sections; those that are too long are in neither."""
    found: dict[int, bytes] = {}
    unread: list[int] = []
    rows = _rows(
        connection,
        "SELECT m.uid, m.content, h.octets FROM message AS m "
        "LEFT JOIN header AS h ON h.content = m.content WHERE m.folder = ? AND m.uid ",
        folder,
        uids,
    )
    for uid, content, octets in rows:
        if octets is not None:
            of_type(bytes, octets)
            found[uid] = octets
        elif content is None:
            unread.append(uid)
    return found, unread


def _rows(
    connection: sqlite3.Connection, query: str, folder: int, uids: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(uids), _CHUNK):
        chunk = uids[start : start + _CHUNK]
        low, high = min(chunk), max(chunk)
        if high - low + 1 == len(chunk):
            rows = connection.execute(query + "BETWEEN ? AND ?", (folder, low, high))
        else:
            marks = ",".join("?" * len(chunk))
            rows = connection.execute(f"{query} IN ({marks})", (folder, *chunk))
        yield from rows.fetchall()  # so that nothing hangs on the connection between two
