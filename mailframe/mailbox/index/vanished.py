"""Which uids are gone (RFC 7162): what the log says, or every gap where it does not reach back."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

_MOST_GAPS = 1 << 22  # uids told as vanished when the log does not reach back


def vanished_since(connection: sqlite3.Connection, folder: int, since: int) -> list[int] | None:
    """After that mod-sequence, ascending; None where the log does not reach back so far."""
    row = connection.execute("SELECT vanished_from FROM folder WHERE id = ?", (folder,)).fetchone()
    if row is None or since < row[0]:
        return None
    rows = connection.execute(
        "SELECT uid FROM vanished WHERE folder = ? AND modseq > ? ORDER BY uid", (folder, since)
    )
    return [uid for (uid,) in rows]


def gaps(messages: Mapping[int, object], end: int) -> list[int]:
    """Every uid below ``end`` that is not there; the highest ones where they are too many.
    ``messages`` by uid, ascending."""
    found: list[range] = []
    left = _MOST_GAPS
    for uid in reversed([0, *messages]):
        if uid + 1 < end:
            found.append(range(max(uid + 1, end - left), end))
            left -= len(found[-1])
        if left <= 0:
            break
        end = uid
    return [uid for gap in reversed(found) for uid in gap]
