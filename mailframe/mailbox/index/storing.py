"""STORE, and taking mail out of new/: renames in the Maildir and rows, in one job.

A flag is durable by the name of its file; each directory is synced once, before the commit.
What a crash leaves between the two looks as if another program had set the flags, which the
next sync takes in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mailframe.core.folders import (
    FlagChange,
    FlagMode,
    Flags,
    MessageState,
    Recent,
    StoreOutcome,
)
from mailframe.mailbox.index.flags import flag_set, flag_text
from mailframe.mailbox.index.place import (
    Delta,
    FolderPlace,
    Stored,
    as_stored,
    next_modseq,
    stored_rows,
    uid_next,
)
from mailframe.mailbox.index.syncing import scan


def store(
    connection: sqlite3.Connection,
    place: FolderPlace,
    uids: Sequence[int],
    change: FlagChange,
    unchanged_since: int | None,
) -> tuple[StoreOutcome, Delta | None]:
    """Raises OSError; then ``place.doubt`` must follow."""
    flags = place.keywords.canonical(change.flags)
    place.keywords.refresh()
    if change.mode is not FlagMode.REMOVE:
        place.keywords.claim(flags)
    change = FlagChange(change.mode, flags)
    rows = list(stored_rows(connection, place.id, uids))
    gone = set(uids).difference([row.uid for row in rows])
    refused: list[int] = []
    if unchanged_since is not None:
        refused = [row.uid for row in rows if row.modseq > unchanged_since]
        rows = [row for row in rows if row.modseq <= unchanged_since]
    becomes = {text: _changed(text, change) for text in dict.fromkeys(row.flags for row in rows)}
    pairs = [(row, text) for row in rows if (text := becomes[row.flags]) != row.flags]
    renaming = _Renaming(place)
    before = place.look()
    done = [(row, text, renaming.give(row, text)) for row, text in pairs]
    renaming.finish(before)
    gone.update(row.uid for row, _, where in done if not where)
    done = [item for item in done if item[2]]
    delta = _write(connection, place, done) if done else None
    changed = [row.uid for row, _, _ in done]
    return StoreOutcome(changed, refused, sorted(gone)), delta


def claim_recent(connection: sqlite3.Connection, place: FolderPlace) -> Recent:
    """A session takes the folder: what is nobody's Recent yet is its. Raises OSError."""
    leave_new(connection, place)
    recent = Recent(
        *connection.execute(
            "SELECT recent_from, uid_next FROM folder WHERE id = ?", (place.id,)
        ).fetchone()
    )
    if recent.first != recent.end:
        connection.execute("UPDATE folder SET recent_from = ? WHERE id = ?", (recent.end, place.id))
    return recent


def leave_new(connection: sqlite3.Connection, place: FolderPlace) -> None:
    """What lies in new/ goes to cur/. Raises OSError."""
    if not place.has_new:
        return
    uids = [
        uid
        for (uid,) in connection.execute(
            "SELECT uid FROM message WHERE folder = ? AND place LIKE 'new/%'", (place.id,)
        )
    ]
    renaming = _Renaming(place)
    before = place.look()
    rows = []
    for row in stored_rows(connection, place.id, uids):
        if where := renaming.give(row, row.flags):
            rows.append((as_stored(where), place.id, row.uid))
    renaming.finish(before)
    if rows:
        connection.executemany("UPDATE message SET place = ? WHERE folder = ? AND uid = ?", rows)
        connection.execute(
            "UPDATE folder SET new_stamp = 0, cur_stamp = 0 WHERE id = ?", (place.id,)
        )
    place.has_new = False


class _Renaming:
    def __init__(self, place: FolderPlace) -> None:
        self._place = place
        self._rename = place.disk.rename
        self._prefix = place.path + "/"
        self._infos: dict[tuple[str, str], str] = {}
        self._elsewhere: dict[str, str] | None = None
        self._renamed = False
        self._left_new = False

    def give(self, row: Stored, text: str) -> str:
        """Make the file's name say ``text``; its place then, empty when it is gone."""
        info = self._info(row.info, text)
        where = f"cur/{info}"
        if where == row.place:
            return where
        target = f"{self._prefix}cur/{row.base}{info}"
        try:
            self._rename(self._prefix + row.relative, target)
        except FileNotFoundError:
            return self._rename_moved(row, text)
        self._renamed = True
        self._left_new |= row.directory == "new"
        return where

    def finish(self, before: tuple[int, int]) -> None:
        """Make the new names durable, and that those in new/ are gone: one that came back would
        bring the message back after it was expunged."""
        if not self._renamed:
            return
        for name in ("cur", "new") if self._left_new else ("cur",):
            self._place.disk.sync_directory(self._place.maildir.subdirectory(name))
        self._place.note_own_change(before)

    def _rename_moved(self, row: Stored, text: str) -> str:
        """Another program gave it other flags: those of ours win, letters unknown stay."""
        if self._elsewhere is None:
            self._place.is_doubtful = True
            names = scan(self._place).names
            self._elsewhere = {name[4:].partition(":")[0]: name for name in names}
        name = self._elsewhere.get(row.base)
        if name is None:
            return ""
        info = self._info(name[4 + len(row.base) :], text)
        try:
            self._rename(self._prefix + name, f"{self._prefix}cur/{row.base}{info}")
        except FileNotFoundError:
            return ""
        self._renamed = True
        self._left_new |= name.startswith("new/")
        return f"cur/{info}"

    def _info(self, old: str, text: str) -> str:
        found = self._infos.get((old, text))
        if found is None:
            found = self._place.keywords.info(flag_set(text), old)
            self._infos[old, text] = found
        return found


def _write(
    connection: sqlite3.Connection, place: FolderPlace, done: list[tuple[Stored, str, str]]
) -> Delta:
    modseq = next_modseq(connection, place.id)
    connection.executemany(
        "UPDATE message SET flags = ?, place = ?, modseq = ? WHERE folder = ? AND uid = ?",
        [(text, as_stored(where), modseq, place.id, row.uid) for row, text, where in done],
    )
    states = [
        MessageState(row.uid, flag_set(text), modseq, row.size, row.received, row.saved)
        for row, text, _ in done
    ]
    return Delta(uid_next(connection, place.id), modseq, changed=states)


def _changed(text: str, change: FlagChange) -> str:
    old = flag_set(text)
    new: Flags
    if change.mode is FlagMode.ADD:
        new = old | change.flags
    elif change.mode is FlagMode.REMOVE:
        new = old - change.flags
    else:
        new = change.flags
    return flag_text(new)
