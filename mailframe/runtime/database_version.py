"""The version of a database: a number that is another one once anybody has committed.

It is for answers that are remembered: one found after the version was read holds for as long as
the version is that one. SQLite keeps such a number for each connection (``data_version``) of
what all others commit, in this process or another; to read it takes three microseconds and no
look at the disk, but for the first page of the file after a change, which was just written.
The connection here writes nothing, so that all writers are others.

Numbers of two connections have nothing to do with each other. Whenever there is a new
connection, to another file of that name or after trouble, there is a new number too.
"""

from __future__ import annotations

import contextlib
import sqlite3

from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers
from mailframe.runtime.database_file import DatabaseFile

_Opened = tuple[sqlite3.Connection, int]  # and the generation of the file


class DatabaseVersion:
    """Belongs to the reactor's thread; ``workers`` open the file and close it."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._generation = 0
        self._seen: int | None = None
        self._number = 0
        self._opening: object | None = None
        """What is under way; it has come too late where this is another one."""

    def look(self, workers: IWorkers) -> int | None:
        """The number; None where none can be told now, as before the file is open, or while
        something is wrong with it. Waits for nothing and raises nothing."""
        number = self._number_now()
        if number is None and self._opening is None:
            self._open_anew(workers)
        return number

    def close(self) -> None:
        """It is not the last connection to the file that is closed here: that would wait for
        the disk."""
        self._opening = None
        connection, self._connection = self._connection, None
        if connection is not None:
            _let_go(connection)

    def _number_now(self) -> int | None:
        if self._connection is None:
            return None
        try:
            if self._file.look() != self._generation:
                return None
            (seen,) = self._connection.execute("PRAGMA data_version").fetchone()
        except (sqlite3.Error, OSError):
            return None  # who reads the file next hears of it
        if seen != self._seen:
            self._seen = seen
            self._number += 1
        return self._number

    def _open_anew(self, workers: IWorkers) -> None:
        old, self._connection = self._connection, None
        opening = self._opening = object()
        opened = workers.run(self._open, old)
        opened.addCallbacks(self._take, self._leave, (opening,), errbackArgs=(opening,))

    def _open(self, old: sqlite3.Connection | None) -> _Opened:
        """On a worker's thread."""
        if old is not None:
            _let_go(old)
        # Within, as readers do: a name that is nobody's would be taken for a new file's.
        with self._file.alone():
            generation = self._file.look()
            connection = self._file.connect()
        try:
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA data_version").fetchone()  # reads the first page
        except BaseException:
            connection.close()
            raise
        return connection, generation

    def _take(self, opened: _Opened, opening: object) -> None:
        connection, generation = opened
        if opening is not self._opening:
            _let_go(connection)
            return
        self._connection, self._generation = connection, generation
        self._seen = None
        self._opening = None

    def _leave(self, failure: Failure, opening: object) -> None:
        """Who reads the file hears of what is wrong with it, and the next look tries again."""
        if opening is self._opening:
            self._opening = None
        failure.trap(sqlite3.Error, OSError, TransientFailure)


def _let_go(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # of a file that is damaged or gone
        connection.close()
