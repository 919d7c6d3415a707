"""An index that comes back from a backup: its uids must not be taken for what they were.

Clients were told uids after the copy was made, which the copy would give to other messages.
So every folder gets a UIDVALIDITY that is greater than all before (RFC 9051 section 2.3.1.1):
clients forget what they have and read again. What only the index knows stays: keywords that
found no letter, SAVEDATE, what was read of messages. Synchronous; nobody else may have the
account open.
"""

from __future__ import annotations

import os
import sqlite3

from mailframe.mailbox import folder_file
from mailframe.mailbox.index.mark import Mark, last_commit, note_commit
from mailframe.mailbox.index.schema import MIGRATIONS
from mailframe.mailbox.paths import account_lock
from mailframe.runtime.disk import Disk
from mailframe.runtime.exclusion import exclusive

_SECONDS = 10.0


def renew(disk: Disk, home: str, now: float) -> bool:
    """Give every folder of ``HOME/index.db`` a new UIDVALIDITY. False: the file is of another
    version or damaged; the next server begins it anew, which does the same. Raises OSError."""
    return _settle(disk, home, now)


def keep(disk: Disk, home: str) -> bool:
    """Go on with the uids as they are: only where nobody was told of any since the copy was
    made. As ``renew``."""
    return _settle(disk, home, None)


def _settle(disk: Disk, home: str, now: float | None) -> bool:
    path = os.path.join(home, "index.db")
    if not disk.exists(path):
        return True
    with exclusive(disk, account_lock(home)):
        return _settle_alone(disk, home, path, now)


def _settle_alone(disk: Disk, home: str, path: str, now: float | None) -> bool:
    try:
        connection = disk.connect(path, timeout=_SECONDS)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] != len(MIGRATIONS):
                return False
            connection.execute("BEGIN IMMEDIATE")
            if now is not None:
                _renew_folders(connection, disk, home, now)
                note_commit(connection)
            commit = last_commit(connection)
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    mark = Mark(os.path.join(home, "index.mark"), disk)
    try:
        mark.write(commit)
    finally:
        mark.close()
    return True


def _renew_folders(connection: sqlite3.Connection, disk: Disk, home: str, now: float) -> None:
    rows = connection.execute("SELECT id, name, uid_validity, mailbox_id FROM folder").fetchall()
    greatest = max((row[2] for row in rows), default=0)
    if greatest > folder_file.highest_uid_validity(disk, home):
        folder_file.note_uid_validity(disk, home, greatest)
    for number, name, _, mailbox_id in rows:
        validity = folder_file.new_uid_validity(disk, home, now)
        # The folder's own file follows at its next opening (``opening.confirm``).
        connection.execute("UPDATE folder SET uid_validity = ? WHERE id = ?", (validity, number))
        connection.execute(
            "INSERT INTO past (name, uid_validity, mailbox_id) VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET uid_validity = excluded.uid_validity, mailbox_id = excluded.mailbox_id",
            (name, validity, mailbox_id),
        )
