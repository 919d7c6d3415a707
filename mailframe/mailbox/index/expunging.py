"""EXPUNGE: files are unlinked, then rows removed and the uids logged as vanished, in one job.

A file that cannot be removed keeps its row. After a crash between the two the next sync
finds the files missing and logs them as vanished.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailframe.mailbox.index.place import (
    Delta,
    FolderPlace,
    next_modseq,
    note_vanished,
    stored_rows,
    uid_next,
)
from mailframe.mailbox.maildir import Entry
from mailframe.mailbox.names import FileName
from mailframe.mailbox.quota import note_in_maildirsize
from mailframe.mailbox.removing import Removal


@dataclass(frozen=True, slots=True)
class Expunged:
    delta: Delta | None = None
    octets: int = 0
    messages: int = 0
    """That were freed; others had removed the rest."""
    names: tuple[str, ...] = ()
    """``MessageInfo.uid`` of those that are gone."""
    failed: dict[str, OSError] = field(default_factory=dict)


def expunge(connection: sqlite3.Connection, place: FolderPlace, uids: Sequence[int]) -> Expunged:
    """Raises OSError; then ``place.doubt`` must follow."""
    rows = list(stored_rows(connection, place.id, uids))
    if not rows:
        return Expunged()
    entries = []
    for row in rows:
        name = FileName.parse(row.base)
        path = place.file(row.base, row.place)
        entries.append(Entry(str(row.uid), path, name, row.received, row.size))
    before = place.look()
    removal = Removal(place.maildir, entries)
    place.note_own_change(before)
    note_in_maildirsize(
        place.disk, os.path.join(place.home, "Maildir"), -removal.octets, -removal.messages
    )
    gone = [row.uid for row in rows if str(row.uid) not in removal.failed]
    names = tuple(e.name.uid for e in entries if e.uid not in removal.failed)
    delta = None
    if gone:
        modseq = next_modseq(connection, place.id)
        note_vanished(connection, place.id, modseq, gone)
        delta = Delta(uid_next(connection, place.id), modseq, vanished=gone)
    return Expunged(delta, removal.octets, removal.messages, names, removal.failed)
