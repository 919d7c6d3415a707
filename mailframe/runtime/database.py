"""One SQLite file: a single writer thread with group commit, and readers beside it.

The writer takes whatever jobs arrived during the last commit, runs them in one transaction,
commits once, and fires all their Deferreds in one ``callFromThread``. There is no timer: the
batch is what arrived while the disk was busy. A Deferred that fires means committed
(``synchronous=FULL``: survives a power cut); one that fails means rolled back.

Without a reactor everything happens at once on the calling thread: for the command line,
which works on the same files while a server runs, and for simulation.

What may be on disk, and what becomes of a damaged file, is in ``database_file``.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.runtime.commits import Batch, Job, Outcomes, commit_together, fire, roll_back
from mailframe.runtime.database_file import DatabaseFile, IfDamaged
from mailframe.runtime.database_version import DatabaseVersion
from mailframe.runtime.disk import Disk, is_read_only
from mailframe.runtime.salvage import NothingReadable, is_damage
from mailframe.runtime.workers import OVERLOADED, Workers

__all__ = ["MAX_BATCH", "READERS", "READ_BACKLOG", "Database", "IfDamaged", "Job"]

T = TypeVar("T")

MAX_BATCH = 512  # bounds the transaction, hence the write-ahead log and the latency
READERS = 2
READ_BACKLOG = 10_000


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
        if_damaged: IfDamaged = IfDamaged.MEND_OR_REFUSE,
        shared: bool = False,
    ) -> None:
        """``durable`` False syncs only at checkpoints: fit for what may be lost, as logs.
        ``shared``: other processes like this one write to it; they take turns."""
        self.path = path
        self.file = DatabaseFile(
            path,
            migrations,
            disk if disk is not None else Disk(),
            durable=durable,
            if_damaged=if_damaged,
            shared=shared,
            owned=reactor is not None,
            seconds=getattr(reactor, "seconds", lambda: 0.0),
        )
        self._version = DatabaseVersion(self.file)
        self._reactor = reactor
        self._backlog = backlog
        self._is_suspect = False
        """A reader met damage: the writer is to look at the file."""
        self._waiting: SimpleQueue[tuple[Job[object], Deferred[object]] | None] = SimpleQueue()
        """Jobs for the writer; None only wakes it up."""
        self._writing: sqlite3.Connection | None = None
        """The writer's own."""
        self._writing_generation = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._inline: sqlite3.Connection | None = None
        self._local = threading.local()
        self._readers: Workers | None = None
        self.observe: Callable[[int, float], None] | None = None
        """Told on the writer's thread of each commit: of how many jobs, and how many seconds it
        took with them."""

    @property
    def waiting(self) -> int:
        """Jobs that the writer has not begun."""
        return self._waiting.qsize()

    def open(self) -> None:
        """Create or migrate the file, start the threads. Blocks; call it before serving.

        A new file, and what SQLite puts beside it, is for the server's own user only,
        whatever the umask and the directory let others do."""
        try:
            connection = self.file.open()
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
        self._version.close()
        if self._inline is not None:
            self._inline.close()
            self._inline = None
        if self._thread is not None:
            self._closing = True
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
            self._closing = False
        if self._readers is not None:
            self._readers.stop()
            self._readers = None
        self.file.close()

    def write(self, job: Job[T]) -> Deferred[T]:
        """Run ``job(connection)`` in the next group commit; fires after that commit.

        ``job`` must not commit. It may be run twice: where one of the jobs that are committed
        together raises, all is rolled back, and each is run again on its own. So it does
        nothing but work on the connection and return what it found, and what it raises comes
        of that. Fails with TransientFailure when the writer is too far behind."""
        if self._reactor is None:
            return execute(self._write_inline, job)
        if self._closing or self._thread is None or self._waiting.qsize() >= self._backlog:
            return fail(TransientFailure(OVERLOADED, f"{self.path}: writer is behind"))
        result: Deferred[T] = Deferred()
        self._waiting.put((job, result))  # type: ignore[arg-type] # each Deferred with its own
        return result

    def read(self, job: Job[T]) -> Deferred[T]:
        """Run ``job(connection)`` on a reader; sees every commit that has fired."""
        if self._readers is None:
            return execute(self._read_inline, job)
        return self._readers.run(self._read_threaded, job)

    def version(self) -> int | None:
        """Another number than before once anybody has committed since, in whatever process.

        What a ``read`` finds that began after the look holds for as long as the number is the
        same. None where it cannot be told now: without a reactor, for one, whose owner's own
        commits would not be counted. Waits for nothing; on the reactor's thread."""
        return None if self._readers is None else self._version.look(self._readers)

    # ---- on the calling thread

    def _write_inline(self, job: Job[T]) -> T:
        assert self._inline is not None, "the database is not open"
        connection = self._inline
        with self.file.alone():
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = job(connection)
                connection.execute("COMMIT")
            except BaseException:
                roll_back(connection)
                raise
        return result

    def _read_inline(self, job: Job[T]) -> T:
        assert self._inline is not None, "the database is not open"
        return job(self._inline)

    # ---- on a reader's thread

    def _read_threaded(self, job: Job[T]) -> T:
        generation = self.file.look()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._local.generation != generation:
            connection.close()
            connection = None
        if connection is None:
            # A name that is nobody's while a file is replaced would be taken for a new one's.
            with self.file.alone():
                generation = self.file.look()
                connection = self.file.connect()
            self._local.connection, self._local.generation = connection, generation
        try:
            return job(connection)
        except sqlite3.Error as error:
            if is_damage(error) and generation == self.file.generation:
                self._suspect()
            raise

    def _suspect(self) -> None:
        self._is_suspect = True
        self._waiting.put(None)

    # ---- on the writer's thread

    def _write_loop(self) -> None:
        assert self._reactor is not None
        while self._is_suspect or not (self._closing and self._waiting.empty()):
            batch = self._next_batch()
            if batch or self._is_suspect:
                outcomes = self._write_turn(batch)
                self._reactor.callFromThread(fire, outcomes)
        self._give_up_writing()

    def _next_batch(self) -> Batch:
        """What has arrived; waits for the first, unless there is something else to do."""
        waiting = self._waiting
        items = [] if self._is_suspect else [waiting.get()]
        more = min(waiting.qsize(), MAX_BATCH - len(items))
        items += [waiting.get() for _ in range(more)]
        return [item for item in items if item is not None]

    def _write_turn(self, batch: Batch) -> Outcomes:
        """Look at the file where it is suspect, and commit the batch."""
        outcomes: Outcomes = []
        try:
            if self._is_suspect:
                self._is_suspect = False
                self._give_up_writing()
                self.file.look_closely()
            if batch:
                outcomes = self._commit_batch(batch)
        except BaseException as error:  # noqa: BLE001 - nothing may end the writer
            # The commit failed: what it held is gone, and after a failed sync the pages
            # are too. Start again from the file as it is.
            failure = Failure()
            outcomes = [(result, failure) for _, result in batch]
            self._give_up_writing()
            # Not again and again where nothing helps: the file's log has said so.
            self._is_suspect = is_damage(error) and not isinstance(error, NothingReadable)
        failures = [value.value for _, value in outcomes if isinstance(value, Failure)]
        if any(map(is_damage, failures)):
            self._is_suspect = True
        if any(map(is_read_only, failures)):
            self._give_up_writing()
        return outcomes

    def _commit_batch(self, batch: Batch) -> Outcomes:
        began = time.perf_counter()
        with self.file.alone():
            outcomes = commit_together(self._writer(), batch)
        if self.observe is not None:
            self.observe(len(batch), time.perf_counter() - began)
        return outcomes

    def _writer(self) -> sqlite3.Connection:
        """To the file that bears the name now."""
        generation = self.file.look()
        if self._writing is None or self._writing_generation != generation:
            self._give_up_writing()
            self._writing, self._writing_generation = self.file.connect(), generation
        return self._writing

    def _give_up_writing(self) -> None:
        connection, self._writing = self._writing, None
        if connection is None:
            return
        try:
            roll_back(connection)
            connection.close()
        except sqlite3.Error:
            pass  # it is being thrown away because it is broken
