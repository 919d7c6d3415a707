"""Attempts under way: each errand is tried, what it taught is remembered, and it is settled.

Errands for a courier that takes many at once, and whose messages are in memory, wait for each
other (``gathering``); what gathers is bounded by what may be under way at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailframe.core.routing import Route
from mailframe.interfaces import ICourier, IGroupCourier, IJournal
from mailframe.queue.attempt import Attempt, attempt, attempt_together
from mailframe.queue.deadlines import Deadlines
from mailframe.queue.errand import Errand
from mailframe.queue.finishing import Finishing
from mailframe.queue.gathering import Gathering, Intake
from mailframe.queue.ledger import Leased
from mailframe.queue.records import Row
from mailframe.queue.routing import Routing
from mailframe.queue.settlement import Settlement, Tried, is_returning, returned
from mailframe.queue.spool import Spool
from mailframe.queue.traffic import Traffic, Way
from mailframe.runtime.aio import Background, as_deferred


class Errands:
    def __init__(
        self,
        spool: Spool,
        routing: Routing,
        traffic: Traffic,
        settlement: Settlement,
        *,
        journal: IJournal,
        clock: IReactorTime,
        seconds: float,
        left: Callable[[], None],
    ) -> None:
        """An attempt is given up after ``seconds``. ``left`` is called when places are free."""
        self._spool = spool
        self._routing = routing
        self._traffic = traffic
        self._settlement = settlement
        self._journal = journal
        self._clock = clock
        self._left = left
        self.deadlines = Deadlines(clock, seconds)
        self.intake = Intake(clock)
        self._background = Background()
        self._finishing = Finishing(spool.database, settlement, self._background)
        self._gatherings: dict[str, Gathering] = {}
        """By courier."""
        self.octets = 0
        """Of messages in memory."""
        self._is_stopping = False
        self._is_over = False

    # ---- life

    def stop(self, seconds: float) -> Deferred[None]:
        """Fires when what was begun has ended; after so long it is cut off."""
        self._is_stopping = True
        for gathering in list(self._gatherings.values()):
            gathering.hurry()
        return as_deferred(self._stop(seconds))

    async def _stop(self, seconds: float) -> None:
        timer = self._clock.callLater(seconds, self._cut_off)
        await self.ended()
        if timer.active():
            timer.cancel()
        self.deadlines.stop()

    def _cut_off(self) -> None:
        self._is_over = True
        self._background.stop()

    async def ended(self) -> None:
        """Returns when nothing is under way."""
        while len(self._background):
            await self._background.ended()

    # ---- what is tried

    def add(self, errands: Iterable[Errand]) -> None:
        """Try them now, or when their destinations have room; ``deliver_gathered`` follows."""
        now = self._clock.seconds()
        for errand in errands:
            self.octets += errand.octets
            self._traffic.launch(errand.way, partial(self._start, errand), now)

    def begin_leased(self, leased: Iterable[Leased]) -> None:
        """Try what was leased."""
        for each in leased:
            ways: dict[Way, list[Row]] = {}
            judged: list[Tried] = []
            for row in each.rows:
                route = self._routing.route(row.recipient)
                if is_returning(row):
                    judged.append(Tried(each.message, row, returned(row)))
                elif isinstance(route, Route):
                    ways.setdefault(self._routing.way(row.recipient, route), []).append(row)
                else:
                    judged.append(Tried(each.message, row, route))
            self.add(
                Errand(way, each.message, tuple(rows), each.content) for way, rows in ways.items()
            )
            if judged:
                what = f"settling {each.message.queue_id}"
                self._background.start(self._settlement.settle(judged), what)
        self.deliver_gathered()

    def takes_groups(self, courier: str) -> bool:
        return IGroupCourier.providedBy(self._routing.couriers.get(courier))

    def _start(self, errand: Errand) -> None:
        name = errand.way.courier
        if errand.content is not None and self.takes_groups(name):
            self._gathering(name).add(errand)
        else:
            what = f"delivery of {errand.message.queue_id}"
            self._background.start(self._try(errand), what)

    def _gathering(self, courier: str) -> Gathering:
        found = self._gatherings.get(courier)
        if found is None:
            begin = partial(self._begin_group, courier)
            found = self._gatherings[courier] = Gathering(self.intake, self._clock, begin)
            if self._is_stopping:
                found.hurry()
        return found

    def _begin_group(self, courier: str, group: list[Errand]) -> None:
        self._background.start(self._try_together(courier, group), "delivering a group")

    def deliver_gathered(self) -> None:
        """Begin those groups that wait for nobody."""
        if self._is_over:
            return
        for gathering in list(self._gatherings.values()):
            gathering.go_on()

    async def _try(self, errand: Errand) -> None:
        courier: ICourier = self._routing.couriers[errand.way.courier]
        try:
            result = await attempt(courier, errand.batch(self._spool), self.deadlines)
            self._learn(errand.way, result)
        finally:
            self._leave([errand])
        await self._settle([errand], [result])

    async def _try_together(self, name: str, group: Sequence[Errand]) -> None:
        courier = IGroupCourier(self._routing.couriers[name])
        try:
            batches = [errand.batch(self._spool) for errand in group]
            results = await attempt_together(courier, batches, self.deadlines)
            for errand, result in zip(group, results, strict=True):
                self._learn(errand.way, result)
        finally:
            self._gatherings[name].ended()
            self._leave(group)
        await self._settle(group, results)

    def _learn(self, way: Way, result: Attempt) -> None:
        destination = self._traffic.destination(way)
        if result.unreachable is not None:
            destination.failed(self._clock.seconds(), result.unreachable)
        elif not result.unknown:
            destination.succeeded()

    def _leave(self, errands: Sequence[Errand]) -> None:
        """Attempts ended: whoever waited for their places may have them."""
        for errand in errands:
            self.octets -= errand.octets
            self._traffic.leave(errand.way)
        if not self._is_stopping:
            now = self._clock.seconds()
            for way in {errand.way for errand in errands}:
                self._traffic.go_on(way, now)
            self._left()
        self.deliver_gathered()

    async def _settle(self, errands: Sequence[Errand], results: Sequence[Attempt]) -> None:
        tried = []
        for errand, result in zip(errands, results, strict=True):
            self._record(errand, result)
            tried += [
                Tried(errand.message, row, report, result.unknown or report.unknown)
                for row, report in zip(errand.rows, result.reports, strict=True)
            ]
        whole = [errand.message for errand in errands if errand.is_whole]
        if not self._finishing.add(tried, whole, self._clock.seconds()):
            await self._settlement.settle(tried, whole)

    def _record(self, errand: Errand, result: Attempt) -> None:
        heard = next((report for report in result.reports if report.remote), result.reports[0])
        self._journal.record(
            errand.message.queue_id,
            "attempt",
            heard.outcome.value,
            courier=errand.way.courier,
            next_hop=errand.way.next_hop,
            remote=heard.remote,
            remote_ip=heard.remote_ip,
            reply=[f"{report.recipient.address}: {report.reply}" for report in result.reports],
            reason=heard.detail or None,
        )
