"""One SQLite file: a single writer thread with group commit, and readers beside it.

The writer takes whatever jobs arrived during the last commit, runs each in a savepoint of
one transaction, commits once, and fires all their Deferreds in one ``callFromThread``. There
is no timer: the batch is what arrived while the disk was busy. A Deferred that fires means
committed (``synchronous=FULL``: survives a power cut); one that fails means rolled back.

Without a reactor everything happens at once on the calling thread: for the command line,
which works on the same files while a server runs, and for simulation.

A file that turns out damaged, at the start or later, is set aside by the writer and replaced,
as ``IfDamaged`` says; a line in the log tells what was kept. It is never deleted. Without a
reactor it is left alone, and the error is the caller's.

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
from one of them on.

A file of an older schema is copied before it is migrated (``copies``), to ``PATH.vN.bak``; the
copy of the version before that goes. Each step of a migration is one transaction.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.runtime import salvage
from mailframe.runtime.copies import keep_before_migration
from mailframe.runtime.disk import Disk, is_read_only
from mailframe.runtime.salvage import DamagedFile, NothingReadable, is_damage
from mailframe.runtime.soundness import integrity_faults
from mailframe.runtime.workers import OVERLOADED, Workers

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
Batch = list[tuple[Job[Any], Deferred[Any]]]
Outcomes = list[tuple[Deferred[Any], Any]]

_BUSY_SECONDS = 10.0
MAX_BATCH = 512  # bounds the transaction, hence the write-ahead log and the latency
READERS = 2
READ_BACKLOG = 10_000


class IfDamaged(enum.Enum):
    """What becomes of a file that is damaged, once it is set aside."""

    BEGIN_ANEW = enum.auto()
    """It only remembers: an empty one takes its place."""
    MEND = enum.auto()
    """What can be read of it goes on; an empty one where that is nothing."""
    MEND_OR_REFUSE = enum.auto()
    """What can be read of it goes on; where that is nothing, the server does not start."""


class Database:
    """``migrations[n]`` is the SQL script that brings version n to n + 1."""

    log = Logger()

    def __init__(
        self,
        path: str,
        migrations: Sequence[str],
        reactor: IReactorFromThreads | None,
        *,
        durable: bool = True,
        backlog: int = 20_000,
        disk: Disk | None = None,
        if_damaged: IfDamaged = IfDamaged.MEND_OR_REFUSE,
    ) -> None:
        """``durable`` False syncs only at checkpoints: fit for what may be lost, as logs."""
        self.path = path
        self._migrations = migrations
        self._reactor = reactor
        self._durable = durable
        self._backlog = backlog
        self._disk = disk if disk is not None else Disk()
        self._if_damaged = if_damaged
        self._generation = 0
        """Of the file: another one has taken its place when this has changed."""
        self._is_suspect = False
        """A reader met damage: the writer is to look at the file."""
        self._wakeup = threading.Condition()
        self._waiting: deque[tuple[Job[Any], Deferred[Any]]] = deque()
        self._writing: sqlite3.Connection | None = None
        """The writer's own."""
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
            connection = self._open_or_replace()
        except sqlite3.Error as error:
            raise type(error)(f"{self.path}: {error}") from error
        if self._reactor is None:
            self._inline = connection
            return
        connection.close()
        self._start(self._reactor)

    def _start(self, reactor: IReactorFromThreads) -> None:
        self._readers = Workers("sqlite-read", READERS, READ_BACKLOG, reactor)
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

    # ---- damage

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            return self._open_file()
        except sqlite3.Error as error:
            if self._reactor is None or not is_damage(error):
                raise
            self._replace(error)
        return self._open_file()

    def _open_file(self) -> sqlite3.Connection:
        salvage.finish(self._disk, self.path, self._stamp())
        if not self._disk.exists(self.path):
            self._create()
        elif self._reactor is not None:
            self._sweep()
        if not self._disk.status(self.path).st_size:
            raise DamagedFile("it is empty, which it never was")
        connection = self._connect()
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

    def _look_closely(self) -> None:
        """Is it the file, or was it something else? Reads all of it."""
        try:
            connection = self._connect()
            try:
                found = integrity_faults(connection)
            finally:
                connection.close()
            if not found:
                return
            error: sqlite3.Error = DamagedFile(found[0].replace("\n", " "))
        except sqlite3.Error as raised:
            if not is_damage(raised):
                raise
            error = raised
        self._replace(error)
        self._open_file().close()

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
                self._generation += 1
                told = "{path} is mended ({done}); the damaged file is {aside}"
                self.log.critical(told, path=self.path, done=str(done), aside=done.aside)
                return
        aside = salvage.set_aside(self._disk, self.path, stamp)
        self._generation += 1
        told = "{path} is begun anew, what it held is forgotten; the damaged file is {aside}"
        self.log.critical(told, path=self.path, aside=aside)

    def _stamp(self) -> str:
        seconds = getattr(self._reactor, "seconds", lambda: 0.0)()
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))

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
        generation = self._generation
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._local.generation != generation:
            connection.close()
            connection = None
        if connection is None:
            connection = self._connect()
            self._local.connection, self._local.generation = connection, generation
        try:
            return job(connection)
        except sqlite3.Error as error:
            if is_damage(error) and generation == self._generation:
                self._suspect()
            raise

    def _suspect(self) -> None:
        with self._wakeup:
            self._is_suspect = True
            self._wakeup.notify()

    def _write_loop(self) -> None:
        while (batch := self._next_batch()) or self._is_suspect:
            outcomes = self._write_turn(batch)
            assert self._reactor is not None
            self._reactor.callFromThread(fire, outcomes)
        self._end_writing()

    def _write_turn(self, batch: Batch) -> Outcomes:
        """Look at the file where it is suspect, and commit the batch."""
        outcomes: Outcomes = []
        try:
            if self._is_suspect:
                self._is_suspect = False
                self._give_up_writing()
                self._look_closely()
            if self._writing is None:
                self._writing = self._connect()
            if batch:
                outcomes = _commit_together(self._writing, batch)
        except BaseException as error:  # noqa: BLE001 - nothing may end the writer
            # The commit failed: what it held is gone, and after a failed sync the pages
            # are too. Start again from the file as it is.
            failure = Failure()
            outcomes = [(result, failure) for _, result in batch]
            self._give_up_writing()
            # Not again and again where nothing helps: ``_replace`` has said so.
            self._is_suspect = is_damage(error) and not isinstance(error, NothingReadable)
        failures = [value.value for _, value in outcomes if isinstance(value, Failure)]
        if any(map(is_damage, failures)):
            self._is_suspect = True
        if any(map(is_read_only, failures)):
            self._give_up_writing()
        return outcomes

    def _give_up_writing(self) -> None:
        _give_up(self._writing)
        self._writing = None

    def _end_writing(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _next_batch(self) -> Batch:
        with self._wakeup:
            while not (self._waiting or self._closing or self._is_suspect):
                self._wakeup.wait()
            size = min(len(self._waiting), MAX_BATCH)
            return [self._waiting.popleft() for _ in range(size)]


def _commit_together(connection: sqlite3.Connection, batch: Batch) -> Outcomes:
    outcomes: Outcomes = []
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


def fire(outcomes: Outcomes) -> None:
    """Tell everybody what became of theirs."""
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
