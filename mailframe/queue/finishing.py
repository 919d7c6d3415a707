"""Recipients that are done, and of whom nobody is told, struck off the tables together.

As new messages go in (``inserting``), so they go out: the writer's job takes whatever has come
until it runs, and what ends while a commit waits for the disk goes with the next one, as one
job. What cannot be written so, because the disk is in trouble or a row is not ours any more, is
left to ``settlement``, each attempt for itself, which knows whom it concerns and has patience.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from mailframe.queue import ledger
from mailframe.queue.records import Message
from mailframe.queue.settlement import Decision, Settlement, Tried
from mailframe.runtime.aio import Background
from mailframe.runtime.database import Database


@dataclass(frozen=True, eq=False, slots=True)
class _Ended:
    """What came of one attempt, or of several that were made together."""

    tried: Sequence[Tried]
    whole: Sequence[Message]
    decisions: Sequence[Decision]
    time: float


class Finishing:
    """``background`` is told of what is under way."""

    log = Logger()

    def __init__(self, database: Database, settlement: Settlement, background: Background) -> None:
        self._database = database
        self._settlement = settlement
        self._background = background
        self._waiting: deque[_Ended] = deque()
        self._is_planned = False

    def add(self, tried: Sequence[Tried], whole: Sequence[Message], now: float) -> bool:
        """Take note of them, as ``Settlement.settle`` does. False where that is its business: not
        all of them are done, or somebody has to be told."""
        decisions = self._settlement.quiet_decisions(tried, now)
        if decisions is None:
            return False
        self._waiting.append(_Ended(tried, whole, decisions, now))
        if not self._is_planned:
            self._is_planned = True
            self._background.start(self._finish([]), "striking off what is done")
        return True

    async def _finish(self, batch: list[_Ended]) -> None:
        try:
            removed = await self._database.write(partial(self._take_and_write, batch))
        except CancelledError:
            raise
        except ledger.Fenced:
            self._settle_apart(batch)
        except Exception:  # noqa: BLE001 - each of them finds out for itself what it was
            self.log.failure("cannot settle {count} attempts together", count=len(batch))
            self._settle_apart(batch)
        else:
            for ended in batch:
                self._settlement.record(ended.decisions, ended.time)
            await self._settlement.forget(removed)

    def _settle_apart(self, batch: list[_Ended]) -> None:
        if not batch:  # the job was not even taken: the writer is too far behind
            self._is_planned = False
            self._take(batch)
        for ended in batch:
            settling = self._settlement.settle(ended.tried, ended.whole)
            self._background.start(settling, "settling")

    def _take_and_write(
        self, batch: list[_Ended], connection: sqlite3.Connection
    ) -> list[tuple[str, bool]]:
        """On the writer's thread. What is added from here on needs another job, or may be taken
        by this one. Where another job of the commit fails it runs once more."""
        self._is_planned = False
        self._take(batch)
        changes = [each.change for ended in batch for each in ended.decisions]
        whole = [message for ended in batch for message in ended.whole]
        return ledger.settle(connection, changes, (), whole)

    def _take(self, batch: list[_Ended]) -> None:
        while self._waiting:
            batch.append(self._waiting.popleft())
