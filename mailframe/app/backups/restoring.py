"""A whole base out of a set: checked before, placed, checked after, fit to be served.

What the set cannot know is seen to here: clients were told uids after the backup, so every
folder gets a new UIDVALIDITY (``keep_uids`` for a server that moves: it was stopped before
the backup). Mail for elsewhere that waited then may have been sent since: it is sent again,
for nothing may vanish, or put on hold (``hold``).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.app.backups import layout
from mailframe.app.backups.layout import is_frozen
from mailframe.backup.checking import check_set
from mailframe.backup.files import remove_tree, walk
from mailframe.backup.manifest import BadBackup, Header, Total, read_header
from mailframe.backup.placing import Placing
from mailframe.mailbox.index import renewal
from mailframe.queue import copied
from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import faults_of, is_newer

OURS = frozenset({"run", "lost+found"})
"""Names in an empty base: of a server that ran here, of a file system that begins here."""

_NO_FILE = {errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY}
"""A directory lies where a small file should."""
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    header: Header
    total: Total
    aside: str
    """Where what was there before lies now; empty: there was nothing."""
    accounts: int
    relayed: int
    """Recipients elsewhere that wait in the queue."""
    held: bool
    """They are on hold."""
    damaged: list[str]
    """Databases that the backup has only as they were, and what is wrong with them."""


def require_sound(disk: Disk, source: str, progress: Progress) -> Header:
    """Raises BadBackup with what is wrong, OSError. Databases that were damaged already when
    the backup was made are no reason to do without all else: the server mends them at its
    start, or has no worse ones."""
    header = read_header(disk, source)
    total = Total()
    faults = [
        f"{fault.path}: {fault.what}"
        for fault in check_set(disk, source, total, lambda octets: progress("checking", octets))
        if not fault.is_of_old
    ]
    if faults:
        more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
        raise BadBackup(f"{source} is damaged: {'; '.join(faults[:5])}{more}")
    return header


def restore_base(
    source: str,
    base: str,
    *,
    disk: Disk,
    now: float,
    force: bool = False,
    keep_uids: bool = False,
    hold: bool = False,
    progress: Progress = lambda what, octets: None,
) -> Restored:
    """``source`` is a set. Raises BadBackup, NotEmpty, BackupBusy, OSError, sqlite3.Error; then
    the base is as it was."""
    placing = Placing(disk, source, base)
    if not force:
        placing.require_empty(OURS)
    with placing.alone():  # from here on no server starts
        try:
            if not force:
                placing.require_empty(OURS)  # it may have, or another restore, just now
            header = require_sound(disk, source, progress)
            placing.bring(is_frozen, lambda octets: progress("restoring", octets))
            accounts = _settle_indexes(disk, placing.directory, None if keep_uids else now)
            relayed = _settle_queue(disk, placing.directory, hold)
            damaged = _damaged_databases(disk, placing.directory)
        except BaseException:  # also when somebody thinks better of it: nothing was changed
            remove_tree(disk, placing.directory)
            raise
        aside = placing.move_aside(now, OURS) if force else ""
        placing.complete()
    return Restored(header, placing.total, aside, accounts, relayed, hold, damaged)


def _settle_indexes(disk: Disk, directory: str, now: float | None) -> int:
    homes = {os.path.dirname(f.path) for f in walk(disk, directory, layout.MAIL)
             if f.path.endswith("/Maildir") and f.is_directory}  # fmt: skip
    for home in homes:
        path = os.path.join(directory, home)
        try:
            is_settled = renewal.keep(disk, path) if now is None else renewal.renew(disk, path, now)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            is_settled = False  # nothing but a damaged mailbox: fsck mends it
        if not is_settled and now is None:
            raise BadBackup(f"the index of {home} cannot go on with its uids")
    return len(homes)


def _settle_queue(disk: Disk, directory: str, hold: bool) -> int:
    path = os.path.join(directory, layout.SPOOL.path)
    if not disk.exists(path):
        return 0
    try:
        connection = disk.connect(path, timeout=0)
        try:
            relayed = copied.relayed(connection)
            if hold:
                connection.execute("BEGIN IMMEDIATE")
                copied.hold_relayed(connection)
                connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        if hold:
            raise BadBackup(f"{layout.SPOOL.path}: nothing can be held in it: {error}") from error
        return 0
    return relayed


def _damaged_databases(disk: Disk, directory: str) -> list[str]:
    """Raises BadBackup where one is of a later mailframe."""
    damaged = []
    for file in layout.DATABASES:
        path = os.path.join(directory, file.path)
        if not disk.exists(path) or not (faults := faults_of(disk, path, len(file.migrations))):
            continue
        if is_newer(disk, path, len(file.migrations)):
            raise BadBackup(f"{file.path}: {'; '.join(faults)}")
        damaged.append(f"{file.path}: {'; '.join(faults)}")
    return damaged
