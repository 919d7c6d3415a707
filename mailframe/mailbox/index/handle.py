"""One account's index: a SQLite file whose jobs run on the shared workers.

``run`` queues a job that may write. What waits is run in one transaction, each job in a
savepoint, and committed once (``synchronous=FULL``: survives a power cut); one batch of an
account at a time, so the jobs of an account follow one another. A Deferred that fires means
committed, one that fails means rolled back. ``remember`` does the same for what was read of
messages, which a power cut may take back: that is not synced. ``read`` runs beside it, on a
second connection, and sees every commit that has fired.

A file that is missing, damaged or of another version is thrown away and begun anew, which is
logged: everything in it is read from the Maildirs again. ``generation`` tells that it
happened; whoever remembers uids from before must not go on with them. So is one that somebody
put back, an older copy or another account's: uids that were told since would be given again.
``mark`` sees it.

Several processes may use the file at the same time. A batch is run under the account's lock,
from before the first file is touched until the commit is noted in ``mark``, so that nobody
meets what another one has half done. What others have committed since the last batch is told
to the ``Follower``s before anything that this batch did.

There is no thread an account and no connection an idle one (``Indexes`` closes the longest
unused beyond its bound).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from weakref import ReferenceType, ref

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers
from mailframe.mailbox.index.damage import (
    STUMBLES,
    OtherVersion,
    Replaced,
    Unreadable,
    failure,
    garbage,
    is_damage,
    is_full,
)
from mailframe.mailbox.index.lane import REBUILT, Job, Lane, Queued
from mailframe.mailbox.index.mark import Commit, Mark, last_commit, look, note_commit
from mailframe.mailbox.index.reserve import Reserve
from mailframe.mailbox.index.schema import MIGRATIONS
from mailframe.mailbox.paths import account_lock
from mailframe.runtime.disk import Disk, is_read_only
from mailframe.runtime.exclusion import exclusive

T = TypeVar("T")
_BUSY_SECONDS = 10.0
_PLACES = ("", "-wal", "-shm", "-journal")


class Follower(Protocol):
    """Whoever remembers what is in the file, and must hear what other processes did to it."""

    def missed(self, connection: sqlite3.Connection) -> object | None:
        """On a worker, before the jobs of a batch: what is different from what is remembered."""

    def catch_up(self, missed: Any) -> None:
        """On the reactor thread, before the results of that batch are told."""


class AccountIndex:
    """Made by ``Indexes``. Everything but the jobs happens on the reactor thread."""

    log = Logger()

    def __init__(self, account: str, home: str, disk: Disk, workers: IWorkers) -> None:
        self.account = account
        self.home = home
        self.path = os.path.join(home, "index.db")
        self.on_use: Callable[[AccountIndex], None] = lambda index: None
        self.generation = 0
        """Changes whenever uids from before do not count any more."""
        self._disk = disk
        self._workers = workers
        self._writer = Lane(self.path, workers, self._commit_together, ended=self._catch_up)
        self._reader = Lane(self.path, workers, self._read_each, drops=True)
        self._write_connection: sqlite3.Connection | None = None
        self._read_connection: sqlite3.Connection | None = None
        self._read_generation = 0
        self._inode = 0
        self._mark_path = os.path.join(home, "index.mark")
        self._mark = Mark(self._mark_path, disk)
        self._known: Commit | None = None
        """The last commit whose changes the followers know."""
        self._is_unsure = False
        """They may not know all of that."""
        self._followers: tuple[ReferenceType[Follower], ...] = ()
        self._missed: list[tuple[Follower, object]] = []
        self.reserve: Reserve | None = None
        """The server's, which is given up where there is no room left."""

    def run(
        self,
        job: Job[T],
        then: Callable[[T], None] | None = None,
        *,
        first: Job[object] | None = None,
        confirm: Callable[[T], None] | None = None,
    ) -> Deferred[T]:
        """``job(connection)`` in the next commit. It must not commit, and must leave no rows
        when it raises (a savepoint sees to it). ``then`` is called with the result first, in
        the order of the jobs, even when the Deferred was cancelled: the commit was not.

        ``first`` is a job whose commit comes before, and ``confirm(result)`` is called, on the
        worker, when the job's is done; nobody else has the account in between."""
        self.on_use(self)
        return self._writer.add(Queued(job, Deferred(), then, first=first, confirm=confirm))

    def remember(self, job: Job[T]) -> Deferred[T]:
        """The same for what can be read again, of which nobody was told: a power cut may take
        it back, for its commit is not synced for its own sake."""
        self.on_use(self)
        return self._writer.add(Queued(job, Deferred(), lasts=False))

    def read(self, job: Job[T], *, patient: bool = False) -> Deferred[T]:
        """``job(connection)``, which only reads, in the file as it is when this is called:
        fails with TransientFailure where that was begun anew meanwhile. ``patient``: it takes
        some time, and lets others go first."""
        self.on_use(self)
        generation = self.generation

        def checked(connection: sqlite3.Connection) -> T:
            if generation != self.generation:
                raise TransientFailure(REBUILT, f"{self.path} was begun anew")
            return job(connection)

        def failed(failure: Failure) -> Any:
            # The writer throws the file away if it is what the reader says.
            return self.run(checked) if isinstance(failure.value, Unreadable) else failure

        return self._reader.add(Queued(checked, Deferred(), patient=patient)).addErrback(failed)

    def follow(self, follower: Follower) -> None:
        """From now on; as long as somebody else holds it. Harmless when called again."""
        others = [held for held in self._followers if held() not in (None, follower)]
        self._followers = (*others, ref(follower))

    def doubt(self) -> None:
        """A job changed what followers remember, without a word to them."""
        self._is_unsure = True

    def is_behind(self) -> bool:
        """Whether there may be changes that the followers have not heard of. On a worker."""
        if self._is_unsure:
            return True
        marked, known = look(self._disk, self._mark_path), self._known
        if marked is None or known is None:
            return False
        return marked.id != known.id or marked.number > known.number

    def _catch_up(self) -> None:
        missed, self._missed = self._missed, []
        for follower, what in missed:
            try:
                follower.catch_up(what)
            except Exception:  # noqa: BLE001 - the others are told too
                self.log.failure("cannot take in what others did to {path}", path=self.path)

    def forget_statements(self) -> None:
        """After what was large: Python keeps a connection's last hundred statements as SQLite
        compiled them, which is a megabyte for each 2,000 search keys. Those of ``read`` go."""

        def close(connection: sqlite3.Connection) -> None:
            connection.close()
            self._read_connection = None

        # Where there is no connection, whoever reads next is told why.
        self._reader.add(Queued(close, Deferred())).addErrback(lambda _: None)

    @property
    def is_idle(self) -> bool:
        return not self._writer.is_busy and not self._reader.is_busy

    def rest(self) -> None:
        """Let go of the file on a worker; it must be idle. The next job opens it again."""
        lanes = (self._writer, self._reader)
        for lane in lanes:
            lane.begin_pause()

        def ended(result: object) -> None:
            for lane in lanes:
                lane.end_pause()
            if isinstance(result, Failure):
                self.log.failure("cannot close {path}", result, path=self.path)

        self._workers.run(self.close).addBoth(ended)

    def close(self) -> None:
        """Let go of the file, when idle; the next job opens it again. Blocks: a checkpoint."""
        for connection in (self._read_connection, self._write_connection):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
        self._read_connection = self._write_connection = None
        self._mark.close()

    # ---- on workers

    def _commit_together(self, batch: list[Queued]) -> list[Any]:
        with exclusive(self._disk, account_lock(self.home)):
            try:
                outcomes = self._commit(self._writing(), batch)
            except sqlite3.Error as error:
                # What the commit held is gone, and after a failed sync the pages are too.
                self._give_up_writer()
                self._look_at(error)
                return [failure(error)] * len(batch)
            except BaseException:
                self._give_up_writer()  # no transaction may stay open
                raise
            self._judge(outcomes)
            _confirm(batch[-1], outcomes)
            return outcomes

    def _commit(self, connection: sqlite3.Connection, batch: list[Queued]) -> list[Any]:
        lasts = any(queued.lasts for queued in batch)
        connection.execute(f"PRAGMA synchronous={'FULL' if lasts else 'NORMAL'}")
        outcomes: list[Any] = []
        if (first := batch[0].first) is not None:
            connection.execute("BEGIN IMMEDIATE")
            begun = _in_savepoint(connection, first)
            connection.execute("COMMIT")
            outcomes = [begun] if isinstance(begun, Failure) else []
        connection.execute("BEGIN IMMEDIATE")
        before, commit = connection.total_changes, last_commit(connection)
        unsure, self._is_unsure = self._is_unsure, False
        try:
            missed = self._look_for_missed(connection) if unsure or commit != self._known else []
            jobs = batch[len(outcomes) :]
            outcomes += [_in_savepoint(connection, queued.job) for queued in jobs]
            # What is not synced may be younger in the mark than in the file, after a power cut.
            is_noted = lasts and connection.total_changes != before
            if is_noted:
                commit = note_commit(connection)
            connection.execute("COMMIT")
        except BaseException:
            self._is_unsure |= unsure
            raise
        self._known, self._missed = commit, missed
        if is_noted:
            self._mark.write(commit)
        return outcomes

    def _look_for_missed(self, connection: sqlite3.Connection) -> list[tuple[Follower, object]]:
        found: list[tuple[Follower, object]] = []
        for held in self._followers:
            if (follower := held()) is None:
                continue
            try:
                missed = follower.missed(connection)
            except STUMBLES as error:
                raise garbage(connection, error) or error from None
            if missed is not None:
                found.append((follower, missed))
        return found

    def _judge(self, outcomes: list[Any]) -> None:
        """Begin anew where a job met damage."""
        connection = self._write_connection
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Failure) and isinstance(outcome.value, sqlite3.Error):
                self._look_at(outcome.value)
            elif isinstance(outcome, Failure) and (found := garbage(connection, outcome.value)):
                self._look_at(found)
                outcomes[number] = failure(found)

    def _read_each(self, batch: list[Queued]) -> list[Any]:
        outcomes: list[Any] = []
        for queued in batch:
            try:
                self._follow_writer()
                assert self._read_connection is not None
                outcomes.append(queued.job(self._read_connection))
            except sqlite3.Error as error:
                if self._read_connection is not None:
                    self._read_connection.close()
                    self._read_connection = None
                outcomes.append(failure(error))
                if is_damage(error):
                    self.log.error("{path}: {error}", path=self.path, error=error)
                    outcomes[-1] = Failure(Unreadable(REBUILT, f"index: {error}"))
            except Exception as error:  # noqa: BLE001 - it is the job's caller who hears of it
                outcomes.append(Failure())
                if found := garbage(self._read_connection, error):
                    outcomes[-1] = Failure(Unreadable(REBUILT, f"index: {found}"))
        return outcomes

    def _follow_writer(self) -> None:
        """Read from the file that the writer has."""
        if self._read_connection is not None and self._read_generation != self.generation:
            self._read_connection.close()
            self._read_connection = None
        if self._read_connection is None:
            if self._inode and not self._is_still_there():
                raise Replaced("another file is in its place")  # the writer has not judged it
            self._read_generation = self.generation
            connection = _connect(self._disk, self.path)
            try:
                if self._known is not None and last_commit(connection).id != self._known.id:
                    raise Replaced("another file is in its place")
            except BaseException:
                connection.close()
                raise
            self._read_connection = connection

    def _writing(self) -> sqlite3.Connection:
        if self._write_connection is not None and not self._is_still_there():
            self._give_up_writer()
        if self._write_connection is None:
            self._write_connection = self._open()
        return self._write_connection

    def _is_still_there(self) -> bool:
        try:
            return self._disk.status(self.path).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _open(self) -> sqlite3.Connection:
        self._disk.make_directories(self.home)
        if self.reserve is not None:
            self.reserve.keep()
        try:
            return self._open_file()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._throw_away(str(error))
        return self._open_file()

    def _open_file(self) -> sqlite3.Connection:
        connection = _connect(self._disk, self.path)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise OtherVersion(f"schema {version}, not {len(MIGRATIONS)}")
            if version < len(MIGRATIONS):
                script = ";".join(MIGRATIONS[version:])
                connection.executescript(
                    f"BEGIN IMMEDIATE;{script};PRAGMA user_version={len(MIGRATIONS)};COMMIT;"
                )
            commit, marked = last_commit(connection), self._mark.read()
            if version and marked is not None and not commit.follows(marked):
                raise Replaced("it is an older copy, or another account's")
            self._mark.write(commit)
            inode = self._disk.status(self.path).st_ino
        except BaseException:
            connection.close()
            raise
        # Numbers of inodes are used again: the file's own name for itself says which it is.
        if version == 0 or (self._known is not None and commit.id != self._known.id):
            self.generation += 1
        if self._known is None or commit.id != self._known.id:
            self._known = commit
        self._inode = inode
        return connection

    def _look_at(self, error: sqlite3.Error) -> None:
        if is_full(error) and self.reserve is not None and self.reserve.give_up():
            self.log.warn("{path}: the disk is full; the reserve is given up", path=self.path)
        if is_damage(error):
            self._throw_away(str(error))
        elif is_read_only(error):
            self._give_up_writer()

    def _throw_away(self, why: str) -> None:
        self.log.error("{path} is begun anew: {why}", path=self.path, why=why)
        self._give_up_writer()
        self.generation += 1
        for suffix in _PLACES:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(self.path + suffix)

    def _give_up_writer(self) -> None:
        connection, self._write_connection = self._write_connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _confirm(queued: Queued, outcomes: list[Any]) -> None:
    if queued.confirm is None or isinstance(outcomes[-1], Failure):
        return
    try:
        queued.confirm(outcomes[-1])
    except Exception:  # noqa: BLE001 - it is the job's caller who hears of it
        outcomes[-1] = Failure()


def _in_savepoint(connection: sqlite3.Connection, job: Job[Any]) -> Any:
    connection.execute("SAVEPOINT job")
    try:
        outcome = job(connection)
    except sqlite3.Error as error:
        if is_damage(error) or not connection.in_transaction:
            raise
        outcome = Failure()
        connection.execute("ROLLBACK TO job")
    except Exception:  # noqa: BLE001 - it is the job's caller who hears of it
        outcome = Failure()
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return outcome


def _connect(disk: Disk, path: str) -> sqlite3.Connection:
    connection = disk.connect(path, timeout=_BUSY_SECONDS)
    connection.execute("PRAGMA synchronous=FULL")
    return connection
