"""``index.mark``: how far an index was, beside it, so that an older copy is known for one.

Every commit that changes something counts; its number is in the commit (table ``life``) and,
once that is durable, in this file, which is overwritten in place and never synced. A crash or
a power cut leaves a mark that is behind the index, which is well. An index that is behind its
mark, or has another identity, was put there by somebody: uids that it does not know were told
to clients. A mark that is missing or makes no sense says nothing.

Not seen: an account's whole directory that is put back, and a copy over the file of a server
that runs, beside the log (``-wal``) of the younger one.

Everything happens while the account is locked, from before the commit on: the mark of one
process never comes in between the commit and the mark of another. ``look`` needs no lock: it
tells whether others have committed something.

Synchronous; used by one job at a time.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import dataclass

from mailframe.runtime.disk import Disk, DiskCell

_MARK = re.compile(rb"([0-9a-f]{16}) ([0-9]{19})\n")
_OCTETS = 37


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    number: int

    def follows(self, marked: Commit) -> bool:
        return self.id == marked.id and self.number >= marked.number


def last_commit(connection: sqlite3.Connection) -> Commit:
    """Raises sqlite3.Error."""
    row = connection.execute("SELECT id, commits FROM life").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("table life is empty")
    return Commit(*row)


def note_commit(connection: sqlite3.Connection) -> Commit:
    """In the transaction that is to be committed. Raises sqlite3.Error."""
    row = connection.execute(
        "UPDATE life SET commits = commits + 1 RETURNING id, commits"
    ).fetchone()
    return Commit(*row)


def look(disk: Disk, path: str) -> Commit | None:
    """What the mark says just now; None: nothing that can be used."""
    try:
        return _parse(disk.read(path))
    except OSError:
        return None


class Mark:
    """The file of one index. It is opened when needed and kept open until ``close``."""

    def __init__(self, path: str, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._cell: DiskCell | None = None

    def read(self) -> Commit | None:
        """None: there is nothing that can be used."""
        try:
            return _parse(self._open().read(_OCTETS + 1))
        except OSError:
            return None

    def write(self, commit: Commit) -> None:
        # Whoever puts an older index back while no mark can be written is not found out.
        with contextlib.suppress(OSError):
            self._open().write(b"%s %019d\n" % (commit.id.encode(), commit.number))

    def close(self) -> None:
        if self._cell is not None:
            self._cell.close()
            self._cell = None

    def _open(self) -> DiskCell:
        if self._cell is None:
            self._cell = self._disk.cell(self._path)
        return self._cell


def _parse(data: bytes) -> Commit | None:
    matched = _MARK.fullmatch(data)
    return Commit(matched[1].decode(), int(matched[2])) if matched is not None else None
