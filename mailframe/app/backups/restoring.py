"""A whole base out of a set: checked before, placed, checked after, fit to be served.

What the set cannot know is seen to here: clients were told uids after the backup, so every
folder gets a new UIDVALIDITY (``keep_uids`` for a server that moves: it was stopped before
the backup). Mail for elsewhere that waited then may have been sent since: it is sent again,
for nothing may vanish, or put on hold (``hold``).
"""

from __future__ import annotations

import os
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
from mailframe.runtime.soundness import faults_of

OURS = frozenset({"run", "lost+found"})
"""Names in an empty base: of a server that ran here, of a file system that begins here."""

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


def require_sound(disk: Disk, source: str, progress: Progress) -> Header:
    """Raises BadBackup with what is wrong, OSError."""
    header = read_header(disk, source)
    total = Total()
    faults = [
        f"{fault.path}: {fault.what}"
        for fault in check_set(disk, source, total, lambda octets: progress("checking", octets))
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
    """``source`` is a set. Raises BadBackup, NotEmpty, OSError, sqlite3.Error; then the base
    is as it was."""
    placing = Placing(disk, source, base)
    if not force:
        placing.require_empty(OURS)
    header = require_sound(disk, source, progress)
    try:
        placing.bring(is_frozen, lambda octets: progress("restoring", octets))
        accounts = _settle_indexes(disk, placing.directory, None if keep_uids else now)
        relayed = _settle_queue(disk, placing.directory, hold)
        _require_sound_databases(disk, placing.directory)
    except Exception:
        remove_tree(disk, placing.directory)
        raise
    aside = placing.move_aside(now, OURS) if force else ""
    placing.complete()
    return Restored(header, placing.total, aside, accounts, relayed, hold)


def _settle_indexes(disk: Disk, directory: str, now: float | None) -> int:
    homes = {os.path.dirname(f.path) for f in walk(disk, directory, layout.MAIL)
             if f.path.endswith("/Maildir") and f.is_directory}  # fmt: skip
    for home in homes:
        path = os.path.join(directory, home)
        is_settled = renewal.keep(disk, path) if now is None else renewal.renew(disk, path, now)
        if not is_settled and now is None:
            raise BadBackup(f"the index of {home} cannot go on with its uids")
    return len(homes)


def _settle_queue(disk: Disk, directory: str, hold: bool) -> int:
    path = os.path.join(directory, layout.SPOOL.path)
    if not disk.exists(path):
        return 0
    connection = disk.connect(path, timeout=0)
    try:
        relayed = copied.relayed(connection)
        if hold:
            connection.execute("BEGIN IMMEDIATE")
            copied.hold_relayed(connection)
            connection.execute("COMMIT")
    finally:
        connection.close()
    return relayed


def _require_sound_databases(disk: Disk, directory: str) -> None:
    for file in layout.DATABASES:
        path = os.path.join(directory, file.path)
        if disk.exists(path) and (faults := faults_of(disk, path, len(file.migrations))):
            raise BadBackup(f"{file.path}: {'; '.join(faults)}")
