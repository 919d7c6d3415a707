"""COPY and MOVE: within one file system no octet is copied.

A copy is a hard link under a new name: Maildir files never change, so they can be shared.
A move is a rename into the other folder's cur/, under the same base name: the message is in
one of the two at any time. Rows follow in the same commit, within one account; between two
accounts the target's come first, and until the source's follow its files are just missing.

Where the file system gives no hard links, octets are copied. Synchronous; jobs of an index.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailframe.core.folders import MessageState
from mailframe.mailbox.index.flags import flag_set
from mailframe.mailbox.index.place import (
    INSERT,
    Delta,
    FolderPlace,
    Stored,
    as_name,
    as_stored,
    next_modseq,
    note_vanished,
    take_uids,
    uid_next,
)
from mailframe.mailbox.names import with_sizes
from mailframe.mailbox.quota import note_in_maildirsize
from mailframe.runtime.disk import Disk, new_file

_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP}
_CHUNK = 1 << 20
_FEW = 200

NewName = Callable[[int], str]
"""The unique part of a new file's name, from the second in which the message was received."""


@dataclass(slots=True)
class Transferred:
    sources: list[int]
    targets: list[int]
    octets: int
    delta: Delta | None
    """Of the target."""


def copy(
    connection: sqlite3.Connection,
    rows: Sequence[Stored],
    source: FolderPlace,
    target: FolderPlace,
    names: Sequence[str],
    now: float,
) -> Transferred:
    """Link ``rows`` of the source into the target as ``names`` (of ``names_for``). All or
    none. Raises OSError; then ``target.doubt`` must follow."""
    return _transfer(connection, rows, source, target, names, now, _link)


def move(
    connection: sqlite3.Connection,
    rows: Sequence[Stored],
    source: FolderPlace,
    target: FolderPlace,
    new_name: NewName,
    now: float,
) -> Transferred:
    """Rename; the rows in the source are left to ``moved_away``. Raises OSError; then
    ``doubt`` of both must follow; what was moved before is moved back."""
    taken = _taken(connection, target, rows)
    names = [
        names_for([row], new_name)[0] if row.base in taken or source is target else row.base
        for row in rows
    ]
    return _transfer(connection, rows, source, target, names, now, _rename)


def moved_away(
    connection: sqlite3.Connection, source: FolderPlace, uids: Sequence[int]
) -> Delta | None:
    """The rows of what ``move`` has taken out of the source, where they are still there."""
    there = [
        uid
        for uid in uids
        if connection.execute(
            "SELECT 1 FROM message WHERE folder = ? AND uid = ?", (source.id, uid)
        ).fetchone()
    ]
    if not there:
        return None
    modseq = next_modseq(connection, source.id)
    note_vanished(connection, source.id, modseq, there)
    return Delta(uid_next(connection, source.id), modseq, vanished=there)


def names_for(rows: Sequence[Stored], new_name: NewName) -> list[str]:
    """New base names, which keep the times and sizes."""
    return [with_sizes(new_name(row.received), row.octets, row.size) for row in rows]


def begin_all_or_none(
    connection: sqlite3.Connection, place: FolderPlace, bases: Sequence[str]
) -> None:
    """Committed before files get these names: a crash removes them."""
    connection.executemany(
        "INSERT OR IGNORE INTO pending (folder, base) VALUES (?, ?)",
        [(place.id, as_stored(base)) for base in bases],
    )


def end_all_or_none(
    connection: sqlite3.Connection, place: FolderPlace, bases: Sequence[str]
) -> None:
    connection.executemany(
        "DELETE FROM pending WHERE folder = ? AND base = ?",
        [(place.id, as_stored(base)) for base in bases],
    )


_Step = Callable[[Disk, str, str], None]


def _transfer(
    connection: sqlite3.Connection,
    rows: Sequence[Stored],
    source: FolderPlace,
    target: FolderPlace,
    names: Sequence[str],
    now: float,
    step: _Step,
) -> Transferred:
    for text in dict.fromkeys(row.flags for row in rows):
        target.keywords.canonical(flag_set(text))
        target.keywords.claim(flag_set(text))
    before, source_before = target.look(), source.look()
    done: list[tuple[Stored, str, str, str]] = []
    finder = _Finder(source)
    cur = target.maildir.subdirectory("cur")
    try:
        for row, base in zip(rows, names, strict=True):
            info = target.keywords.info(flag_set(row.flags), row.info)
            path = f"{cur}/{base}{info}"
            if origin := finder.apply(row, path, step, target.disk):
                done.append((row, base, info, origin))
        if done:
            target.disk.sync_directory(cur)
    except BaseException:
        for _, base, info, origin in done:
            _undo(target.disk, f"{cur}/{base}{info}", origin, step)
        raise
    end_all_or_none(connection, target, names)
    if not done:
        return Transferred([], [], 0, None)
    target.note_own_change(before)
    if step is _rename and source is not target:
        # In new/ the name that a message had before may not be durably gone yet.
        left = [os.path.dirname(origin) for _, _, _, origin in done]
        for name in dict.fromkeys([*left, source.maildir.subdirectory("new")]):
            source.disk.sync_directory(name)
        source.note_own_change(source_before)
    return _insert(connection, source, target, done, now)


