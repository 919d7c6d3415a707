"""What other processes did to a folder since we last looked, as the index's file tells it.

Everything that sessions see has a mod-sequence: rows that are younger than ours arrived or were
changed, and what went is in the log of vanished uids, or, where that does not reach back far
enough, is what the folder has no row for any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field

from mailframe.core.folders import MessageState
from mailframe.mailbox.index.columns import of_type
from mailframe.mailbox.index.flags import flag_set
from mailframe.mailbox.index.opening import is_aside


@dataclass(slots=True)
class Missed:
    name: str
    """The folder's now."""
    uid_validity: int
    uid_next: int
    modseq: int
    recent_from: int
    states: list[MessageState] = field(default_factory=list)
    """Of what arrived or was changed, uids ascending."""
    vanished: Collection[int] = ()
    left: frozenset[int] | None = None
    """All that there is now, where nobody knows what vanished."""
    is_renamed: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """The folder was deleted, or another one has its name."""


def look_for_missed(
    connection: sqlite3.Connection, folder: int, uid_validity: int, modseq: int
) -> Missed | Gone:
    """What came after ``modseq``."""
    row = connection.execute(
        "SELECT name, uid_validity, uid_next, modseq, recent_from, vanished_from FROM folder"
        " WHERE id = ?",
        (folder,),
    ).fetchone()
    if row is None or is_aside(row[0]):
        return Gone()
    *numbers, vanished_from = row[1:]
    missed = Missed(row[0], *numbers)
    if missed.modseq == modseq:
        return missed
    for uid, flags, changed, size, received, saved in connection.execute(
        "SELECT uid, flags, modseq, size, received, saved FROM message"
        " WHERE folder = ? AND modseq > ? ORDER BY uid",
        (folder, modseq),
    ):
        of_type(int, changed, size, received, saved)
        missed.states.append(MessageState(uid, flag_set(flags), changed, size, received, saved))
    if vanished_from > modseq:
        rows = connection.execute("SELECT uid FROM message WHERE folder = ?", (folder,))
        missed.left = frozenset(uid for (uid,) in rows)
    else:
        rows = connection.execute(
            "SELECT uid FROM vanished WHERE folder = ? AND modseq > ?", (folder, modseq)
        )
        missed.vanished = sorted(uid for (uid,) in rows)
    return missed
