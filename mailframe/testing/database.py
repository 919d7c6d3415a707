"""A database with a simulated writer and readers: the group commit of the real one.

What arrives while a commit is under way waits for the next, which takes all of it up to the
same bound. A batch is committed as a whole in one event, at a drawn instant, and its Deferreds
fire in a later one; should the machine die in between, the rows are there and nobody was told.
Its version is SQLite's own count of commits to the simulated file, as the real one's is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads

from mailframe.errors import TransientFailure
from mailframe.runtime.commits import Batch, Job, Outcomes, fire
from mailframe.runtime.database import MAX_BATCH, READ_BACKLOG, READERS, Database, IfDamaged
from mailframe.runtime.workers import OVERLOADED
from mailframe.testing.workers import SimWorkers

if TYPE_CHECKING:
    from mailframe.testing.machine import SimMachine

T = TypeVar("T")


class SimDatabase(Database):
    """``SimMachine.database`` makes it."""

    def __init__(
        self,
        path: str,
        migrations: Sequence[str],
        machine: SimMachine,
        *,
        durable: bool = True,
        backlog: int = 20_000,
        if_damaged: IfDamaged = IfDamaged.MEND_OR_REFUSE,
    ) -> None:
        super().__init__(
            path,
            migrations,
            machine.reactor,
            durable=durable,
            backlog=backlog,
            disk=machine.disk,
            if_damaged=if_damaged,
        )
        self._machine = machine
        self._jobs: deque[tuple[Job[Any], Deferred[Any]]] = deque()
        self._is_open = False
        self._is_busy = False

    def _start(self, reactor: IReactorFromThreads) -> None:
        self._readers = SimWorkers("sqlite-read", READERS, READ_BACKLOG, self._machine)
        self._readers.start()
        self._is_open = True

    def close(self) -> None:
        """As the real one: what was queued is committed. Results come later."""
        self._version.close()
        while self._is_open and (self._jobs or self._is_suspect):
            self._commit()
        self._is_open = False
        self._give_up_writing()
        if self._readers is not None:
            self._readers.stop()
            self._readers = None
        self._end_reading()
        self.file.close()

    @property
    def waiting(self) -> int:
        return len(self._jobs)

    def write(self, job: Job[T]) -> Deferred[T]:
        if not self._is_open or len(self._jobs) >= self._backlog:
            return fail(TransientFailure(OVERLOADED, f"{self.path}: writer is behind"))
        result: Deferred[T] = Deferred()
        self._jobs.append((job, result))
        self._plan()
        return result

    def _suspect(self) -> None:
        self._is_suspect = True
        self._plan()

    def _plan(self) -> None:
        """The writer's next turn, where it has none yet."""
        if not self._is_busy and self._is_open and (self._jobs or self._is_suspect):
            self._is_busy = True
            self._machine.after(self._machine.pace.wake(), self._turn)

    def _turn(self) -> None:
        if self._jobs or self._is_suspect:
            self._commit()
        else:  # ``close`` was faster
            self._is_busy = False

    def _commit(self) -> None:
        batch = self._next_batch()
        self._machine.note("commit", f"{self.path} {len(batch)}")
        before = self._machine.slow_seconds
        outcomes = self._write_turn(batch)
        took = self._machine.pace.commit() + self._machine.slow_seconds - before
        self._machine.after(took, self._tell, outcomes)

    def _next_batch(self) -> Batch:
        return [self._jobs.popleft() for _ in range(min(len(self._jobs), MAX_BATCH))]

    def _tell(self, outcomes: Outcomes) -> None:
        self._is_busy = False
        fire(outcomes)
        self._plan()

    def _end_reading(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
