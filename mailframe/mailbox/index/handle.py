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

There is no thread an account and no connection an idle one (``Indexes`` closes the longest
unused beyond its bound).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers
from mailframe.mailbox.index.columns import Garbage
from mailframe.mailbox.index.lane import REBUILT, Job, Lane, Queued
from mailframe.mailbox.index.mark import Mark, last_commit, note_commit
from mailframe.mailbox.index.reserve import Reserve
from mailframe.mailbox.index.schema import MIGRATIONS
from mailframe.mailbox.paths import account_directory
from mailframe.runtime.disk import STORAGE_FULL, Disk, is_read_only
from mailframe.runtime.salvage import is_damage
from mailframe.runtime.soundness import mistyped

T = TypeVar("T")
_BUSY_SECONDS = 10.0
_PLACES = ("", "-wal", "-shm", "-journal")
_STUMBLES = (TypeError, ValueError, LookupError, AttributeError)


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
        self._writer = Lane(self.path, workers, self._commit_together)
        self._reader = Lane(self.path, workers, self._read_each, drops=True)
        self._write_connection: sqlite3.Connection | None = None
        self._read_connection: sqlite3.Connection | None = None
        self._read_generation = 0
        self._inode = 0
        self._mark = Mark(os.path.join(home, "index.mark"), disk)
        self.reserve: Reserve | None = None
        """The server's, which is given up where there is no room left."""

    def run(self, job: Job[T], then: Callable[[T], None] | None = None) -> Deferred[T]:
        """``job(connection)`` in the next commit. It must not commit, and must leave no rows
        when it raises (a savepoint sees to it). ``then`` is called with the result first, in
        the order of the jobs, even when the Deferred was cancelled: the commit was not."""
        self.on_use(self)
        return self._writer.add(Queued(job, Deferred(), then))

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
            return self.run(checked) if isinstance(failure.value, _Unreadable) else failure

        return self._reader.add(Queued(checked, Deferred(), patient=patient)).addErrback(failed)

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
        try:
            connection = self._writing()
            before = connection.total_changes
            lasts = any(queued.lasts for queued in batch)
            connection.execute(f"PRAGMA synchronous={'FULL' if lasts else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_in_savepoint(connection, queued.job) for queued in batch]
            # What is not synced may be younger in the mark than in the file, after a power cut.
            is_noted = lasts and connection.total_changes != before
            commit = note_commit(connection) if is_noted else None
            connection.execute("COMMIT")
            if commit is not None:
                self._mark.write(commit)
        except sqlite3.Error as error:
            # What the commit held is gone, and after a failed sync the pages are too.
            self._give_up_writer()
            self._look_at(error)
            return [_failure(error)] * len(batch)
        except BaseException:
            self._give_up_writer()  # no transaction may stay open
            raise
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Failure) and isinstance(outcome.value, sqlite3.Error):
                self._look_at(outcome.value)
            elif isinstance(outcome, Failure) and (found := _garbage(connection, outcome.value)):
                self._look_at(found)
                outcomes[number] = _failure(found)
        return outcomes

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
                outcomes.append(_failure(error))
                if _is_damage(error):
                    self.log.error("{path}: {error}", path=self.path, error=error)
                    outcomes[-1] = Failure(_Unreadable(REBUILT, f"index: {error}"))
            except Exception as error:  # noqa: BLE001 - it is the job's caller who hears of it
                outcomes.append(Failure())
                if found := _garbage(self._read_connection, error):
                    outcomes[-1] = Failure(_Unreadable(REBUILT, f"index: {found}"))
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
            self._read_connection = _connect(self._disk, self.path)

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
            if not _is_damage(error):
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
        if version == 0 or (self._inode and inode != self._inode):
            self.generation += 1
        self._inode = inode
        return connection

    def _look_at(self, error: sqlite3.Error) -> None:
        if _is_full(error) and self.reserve is not None and self.reserve.give_up():
            self.log.warn("{path}: the disk is full; the reserve is given up", path=self.path)
        if _is_damage(error):
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


class OtherVersion(sqlite3.DatabaseError):
    """The file was written by another mailframe."""


class Replaced(sqlite3.DatabaseError):
    """Somebody put another file there."""


class _Unreadable(TransientFailure):
    """What the reader has is damaged."""


class Indexes:
    """The indexes of all accounts; at most ``most_open`` of the idle ones keep their file."""

    def __init__(self, base: str, disk: Disk, workers: IWorkers, *, most_open: int = 64) -> None:
        self._base = base
        self._disk = disk
        self._workers = workers
        self._most_open = most_open
        self._reserve = Reserve(base, disk)
        self._known: WeakValueDictionary[str, AccountIndex] = WeakValueDictionary()
        self._recent: OrderedDict[str, AccountIndex] = OrderedDict()

    def of(self, account: str) -> AccountIndex:
        """Nothing is touched yet. Raises ValueError for a name that can be no account."""
        index = self._known.get(account)
        if index is None:
            home = account_directory(self._base, account)
            index = self._known[account] = AccountIndex(account, home, self._disk, self._workers)
            index.on_use = self.touch
            index.reserve = self._reserve
        return index

    def touch(self, index: AccountIndex) -> None:
        """It is about to be used."""
        self._recent[index.account] = index
        self._recent.move_to_end(index.account)
        if len(self._recent) <= self._most_open:
            return
        for account, other in list(self._recent.items())[: -self._most_open]:
            if other.is_idle:
                other.rest()
                del self._recent[account]

    def close(self) -> None:
        """Of all accounts; blocks shortly. No job may be under way."""
        for index in list(self._known.values()):
            index.close()
        self._recent.clear()


def _in_savepoint(connection: sqlite3.Connection, job: Job[Any]) -> Any:
    connection.execute("SAVEPOINT job")
    try:
        outcome = job(connection)
    except sqlite3.Error as error:
        if _is_damage(error) or not connection.in_transaction:
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


def _is_damage(error: sqlite3.Error) -> bool:
    return isinstance(error, OtherVersion | Replaced | Garbage) or is_damage(error)


def _garbage(connection: sqlite3.Connection | None, error: object) -> Garbage | None:
    """Whether a job stumbled over what the file holds, and not over a mistake of its own."""
    if connection is None or not isinstance(error, _STUMBLES):
        return None
    try:
        found = mistyped(connection)
    except sqlite3.Error as worse:
        found = [str(worse)]
    return Garbage(", ".join(found)) if found else None


def _failure(error: sqlite3.Error) -> Failure:
    reply = STORAGE_FULL if _is_full(error) else REBUILT
    return Failure(TransientFailure(reply, f"index: {error}"))


def _is_full(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return (code & 0xFF) == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
