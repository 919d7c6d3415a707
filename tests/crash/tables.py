"""The published state tables, read from docstrings, and which of their rows a disk is in."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from types import ModuleType

import mailframe.mailbox
import mailframe.mailbox.folders
import mailframe.mailbox.index
import mailframe.queue
import mailframe.runtime.database_file
from mailframe.core.folders import INBOX
from mailframe.mailbox import folder_file, tree
from mailframe.mailbox.index.mark import Mark, last_commit
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName, key_of
from mailframe.mailbox.paths import folder_directory
from mailframe.queue.schema import Lease
from mailframe.testing.disk import SimDisk
from tests.crash.letters import recognize
from tests.crash.rooms import BASE

_PUBLISHED: dict[str, ModuleType] = {
    "S": mailframe.queue,
    "M": mailframe.mailbox,
    "I": mailframe.mailbox.index,
    "F": mailframe.mailbox.folders,
    "R": mailframe.runtime.database_file,
}
_ROW = re.compile(r"^ *([A-Z]\d) {2,3}\S", re.MULTILINE)
_SMALL = re.compile(r"(mailframe-folder|subscriptions|dovecot-keywords|uidvalidity|\.shared)\.tmp")
SPOOL = f"{BASE}/queue/spool.db"
BODIES = f"{BASE}/queue/bodies"


def published() -> set[str]:
    """Numbers of all rows: ``S0``, ``M3`` ..."""
    found = set()
    for letter, module in _PUBLISHED.items():
        rows = _ROW.findall(module.__doc__ or "")
        assert rows, module
        assert all(row[0] == letter for row in rows), rows
        assert rows == [f"{letter}{number}" for number in range(len(rows))], rows
        found |= set(rows)
    return found


def rows_of(disk: SimDisk) -> set[str]:
    """All rows that something on the disk is in. ``?...`` is what no row names. The disk is
    changed: SQLite looks after its logs."""
    found = set(_database_files(disk))
    for path in _files(disk, BASE):
        if _SMALL.fullmatch(path.rpartition("/")[2]):
            found.add("F5")
    rows = _queue_rows(disk)
    found |= set(_queue(disk, rows))
    taken = {key_of(f"{queue_id}:{address}") for queue_id, _, _, lease, address in rows
             if lease == Lease.TAKEN}  # fmt: skip
    for _, inbox in tree.inboxes(BASE, disk):
        found |= set(_folders(disk, inbox))
        for maildir in tree.with_folders(inbox):
            found |= set(_messages(disk, maildir, taken))
        found |= set(_index(disk, inbox))
    return found


def _files(disk: SimDisk, directory: str) -> Iterator[str]:
    for entry in disk.scan(directory):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(disk, entry.path)
        else:
            yield entry.path


def _database_files(disk: SimDisk) -> Iterator[str]:
    names = set(_files(disk, BASE))
    for name in ("queue/spool.db", "directory.db", "spam.db"):
        path = f"{BASE}/{name}"
        if any(each.startswith(f"{path}.new") for each in names):
            yield "R1"
        if path not in names:
            yield "R0"
        else:
            yield "R3" if f"{path}-wal" in names else "R2"


# ---- queue


def _queue_rows(disk: SimDisk) -> list[tuple[str, bool, int, int, str]]:
    """Queue id, whether it has a file, of how many octets, lease, address."""
    if not disk.exists(SPOOL):
        return []
    connection = disk.connect(SPOOL, timeout=1.0)
    try:
        return connection.execute(
            "SELECT m.queue_id, m.in_file, m.size - length(m.prefix), r.lease, r.address"
            " FROM message m JOIN recipient r ON r.queue_id = m.queue_id"
        ).fetchall()
    finally:
        connection.close()


def _queue(disk: SimDisk, rows: list[tuple[str, bool, int, int, str]]) -> Iterator[str]:
    bodies = disk.names(BODIES) if disk.is_directory(BODIES) else []
    known = {row[0] for row in rows}
    if not rows and not bodies:
        yield "S0"
    for name in bodies:
        if name not in known:
            # On disk a complete one that was never committed looks like one that is done.
            yield from (
                ("S1", "S5") if recognize(disk.read(f"{BODIES}/{name}")).is_whole else ("S1",)
            )
    for queue_id, in_file, octets, lease, _ in rows:
        if in_file:
            path = f"{BODIES}/{queue_id}"
            if not disk.exists(path) or disk.status(path).st_size != octets:
                yield "S6"
                continue
        yield "S3" if in_file else "S2"
        if lease == Lease.TAKEN:
            yield "S4"


# ---- messages


def _messages(disk: SimDisk, maildir: Maildir, taken: set[str]) -> Iterator[str]:
    by_base: dict[str, set[str]] = {}
    for where in ("tmp", "new", "cur"):
        directory = maildir.subdirectory(where)
        for name in disk.names(directory) if disk.is_directory(directory) else ():
            if where == "tmp":
                yield "M1"
                continue
            base = name.partition(":")[0]
            by_base.setdefault(base, set()).add(where)
            if not recognize(disk.read(f"{directory}/{name}")).is_whole:
                yield f"?{where}/{name} is not whole"
            yield "M2" if any(f"R{key}." in base for key in taken) else "M3"
    if not by_base:
        yield "M0"
    if any(len(places) > 1 for places in by_base.values()):
        yield "M4"


# ---- folders


def _folders(disk: SimDisk, inbox: Maildir) -> Iterator[str]:
    if not disk.is_directory(inbox.path):
        return
    found = False
    for entry in disk.scan(inbox.path):
        if not entry.name.startswith(".") or not entry.is_dir():
            continue
        found = True
        parts = [disk.is_directory(f"{entry.path}/{name}") for name in ("cur", "new", "tmp")]
        parts.append(disk.exists(f"{entry.path}/{folder_file.FILE}"))
        yield "F1" if not parts[0] else "F3" if all(parts) else "F2"
    if not found:
        yield "F0"
    tmp = inbox.subdirectory("tmp")
    if disk.is_directory(tmp) and any(e.is_dir() for e in disk.scan(tmp)):
        yield "F4"


# ---- index


def _index(disk: SimDisk, inbox: Maildir) -> Iterator[str]:
    home = inbox.path.rpartition("/")[0]
    path = f"{home}/index.db"
    if not disk.exists(path):
        yield "I0"
        return
    connection = disk.connect(path, timeout=1.0)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            yield "I0"  # begun
            return
        yield from _rows_and_files(disk, home, connection)
        mark = Mark(f"{home}/index.mark", disk)
        if mark.read() != last_commit(connection):
            yield "I9"
        mark.close()
    finally:
        connection.close()


def _rows_and_files(disk: SimDisk, home: str, connection: sqlite3.Connection) -> Iterator[str]:
    inodes: dict[tuple[str, int], set[int]] = {}
    for number, name, mailbox_id in connection.execute("SELECT id, name, mailbox_id FROM folder"):
        path = folder_directory(f"{home}/Maildir", name if name[0] != "\x01" else INBOX)
        if not disk.is_directory(f"{path}/cur"):
            continue  # it went by a DELETE or RENAME before its commit
        truth = folder_file.read(disk, path)
        if truth is None or truth.mailbox_id != mailbox_id:
            yield "I7"
        places = _places(disk, path)
        rows = dict(
            connection.execute("SELECT base, place FROM message WHERE folder = ?", (number,))
        )
        pending = {
            base
            for (base,) in connection.execute(
                "SELECT base FROM pending WHERE folder = ?", (number,)
            )
        }
        for base in pending:
            yield "I5" if base in places else "I6"
        for base, (place, inode) in places.items():
            if base not in pending:
                yield "I2" if base not in rows else "I1" if rows[base] == place else "I4"
            inodes.setdefault((base, inode), set()).add(number)
        if rows.keys() - places.keys():
            yield "I3"
    if any(len(folders) > 1 for folders in inodes.values()):
        yield "I8"


def _places(disk: SimDisk, path: str) -> dict[str, tuple[str, int]]:
    found = {}
    for where in ("new", "cur"):
        if disk.is_directory(f"{path}/{where}"):
            for name in disk.names(f"{path}/{where}"):
                base = FileName.parse(name).base
                inode = disk.status(f"{path}/{where}/{name}").st_ino
                found[base] = (f"{where}/{name[len(base) :]}", inode)
    return found
