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


@dataclass(eq=False, slots=True)
class Insert:
    new: NewMessage
    claim: Claim | None
    """Who begins to deliver it as soon as it is durable."""
    done: Deferred[None]
    error: BaseException | None = None


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
            batch: list[Insert] = []
            self._database.write(partial(self._write, batch)).addCallbacks(
                self._written, self._failed, callbackArgs=(batch,), errbackArgs=(batch,)
            )
        return done

    def _write(self, batch: list[Insert], connection: sqlite3.Connection) -> None:
        """On the writer's thread. What is added from here on needs another job, or may be
        taken by this one. Where another job of the commit fails it runs once more."""
        self._is_planned = False
        self._take(batch)
        for insert in batch:
            insert.error = None
        connection.execute("SAVEPOINT inserting")
        try:
            new_messages(connection, [each.new for each in batch], self._node)
        except sqlite3.OperationalError:
            raise  # the disk or the file is in trouble: none of them can be written
        except Exception:  # noqa: BLE001 - one of them is to blame, and will hear of it
            connection.execute("ROLLBACK TO inserting")
            for each in batch:
                self._write_one(each, connection)
        connection.execute("RELEASE inserting")

    def _write_one(self, insert: Insert, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT inserting_one")
        try:
            new_messages(connection, [insert.new], self._node)
        except sqlite3.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - its sender hears of it
            connection.execute("ROLLBACK TO inserting_one")
            insert.error = error
        connection.execute("RELEASE inserting_one")

    def _take(self, batch: list[Insert]) -> None:
        while self._waiting:
            batch.append(self._waiting.popleft())

    def _written(self, _: None, batch: Sequence[Insert]) -> None:
        durable = []
        for insert in batch:
            if insert.error is not None:
                self._fail(insert, insert.error)
                continue
            durable.append(insert)
            if not insert.done.called:
                insert.done.callback(None)
        self._committed(durable)

    def _failed(self, failure: Failure, batch: list[Insert]) -> None:
        if not batch:  # the job was not even taken: the writer is too far behind
            self._is_planned = False
            self._take(batch)
        error = failure.value
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            error = TransientFailure(STORAGE_FULL, str(error))
        for insert in batch:
            self._fail(insert, error)

    def _fail(self, insert: Insert, error: BaseException | None) -> None:
        self._tell_failed(insert)
        if not insert.done.called:
            insert.done.errback(Failure(error))
