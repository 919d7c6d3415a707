"""Putting off what is due for a dead destination, without trying it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.queue.destination import Destination
from mailframe.queue.ledger import Answer, Ask
from mailframe.queue.records import Row
from mailframe.queue.settlement import Settlement, Tried, is_returning, returned
from mailframe.runtime.aio import Background

_AT_ONCE = 50
_PAUSE_AFTER_ERROR = 5.0


class Suspension:
    def __init__(
        self,
        lease: Callable[[Ask], Awaitable[Answer]],
        settlement: Settlement,
        clock: IReactorTime,
        background: Background,
        *,
        is_running: Callable[[], bool],
        put_off: Callable[[str, float | None], None],
    ) -> None:
        """``put_off`` is told of each lane when it is done with it, and when the next recipient
        there is due; ``is_running`` tells whether to go on."""
        self._lease = lease
        self._settlement = settlement
        self._clock = clock
        self._background = background
        self._is_running = is_running
        self._put_off = put_off
        self._lanes: set[str] = set()

    def suspend(self, lane: str, destination: Destination) -> None:
        """Put off what is due there, for as long as the destination is dead."""
        if lane not in self._lanes:
            self._lanes.add(lane)
            self._background.start(self._suspend(lane, destination), f"putting off {lane}")

    async def _suspend(self, lane: str, destination: Destination) -> None:
        following: float | None = self._clock.seconds() + _PAUSE_AFTER_ERROR
        try:
            while self._is_running() and destination.is_dead(self._clock.seconds()):
                answer = await self._lease(Ask(lane, _AT_ONCE))
                following = answer.next_at
                if not answer.leased:
                    break
                await self._settlement.settle(
                    [
                        Tried(each.message, row, _not_tried(row, destination))
                        for each in answer.leased
                        for row in each.rows
                    ]
                )
        finally:
            self._lanes.discard(lane)
            self._put_off(lane, following)


def _not_tried(row: Row, destination: Destination) -> DeliveryReport:
    if is_returning(row):
        return returned(row)
    heard = destination.reply
    if heard is None or not heard.is_transient:
        heard = Reply(451, status.NO_ANSWER, "no answer" if heard is None else heard.text)
    reply = heard.with_text(f"Not tried, the destination failed lately: {heard.text}")
    return DeliveryReport(row.recipient, Outcome.DEFERRED, reply)
