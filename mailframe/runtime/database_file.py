"""The file of a database: made, migrated, and replaced where it is damaged.

A file that turns out damaged, at the start or later, is set aside and replaced, as
``IfDamaged`` says; a line in the log tells what was kept. It is never deleted. Where no server
owns the file it is left alone, and the error is the caller's.

Several processes may share it. Then ``alone`` is a gate: whoever writes passes through it one
by one, first come, first served, instead of asking SQLite again and again after ever longer
pauses. Making, mending and replacing are done behind the gate too, so that nobody writes to a
file that was just set aside: ``generation`` tells that the name is another file's now.

What may be on disk, NAME being the file's, and what the next ``open`` does about it:

===  =========================  =========================  ====================================
no.  files                      what they hold             at the next open
===  =========================  =========================  ====================================
R0   none                       nothing                    it is made
R1   NAME.newN, with its log    tables, in part or whole;  made anew under another number; swept
                                nobody has seen it         by the server once NAME is there
R2   NAME alone                 every commit               opened
R3   NAME and NAME-wal          every commit; of what is   the log is read up to its last whole
                                in the log behind the      commit, the rest is as though it had
                                last one, some             never been
===  =========================  =========================  ====================================

The instant of commitment is the sync of the log in COMMIT; of a new file, the sync of the
directory after NAME was linked to it. What is not ``durable`` may lose its latest commits,
from one of them on. ``NAME.gate`` holds nothing.

A file of an older schema is copied before it is migrated (``copies``), to ``PATH.vN.bak``; the
copy of the version before that goes. Each step of a migration is one transaction.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence

from twisted.logger import Logger

from mailframe.runtime import salvage
from mailframe.runtime.copies import keep_before_migration
from mailframe.runtime.disk import Disk, DiskGate
from mailframe.runtime.salvage import DamagedFile, NothingReadable, is_damage
from mailframe.runtime.soundness import integrity_faults

_BUSY_SECONDS = 10.0


class IfDamaged(enum.Enum):
    """What becomes of a file that is damaged, once it is set aside."""

    BEGIN_ANEW = enum.auto()
    """It only remembers: an empty one takes its place."""
    MEND = enum.auto()
    """What can be read of it goes on; an empty one where that is nothing."""
    MEND_OR_REFUSE = enum.auto()
    """What can be read of it goes on; where that is nothing, the server does not start."""


class DatabaseFile:
    """``migrations[n]`` is the SQL script that brings version n to n + 1. Every method blocks."""

    log = Logger()

    def __init__(
        self,
        path: str,
        migrations: Sequence[str],
        disk: Disk,
        *,
        durable: bool,
        if_damaged: IfDamaged,
        shared: bool,
        owned: bool,
        seconds: Callable[[], float],
    ) -> None:
        """``shared``: with other processes that know of the gate; who does not own the file goes
        through one that he finds. ``owned``: by a server, which may replace it and sweep.
        ``seconds`` since the epoch, for names of damaged files."""
        self.path = path
        self.generation = 0
        """Of the file: another one has taken its place when this has changed."""
        self._migrations = migrations
        self._disk = disk
        self._durable = durable
        self._if_damaged = if_damaged
        self._shared = shared
        self._owned = owned
        self._seconds = seconds
        self._gate: DiskGate | None = None
        self._inode = 0

    def open(self) -> sqlite3.Connection:
        """Make it, migrate it, replace it: whatever it takes. Raises sqlite3.Error."""
        gate = self.path + ".gate"
        if self._shared or (not self._owned and self._disk.exists(gate)):
            self._gate = self._disk.gate(gate)
        try:
            with self.alone():
                connection = self._open_or_replace()
                self.look()
                return connection
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.close()

    def alone(self) -> contextlib.AbstractContextManager[object]:
        """Within, no other process writes to it or puts another in its place."""
        return contextlib.nullcontext() if self._gate is None else self._gate

    def look(self) -> int:
        """The ``generation`` of what bears the name now."""
        if self._gate is not None:
            with contextlib.suppress(FileNotFoundError):  # within somebody's set_aside
                inode = self._disk.status(self.path).st_ino
                if inode != self._inode:
                    self._inode = inode
                    self.generation += 1
        return self.generation

    def connect(self) -> sqlite3.Connection:
        connection = self._disk.connect(self.path, timeout=_BUSY_SECONDS)
        connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def look_closely(self) -> None:
        """Is it the file, or was it something else? Reads all of it, and replaces it if need be.
        Nobody of this process may be writing."""
        with self.alone():
            if (damage := self._damage()) is not None:
                self._replace(damage)
                self._open_file().close()

    def _damage(self) -> sqlite3.Error | None:
        try:
            connection = self.connect()
            try:
                found = integrity_faults(connection)
            finally:
                connection.close()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return error
        return DamagedFile(found[0].replace("\n", " ")) if found else None

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            return self._open_file()
        except sqlite3.Error as error:
            if not (self._owned and is_damage(error)):
                raise
            self._replace(error)
        return self._open_file()

    def _open_file(self) -> sqlite3.Connection:
        salvage.finish(self._disk, self.path, self._stamp())
        if not self._disk.exists(self.path):
            self._create()
        elif self._owned:
            self._sweep()
        if not self._disk.status(self.path).st_size:
            raise DamagedFile("it is empty, which it never was")
        connection = self.connect()
        try:
            if not _version(connection):
                raise DamagedFile("it has no tables, which it always had")
            if _version(connection) < len(self._migrations):
                keep_before_migration(self._disk, self.path, _version(connection))
            _migrate(connection, self._migrations)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """It gets its name when it is complete: an empty file of that name is a damaged one.
        Another process may be doing the same."""
        made = self._claim()
        try:
            connection = self._disk.connect(made, timeout=_BUSY_SECONDS)
            try:
                _migrate(connection, self._migrations)
            finally:
                connection.close()
            # Somebody was faster, and may have swept ours away.
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                self._disk.link(made, self.path)
        finally:
            salvage.remove(self._disk, made)
        self._disk.sync_directory(os.path.dirname(self.path))

    def _claim(self) -> str:
        """A name that is nobody else's."""
        return next(name for name in self._new_names() if self._disk.make_file(name))

    def _sweep(self) -> None:
        """Files that never got their name, because whoever made them died."""
        for name in itertools.takewhile(self._disk.exists, self._new_names()):
            salvage.remove(self._disk, name)

    def _new_names(self) -> Iterator[str]:
        return (f"{self.path}.new{number}" for number in itertools.count(1))

    def _replace(self, why: sqlite3.Error) -> None:
        """On the writer's thread, or before there is one."""
        self.log.critical("{path} is damaged: {why}", path=self.path, why=str(why))
        stamp = self._stamp()
        if self._if_damaged is not IfDamaged.BEGIN_ANEW:
            try:
                done = salvage.mend(self._disk, self.path, self._migrations, stamp)
            except NothingReadable:
                if self._if_damaged is IfDamaged.MEND_OR_REFUSE:
                    raise NothingReadable(
                        f"{why}; nothing can be read of it. Put a backup in its place, or move "
                        "it away to go on without what it held"
                    ) from why
            else:
                self.generation += 1
                told = "{path} is mended ({done}); the damaged file is {aside}"
                self.log.critical(told, path=self.path, done=str(done), aside=done.aside)
                return
        aside = salvage.set_aside(self._disk, self.path, stamp)
        self.generation += 1
        told = "{path} is begun anew, what it held is forgotten; the damaged file is {aside}"
        self.log.critical(told, path=self.path, aside=aside)

    def _stamp(self) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._seconds()))


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    while (version := _version(connection)) < len(migrations):
        script = f"BEGIN IMMEDIATE;{migrations[version]};PRAGMA user_version={version + 1};COMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if _version(connection) == version:
                raise
            # Another process made the same step while this one waited for the file.
    if version > len(migrations):
        raise sqlite3.DatabaseError(
            f"the file was written by a newer mailframe (schema {version}, "
            f"this one knows {len(migrations)})"
        )


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
