"""Taking leases in the spool's tables, for as long as an attempt may last."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime

from mailframe.queue import ledger
from mailframe.queue.ledger import Answer, Ask
from mailframe.queue.spool import Spool


class Leasing:
    def __init__(self, spool: Spool, clock: IReactorTime, seconds: float) -> None:
        """A lease ends after ``seconds``, unless it is settled before."""
        self.seconds = seconds
        self._spool = spool
        self._clock = clock

    async def lease(self, asks: Sequence[Ask], octets: int = 0) -> list[Answer]:
        """An answer to each, in their order, with so many octets of content at most. What is
        damaged is set aside, and logged."""
        now, node = self._clock.seconds(), self._spool.node
        answers = await self._spool.database.write(
            lambda connection: ledger.lease(connection, asks, now, now + self.seconds, node, octets)
        )
        for answer in answers:
            for odd in answer.damaged:
                self._spool.tell_odd(odd)
        return answers

    async def lease_one(self, ask: Ask) -> Answer:
        return (await self.lease([ask]))[0]
