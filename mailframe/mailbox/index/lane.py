"""Jobs of one kind over an account's index: one batch at a time, in order.

What is patient, a turn of a long search, has one batch to itself and takes it in turn with the
others: whoever reads one message waits for a turn of a search, never for the search, and of
several searches none waits for another's end.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

REBUILT = Reply(451, status.SYSTEM_OTHER, "The mailbox index is being rebuilt, try again")
_MAX_BATCH = 256
_BACKLOG = 4_000  # jobs of one account that may wait


class Queued(NamedTuple):
    job: Job[Any]
    done: Deferred[Any]
    then: Callable[[Any], None] | None = None
    lasts: bool = True
    """Its commit must survive a power cut."""
    patient: bool = False
    first: Job[Any] | None = None
    """Committed before the others of its batch begin, which it leads."""
    confirm: Callable[[Any], None] | None = None
    """Called with the result when that is committed, by the same worker, before anything else
    is begun: it is the last of its batch. What it raises becomes of the job, too."""


class Lane:
    """``work`` does a batch on one of the ``workers``; its results are in the same order."""

    log = Logger()

    def __init__(
        self,
        path: str,
        workers: IWorkers,
        work: Callable[[list[Queued]], list[Any]],
        *,
        drops: bool = False,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """``path``: the index's file. ``drops``: what nobody waits for any more is not begun.
        ``ended`` is called after each batch, before anybody hears what became of it."""
        self._path = path
        self._workers = workers
        self._work = work
        self._drops = drops
        self._on_end = ended
        self._waiting: deque[Queued] = deque()
        self._patient: deque[Queued] = deque()
        self._was_patient = False
        """The last batch."""
        self._running = False

    @property
    def is_busy(self) -> bool:
        return self._running or bool(self._waiting or self._patient)

    def add(self, queued: Queued) -> Deferred[Any]:
        done = queued.done
        if len(self._waiting) + len(self._patient) >= _BACKLOG:
            done.errback(TransientFailure(REBUILT, f"{self._path}: too many jobs wait"))
            return done
        (self._patient if queued.patient else self._waiting).append(queued)
        self._start()
        return done

    def begin_pause(self) -> None:
        """Nothing is begun until ``end_pause``; it must be idle."""
        self._running = True

    def end_pause(self) -> None:
        self._running = False
        self._start()

    def _start(self) -> None:
        if self._running:
            return
        batch = self._next_batch()
        if batch:
            self._running = True
            self._workers.run(self._work, batch).addBoth(self._ended, batch)

    def _next_batch(self) -> list[Queued]:
        queues = [(self._waiting, _MAX_BATCH), (self._patient, 1)]
        if not self._was_patient:
            queues.reverse()
        for queue, most in queues:
            batch = self._taken(queue, most)
            if batch:
                self._was_patient = queue is self._patient
                return batch
        return []

    def _taken(self, queue: deque[Queued], most: int) -> list[Queued]:
        batch: list[Queued] = []
        while queue and len(batch) < most:
            if batch and (queue[0].first is not None or batch[-1].confirm is not None):
                break
            queued = queue.popleft()
            if not (self._drops and queued.done.called):
                batch.append(queued)
        return batch

    def _ended(self, result: Any, batch: list[Queued]) -> None:
        self._running = False
        self._on_end()
        outcomes = [result] * len(batch) if isinstance(result, Failure) else result
        for queued, outcome in zip(batch, outcomes, strict=True):
            if queued.then is not None and not isinstance(outcome, Failure):
                try:
                    queued.then(outcome)
                except Exception:  # noqa: BLE001 - the commit is done; the others are told too
                    self.log.failure("what follows a commit failed")
            if not queued.done.called:
                queued.done.callback(outcome)
        self._start()
