"""One SQLite file: a single writer thread with group commit, and readers beside it.

The writer takes whatever jobs arrived during the last commit, runs each in a savepoint of
one transaction, commits once, and fires all their Deferreds in one ``callFromThread``. There
is no timer: the batch is what arrived while the disk was busy. A Deferred that fires means
committed (``synchronous=FULL``: survives a power cut); one that fails means rolled back.

Without a reactor everything happens at once on the calling thread: for the command line,
which works on the same files while a server runs, and for simulation.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import OVERLOADED, Workers

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

_BUSY_SECONDS = 10.0
_MAX_BATCH = 512  # bounds the transaction, hence the write-ahead log and the latency
_READERS = 2


class Database:
    """``migrations[n]`` is the SQL script that brings version n to n + 1."""

    def __init__(
        self,
        path: str,
        migrations: Sequence[str],
        reactor: IReactorFromThreads | None,
        *,
        durable: bool = True,
        backlog: int = 20_000,
        disk: Disk | None = None,
    ) -> None:
        """``durable`` False syncs only at checkpoints: fit for what may be lost, as logs."""
        self.path = path
        self._migrations = migrations
        self._reactor = reactor
        self._durable = durable
        self._backlog = backlog
        self._disk = disk if disk is not None else Disk()
        self._wakeup = threading.Condition()
        self._waiting: deque[tuple[Job[Any], Deferred[Any]]] = deque()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._inline: sqlite3.Connection | None = None
        self._local = threading.local()
        self._readers: Workers | None = None

    def open(self) -> None:
        """Create or migrate the file, start the threads. Blocks; call it before serving.

        A new file, and what SQLite puts beside it, is for the server's own user only,
        whatever the umask and the directory let others do."""
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            raise type(error)(f"{self.path}: {error}") from error
        try:
            _migrate(connection, self._migrations)
        except sqlite3.Error as error:
            connection.close()
            raise type(error)(f"{self.path}: {error}") from error
        except BaseException:
            connection.close()
            raise
        if self._reactor is None:
            self._inline = connection
            return
        connection.close()
        self._readers = Workers("sqlite-read", _READERS, 10_000, self._reactor)
        self._readers.start()
        self._thread = threading.Thread(target=self._write_loop, name=f"writer {self.path}")
        self._thread.daemon = True
        self._thread.start()

    def close(self) -> None:
        """Commit what was queued and let go of the file. Blocks; ``open`` works again."""
        if self._inline is not None:
            self._inline.close()
            self._inline = None
        if self._thread is not None:
            with self._wakeup:
                self._closing = True
                self._wakeup.notify()
            self._thread.join()
            self._thread = None
            self._closing = False
        if self._readers is not None:
            self._readers.stop()
            self._readers = None

    def write(self, job: Job[T]) -> Deferred[T]:
        """Run ``job(connection)`` in the next group commit; fires after that commit.

        ``job`` must not commit, and must leave no trace when it raises (a savepoint sees to
        the rows). Fails with TransientFailure when the writer is too far behind."""
        if self._reactor is None:
            return execute(self._write_inline, job)
        result: Deferred[T] = Deferred()
        with self._wakeup:
            if self._closing or self._thread is None or len(self._waiting) >= self._backlog:
                return fail(TransientFailure(OVERLOADED, f"{self.path}: writer is behind"))
            self._waiting.append((job, result))
            self._wakeup.notify()
        return result

    def read(self, job: Job[T]) -> Deferred[T]:
        """Run ``job(connection)`` on a reader; sees every commit that has fired."""
        if self._readers is None:
            return execute(self._read_inline, job)
        return self._readers.run(self._read_threaded, job)

    def _connect(self) -> sqlite3.Connection:
        connection = self._disk.connect(self.path, timeout=_BUSY_SECONDS)
        connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _write_inline(self, job: Job[T]) -> T:
        assert self._inline is not None, "the database is not open"
        connection = self._inline
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = job(connection)
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
        return result

    def _read_inline(self, job: Job[T]) -> T:
        assert self._inline is not None, "the database is not open"
        return job(self._inline)

    def _read_threaded(self, job: Job[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
        return job(connection)

    def _write_loop(self) -> None:
        connection: sqlite3.Connection | None = None
        while batch := self._next_batch():
            outcomes: list[tuple[Deferred[Any], Any]] = []
            try:
                if connection is None:
                    connection = self._connect()
                outcomes = _commit_together(connection, batch)
            except BaseException:  # noqa: BLE001 - nothing may end the writer
                # The commit failed: what it held is gone, and after a failed sync the pages
                # are too. Start again from the file as it is.
                failure = Failure()
                outcomes = [(result, failure) for _, result in batch]
                _give_up(connection)
                connection = None
            assert self._reactor is not None
            self._reactor.callFromThread(_fire, outcomes)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> list[tuple[Job[Any], Deferred[Any]]]:
        with self._wakeup:
            while not self._waiting and not self._closing:
                self._wakeup.wait()
            size = min(len(self._waiting), _MAX_BATCH)
            return [self._waiting.popleft() for _ in range(size)]


def _commit_together(
    connection: sqlite3.Connection, batch: list[tuple[Job[Any], Deferred[Any]]]
) -> list[tuple[Deferred[Any], Any]]:
    outcomes: list[tuple[Deferred[Any], Any]] = []
    connection.execute("BEGIN IMMEDIATE")
    for job, result in batch:
        connection.execute("SAVEPOINT job")
        try:
            outcomes.append((result, job(connection)))
        except Exception:  # noqa: BLE001 - it is the job's caller who hears of it
            outcomes.append((result, Failure()))
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
    connection.execute("COMMIT")
    return outcomes


def _fire(outcomes: list[tuple[Deferred[Any], Any]]) -> None:
    for result, value in outcomes:
        if not result.called:
            result.callback(value)  # a Failure takes the errback side


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _give_up(connection: sqlite3.Connection | None) -> None:
    if connection is None:
        return
    try:
        _roll_back(connection)
        connection.close()
    except sqlite3.Error:
        pass  # it is being thrown away because it is broken


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    while (version := _version(connection)) < len(migrations):
        script = f"BEGIN IMMEDIATE;{migrations[version]};PRAGMA user_version={version + 1};COMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error:
            _roll_back(connection)
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
