"""Renames that a power cut left half done: the file has both of its names.

A file system may make the new name of a file durable before it takes the old one away (soft
updates do), when the two are in different directories. Then a message lies in new/ and in
cur/, or after a MOVE that nobody was told of in two folders. Two names of one file are never
two messages here, for copies get a base name of their own: the one in new/ goes, and of an
unfinished MOVE the one in the target. Between two accounts nobody looks.

Synchronous; part of a sync.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection

from mailframe.mailbox.index.place import FolderPlace, as_name, relative
from mailframe.mailbox.paths import folder_directory


def remove_halves(
    connection: sqlite3.Connection, place: FolderPlace, fresh: Collection[str], names: set[str]
) -> None:
    """``fresh`` are those of ``names`` that have no row. What goes is taken out of ``names``;
    it is durably gone before anything else is made of it. Raises OSError."""
    gone = {*_in_new(place, names), *_of_moves(connection, place, fresh)}
    for name in gone:
        place.disk.unlink(f"{place.path}/{name}")
    names -= gone
    for directory in {name[:3] for name in gone}:
        place.disk.sync_directory(place.maildir.subdirectory(directory))


def _in_new(place: FolderPlace, names: Collection[str]) -> list[str]:
    # Which of the two has a row does not matter: the flags are at the one in cur/.
    in_new = {name[4:].partition(":")[0] for name in names if name[:3] == "new"}
    if not in_new:
        return []
    in_cur = {
        base: name
        for name in names
        if name[:3] == "cur" and (base := name[4:].partition(":")[0]) in in_new
    }
    if not in_cur:
        return []
    return [
        name
        for name in names
        if name[:3] == "new"
        and (other := in_cur.get(name[4:].partition(":")[0]))
        and _inode(place, name) == _inode(place, other) != 0
    ]


def _of_moves(
    connection: sqlite3.Connection, place: FolderPlace, fresh: Collection[str]
) -> list[str]:
    # Without messages elsewhere nothing was moved; an account that moves in is not looked at.
    others = "SELECT 1 FROM message WHERE folder != ? LIMIT 1"
    if connection.execute(others, (place.id,)).fetchone() is None:
        return []
    linked = {
        name[4:].partition(":")[0]: name
        for name in fresh
        if name[:3] == "cur" and _links(place, name) > 1
    }
    if not linked:
        return []
    rows = connection.execute(
        "SELECT folder.name, message.base, message.place FROM message"
        " JOIN folder ON folder.id = message.folder WHERE message.folder != ?",
        (place.id,),
    )
    return [
        linked[base]
        for folder, stored, where in rows
        if (base := as_name(stored)) in linked
        and _has(place, folder, relative(base, as_name(where)), _inode(place, linked[base]))
    ]


def _has(place: FolderPlace, folder: str, name: str, inode: int) -> bool:
    """Whether that folder has the very file, too."""
    try:
        directory = folder_directory(os.path.join(place.home, "Maildir"), folder)
        return place.disk.status(f"{directory}/{name}").st_ino == inode
    except (OSError, ValueError):
        return False


def _links(place: FolderPlace, name: str) -> int:
    status = _status(place, name)
    return status.st_nlink if status is not None else 0


def _inode(place: FolderPlace, name: str) -> int:
    status = _status(place, name)
    return status.st_ino if status is not None else 0


def _status(place: FolderPlace, name: str) -> os.stat_result | None:
    try:
        return place.disk.status(f"{place.path}/{name}")
    except OSError:
        return None  # vanished meanwhile, or not ours to see