def _insert(
    connection: sqlite3.Connection,
    source: FolderPlace,
    target: FolderPlace,
    done: Sequence[tuple[Stored, str, str, str]],
    now: float,
) -> Transferred:
    shares = source.account == target.account
    first = take_uids(connection, target.id, len(done))
    modseq = next_modseq(connection, target.id)
    values, states = [], []
    saved = int(now)
    for uid, (row, base, info, _) in enumerate(done, first):
        values.append((target.id, uid, as_stored(base), as_stored(f"cur/{info}"), row.flags,
                       modseq, row.size, row.octets, row.received, saved,
                       row.content if shares else None))  # fmt: skip
        states.append(MessageState(uid, flag_set(row.flags), modseq, row.size, row.received, saved))
    connection.executemany(INSERT, values)
    octets = sum(row.octets for row, _, _, _ in done)
    return Transferred(
        [row.uid for row, _, _, _ in done],
        list(range(first, first + len(done))),
        octets,
        Delta(first + len(done), modseq, arrived=states),
    )


class _Finder:
    """Applies a step to a message's file, wherever other programs put it meanwhile."""

    def __init__(self, source: FolderPlace) -> None:
        self._source = source
        self._elsewhere: dict[str, str] | None = None

    def apply(self, row: Stored, path: str, step: _Step, disk: Disk) -> str:
        """Where it was; empty when it is gone."""
        origin = self._source.file(row.base, row.place)
        try:
            step(disk, origin, path)
            return origin
        except FileNotFoundError:
            if self._elsewhere is None:
                self._source.is_doubtful = True
                files = self._source.maildir.files()
                self._elsewhere = {name.base: found for found, name in files}
        origin = self._elsewhere.get(row.base, "")
        if not origin:
            return ""
        try:
            step(disk, origin, path)
        except FileNotFoundError:
            return ""
        return origin


def _link(disk: Disk, origin: str, path: str) -> None:
    try:
        disk.link(origin, path)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy_octets(disk, origin, path)


def _rename(disk: Disk, origin: str, path: str) -> None:
    if disk.exists(path):  # a rename would replace it silently
        raise FileExistsError(errno.EEXIST, "is there already", path)
    try:
        disk.rename(origin, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_octets(disk, origin, path)
        disk.sync_directory(os.path.dirname(path))
        disk.unlink(origin)


def _copy_octets(disk: Disk, origin: str, path: str) -> None:
    """By way of the target's tmp; INTERNALDATE is the file's time."""
    cur, name = os.path.split(path)
    temporary = os.path.join(os.path.dirname(cur), "tmp", name.partition(":")[0])
    with disk.open(origin) as content, new_file(disk, temporary) as file:
        while chunk := content.read(_CHUNK):
            file.write(chunk)
        file.set_modified(disk.facts(content).st_mtime)
        file.sync()
    disk.rename(temporary, path)


def _undo(disk: Disk, path: str, origin: str, step: _Step) -> None:
    with contextlib.suppress(OSError):  # what stays is found by the next sync
        if step is _rename:
            disk.rename(path, origin)
        else:
            disk.unlink(path)


def _taken(connection: sqlite3.Connection, target: FolderPlace, rows: Sequence[Stored]) -> set[str]:
    """Base names that a copy by another program has in the target already."""
    query = "SELECT base FROM message WHERE folder = ?"
    values: tuple[object, ...] = (target.id,)
    if len(rows) <= _FEW:
        query += f" AND base IN ({','.join('?' * len(rows))})"
        values += tuple(as_stored(row.base) for row in rows)
    return {as_name(base) for (base,) in connection.execute(query, values)}


def note_sizes(place: FolderPlace, octets: int, messages: int) -> None:
    """In the account's maildirsize, where it has one."""
    note_in_maildirsize(place.disk, os.path.join(place.home, "Maildir"), octets, messages)
