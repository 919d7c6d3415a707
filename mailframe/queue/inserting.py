"""New messages on their way into the tables, many in one job.

The writer's job takes whatever has come until it runs: what arrives while a commit waits for
the disk goes with the next one, as one statement a table. One message that cannot be written
fails alone. After the commit the senders hear of it first, then those who deliver.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.queue.claim import Claim
from mailframe.queue.records import NewMessage, new_messages
from mailframe.runtime.database import Database
from mailframe.runtime.disk import STORAGE_FULL

# The disk or the file is in trouble, or the writer too far behind: none of them can be written.
_EVERYBODYS = (sqlite3.OperationalError, TransientFailure)


@dataclass(frozen=True, eq=False, slots=True)
class Insert:
    new: NewMessage
    claim: Claim | None
    """Who begins to deliver it as soon as it is durable."""
    done: Deferred[None]


class Inserting:
    """``committed`` is told, once a commit, of all that is durable now; ``failed`` of each that
    is not. ``node`` holds what is inserted as leased."""

    def __init__(
        self,
        database: Database,
        node: str,
        *,
        committed: Callable[[Sequence[Insert]], None],
        failed: Callable[[Insert], None],
    ) -> None:
        self._database = database
        self._node = node
        self._committed = committed
        self._tell_failed = failed
        self._waiting: deque[Insert] = deque()
        self._is_planned = False

    def insert(self, new: NewMessage, claim: Claim | None) -> Deferred[None]:
        """Fires when it is durable. Cancelling the Deferred changes nothing else."""
        done: Deferred[None] = Deferred()
        self._waiting.append(Insert(new, claim, done))
        if not self._is_planned:
            self._is_planned = True
            self._plan(self._take_and_write, [])
        return done

    def _plan(
        self, job: Callable[[list[Insert], sqlite3.Connection], None], batch: list[Insert]
    ) -> None:
        self._database.write(partial(job, batch)).addCallbacks(
            self._written, self._failed, callbackArgs=(batch,), errbackArgs=(batch,)
        )

    def _take_and_write(self, batch: list[Insert], connection: sqlite3.Connection) -> None:
        """On the writer's thread. What is added from here on needs another job, or may be
        taken by this one. Where another job of the commit fails it runs once more."""
        self._is_planned = False
        self._take(batch)
        self._write(batch, connection)

    def _write(self, batch: Sequence[Insert], connection: sqlite3.Connection) -> None:
        new_messages(connection, [each.new for each in batch], self._node)

    def _take(self, batch: list[Insert]) -> None:
        while self._waiting:
            batch.append(self._waiting.popleft())

    def _written(self, _: None, batch: Sequence[Insert]) -> None:
        for insert in batch:
            if not insert.done.called:
                insert.done.callback(None)
        self._committed(batch)

    def _failed(self, failure: Failure, batch: list[Insert]) -> None:
        if not batch:  # the job was not even taken: the writer is too far behind
            self._is_planned = False
            self._take(batch)
        error = failure.value
        if len(batch) > 1 and not isinstance(error, _EVERYBODYS):
            for insert in batch:  # one of them is to blame, and will hear of it
                self._plan(self._write, [insert])
            return
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            error = TransientFailure(STORAGE_FULL, str(error))
        for insert in batch:
            self._fail(insert, error)

    def _fail(self, insert: Insert, error: BaseException | None) -> None:
        self._tell_failed(insert)
        if not insert.done.called:
            insert.done.errback(Failure(error))
