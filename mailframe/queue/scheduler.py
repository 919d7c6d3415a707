"""The queue: what is due is leased, handed to couriers, and settled.

Promises
    Fresh mail goes at once, without polling and before retries; where there is room it goes
    as it is in memory (``handover``). A destination at its limit, or dead, costs nothing: its
    lanes are parked in memory and not looked at in the database. No recipient is tried
    earlier than its schedule says. Memory holds the lanes due within minutes and the batches
    under way, however long the queue.

Does not
    decide where mail goes (``IRouter``), or speak a protocol (``ICourier``).

One lease runs at a time; what comes due meanwhile goes with the next one, so the batch is
what arrived while the disk was busy. There is one timer, for the earliest lane.

Several workers may have a queue each on one spool. Of a lane only its owner (``ownership``)
takes leases; who knows of something due in another's lane tells the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mailframe.core.events import RecipientFailed
from mailframe.core.routing import Route
from mailframe.interfaces import (
    ICourier,
    IGroupCourier,
    IJournal,
    IPeers,
    IRecipientResolver,
    IRouter,
    ISigner,
)
from mailframe.queue import ledger, recovery
from mailframe.queue.agenda import Agenda
from mailframe.queue.bounces import FULL_RETURN_LIMIT, Bounces
from mailframe.queue.choice import Choice, Hold
from mailframe.queue.errands import Errands
from mailframe.queue.handover import Handover
from mailframe.queue.leasing import Leasing
from mailframe.queue.ledger import Answer, Ask
from mailframe.queue.ownership import Ownership
from mailframe.queue.records import probe_of
from mailframe.queue.retry import RetrySchedule
from mailframe.queue.routing import Routing
from mailframe.queue.schema import micros
from mailframe.queue.settlement import Settlement
from mailframe.queue.spool import Recovery, Spool
from mailframe.queue.suspension import Suspension
from mailframe.queue.traffic import LOCAL, Traffic
from mailframe.runtime.aio import Background, as_deferred
from mailframe.runtime.peers import Alone

_REFILL_SECONDS = 300.0
_HORIZON_SECONDS = 2 * _REFILL_SECONDS
_DOUBTFUL_AT_ONCE = 50
_LANES_AT_ONCE = 100
_PAUSE_AFTER_ERROR = 5.0
# A lease outlives the longest attempt by this much, for waiting to be tried and for writing
# down what came of it.
_LEASE_MARGIN = 3600.0
# Local messages under way: the more there are, the less each costs a courier that takes many
# at once, and the more a crash leaves in doubt. Another one works on each by itself.
_LOCAL_IN_GROUPS = 2048
_LOCAL_ONE_BY_ONE = 40
_DUE = "due"  # between workers: lanes in which something is due
_WAKE = "wake"


class Queue:
    """The schedule of one spool."""

    log = Logger()

    def __init__(
        self,
        spool: Spool,
        router: IRouter,
        couriers: Mapping[str, ICourier],
        *,
        resolver: IRecipientResolver,
        journal: IJournal,
        ids: Callable[[], str],
        clock: IReactorTime,
        random: Callable[[], float],
        hostname: str,
        retry: Sequence[int],
        expire: int,
        warn_after: int,
        concurrency_per_destination: int = 20,
        rate_per_destination: int = 0,
        concurrency: int = 200,
        local_concurrency: int | None = None,
        attempt_seconds: float = 3600.0,
        stop_seconds: float = 20.0,
        full_return_limit: int = FULL_RETURN_LIMIT,
        signer: ISigner | None = None,
        recipient_failed: Callable[[RecipientFailed], None] = lambda event: None,
        peers: IPeers | None = None,
    ) -> None:
        """``retry``, ``expire`` and ``warn_after`` (0: never) in seconds, see RetrySchedule.
        ``resolver`` finds out where reports to senders go. ``ids`` makes queue ids for them.
        ``random`` yields numbers of [0, 1). ``concurrency`` counts attempts at other hosts, and
        those of each courier to a program here, ``local_concurrency`` those at mailboxes; None:
        as many as suits the courier.
        ``rate_per_destination`` is attempts a minute, 0 for any number. An attempt is
        given up after ``attempt_seconds``; ``stop`` waits for those under way for
        ``stop_seconds``. ``signer`` signs reports. ``recipient_failed`` is told
        of recipients of logged-in senders who were refused for good. ``peers``: the other
        workers of the server, None: there are none."""
        self._spool = spool
        self._clock = clock
        self._stop_seconds = stop_seconds
        self._peers: IPeers = peers if peers is not None else Alone(spool.node)
        self._ownership = Ownership(self._peers)
        self._schedule = RetrySchedule(retry, expire, warn_after, random)
        bounces = Bounces(
            spool,
            resolver,
            ids,
            hostname=hostname,
            signer=signer,
            full_return_limit=full_return_limit,
        )
        settlement = Settlement(
            spool,
            self._schedule,
            bounces,
            journal=journal,
            clock=clock,
            later=self._see_to,
            recipient_failed=recipient_failed,
        )
        if local_concurrency is None:
            in_groups = IGroupCourier.providedBy(couriers.get(LOCAL))
            local_concurrency = _LOCAL_IN_GROUPS if in_groups else _LOCAL_ONE_BY_ONE
        self._agenda = Agenda()
        self._traffic = Traffic(
            self._agenda.line,
            concurrency=concurrency,
            local_concurrency=local_concurrency,
            most=concurrency_per_destination,
            per_minute=rate_per_destination,
            rest=float(self._schedule.first_wait),
        )
        self._routing = Routing(router, couriers)
        self._errands = Errands(
            spool,
            self._routing,
            self._traffic,
            settlement,
            journal=journal,
            clock=clock,
            seconds=attempt_seconds,
            left=self._pump_soon,
        )
        self._leasing = Leasing(spool, clock, attempt_seconds + _LEASE_MARGIN)
        self._handover = Handover(
            self._errands,
            self._routing,
            self._ownership,
            self._traffic,
            clock,
            lease_seconds=self._leasing.seconds,
            due=self._due,
        )
        self._background = Background()
        self._suspension = Suspension(
            self._leasing.lease_one,
            settlement,
            clock,
            self._background,
            is_running=lambda: self._running,
            put_off=self._was_put_off,
        )
        self._choice = Choice(
            self._agenda,
            self._traffic,
            self._routing,
            self._ownership,
            self._suspension.suspend,
            tell_owner=lambda lane: self._peers.tell(_DUE, [lane]),
            takes_groups=self._errands.takes_groups,
        )
        self._running = False
        self._is_leasing = False
        self._filling = False
        self._jumps = 0
        """How often the clock was set."""
        self._filled_until = 0.0
        self._refill_at = 0.0
        self._timer: IDelayedCall | None = None
        spool.hand_to(self._handover)
        self._peers.hear(_DUE, self._heard_due)
        self._peers.hear(_WAKE, lambda note, worker: self._wake())
        self._peers.lost(self._lost)

    # ---- life

    async def recover(self) -> Recovery:
        """Put the spool in order, then deliver again to mailboxes here what was in flight;
        programs get theirs when the queue runs.

        To be awaited before any listener opens: a message that did reach its mailbox must be
        recognised there before a client can delete it.
        """
        found = await self._spool.recover(self._schedule.longest_wait)
        await self._repeat(found.in_doubt)
        return found

    async def _repeat(self, lanes: Iterable[str]) -> None:
        """Deliver again what is in doubt there, and only that: others that are due, and older,
        must not take their turn."""
        asks = [
            Ask(lane, _DOUBTFUL_AT_ONCE, doubtful_only=True, with_content=True) for lane in lanes
        ]
        for start in range(0, len(asks), _LANES_AT_ONCE):
            some = asks[start : start + _LANES_AT_ONCE]
            while some:
                answers = await self._leasing.lease(some, self._handover.octets_left)
                some = [answer.ask for answer in answers if answer.leased]
                self._errands.begin_leased(chain.from_iterable(a.leased for a in answers))
                await self._errands.ended()

    def start(self) -> None:
        """Begin to work; ``recover`` came before."""
        self._running = True
        self._handover.start()
        self._refill()

    def stop(self) -> Deferred[None]:
        """Take nothing more; wait for the attempts under way, but not for ever. What is cut
        off then stays leased and is tried again after the next start."""
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._handover.stop()
        return as_deferred(self._stop())

    async def _stop(self) -> None:
        ended = self._background.ended()
        timer = self._clock.callLater(self._stop_seconds, self._background.stop)
        await self._errands.stop(self._stop_seconds)
        await ended
        if timer.active():
            timer.cancel()

    @property
    def is_running(self) -> bool:
        """Whether what is due is tried."""
        return self._running

    def wake(self) -> None:
        """Look at the tables anew: somebody else changed them (``mailframe queue flush``).
        Destinations that were given a rest are tried again. Other workers do it too."""
        self._peers.tell(_WAKE, None)
        self._wake()

    def _wake(self) -> None:
        self._traffic.wake()
        if self._running:
            self._refill()

    def clock_jumped(self, seconds: float) -> None:
        """The clock was set by so much: retries keep their distance, and messages their age.
        Attempts under way settle by the new time."""
        self._jumps += 1
        self._traffic.clock_jumped(seconds)
        self._errands.deadlines.clock_jumped(seconds)
        self._agenda.forget_later()
        # Every worker hears of the clock; the rows are all of theirs.
        by = seconds if self._ownership.is_first else 0.0
        self._background.start(self._shift(by), "following the clock")

    async def _shift(self, seconds: float) -> None:
        if seconds:
            await self._spool.database.write(
                lambda connection: recovery.shift(connection, micros(seconds))
            )
            self._peers.tell(_WAKE, None)
        if self._running:
            self._refill()

    # ---- other workers

    def _is_own(self, lane: str) -> bool:
        route = self._routing.route(probe_of(lane))
        return self._ownership.is_own(route.next_hop if isinstance(route, Route) else lane)

    def _heard_due(self, lanes: list[str], worker: str) -> None:
        for lane in lanes:
            if self._is_own(lane):
                self._agenda.line.push(lane, fresh=True)
            else:
                # For a moment workers may differ about who is there.
                self._agenda.at(self._clock.seconds() + 1.0, lane)
        self._pump_soon()

    def _lost(self, worker: str) -> None:
        """It is dead: what it was trying is in doubt, and its lanes have other owners now."""
        self._background.start(self._inherit(worker), f"what {worker} was delivering")

    async def _inherit(self, worker: str) -> None:
        try:
            for lane in await self._spool.release(worker):
                if self._is_own(lane):
                    self._agenda.line.push(lane, fresh=False)
        finally:
            if self._running:
                self._refill()

    def _due(self, lanes: Iterable[str]) -> None:
        others = []
        for lane in lanes:
            if self._is_own(lane):
                self._agenda.line.push(lane, fresh=True)
            else:
                others.append(lane)
        if others:
            self._peers.tell(_DUE, others)
        self._pump_soon()

    # ---- what is due

    def _see_to(self, lane: str, time: float) -> None:
        """Remember when a lane is due; what is far away is found by the next refill."""
        if time <= self._filled_until:
            self._agenda.at(time, lane)
            self._arm(time)

    def _refill(self) -> None:
        if not self._filling:
            self._filling = True
            self._background.start(self._fill(), "looking for what is due")

    async def _fill(self) -> None:
        now, jumps = self._clock.seconds(), self._jumps
        until = now + _HORIZON_SECONDS
        try:
            for worker in await self._spool.gone():
                await self._inherit(worker)
            lanes = await self._spool.database.read(
                lambda connection: ledger.lanes_due(connection, until)
            )
            self._filled_until = until
            self._refill_at = now + _REFILL_SECONDS
            for lane, time in lanes:
                if self._is_own(lane):
                    self._agenda.at(time, lane)
        except BaseException:
            self._refill_at = now + _PAUSE_AFTER_ERROR
            raise
        finally:
            self._filling = False
            if jumps != self._jumps:
                self._refill()  # what was found goes by the old time
            self._pump_soon()

    def _pump_soon(self) -> None:
        """One look for all that happens in this turn of the reactor."""
        self._arm(self._clock.seconds())

    def _arm(self, time: float) -> None:
        if not self._running:
            return
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= time:
                return
            self._timer.cancel()
        delay = max(0.0, time - self._clock.seconds())
        self._timer = self._clock.callLater(delay, self._pump)

    def _pump(self) -> None:
        if not self._running or self._is_leasing:
            return  # the lease under way pumps again when it is done
        now = self._clock.seconds()
        if now >= self._refill_at:
            self._refill()
        self._agenda.advance(now)
        if holds := self._choice.choose(now):
            self._is_leasing = True
            self._background.start(self._lease_and_dispatch(holds), "leasing")
        else:
            # While a refill is under way its time has come already: whoever waited for that
            # would look again and again.
            refill = max(self._refill_at, now + 1)
            following = self._agenda.next_time()
            self._arm(refill if following is None else min(following, refill))

    async def _lease_and_dispatch(self, holds: Sequence[Hold]) -> None:
        try:
            asks = [hold.ask for hold in holds]
            answers = await self._leasing.lease(asks, self._handover.octets_left)
        except BaseException:
            for hold in holds:
                hold.release()
                self._agenda.at(self._clock.seconds() + _PAUSE_AFTER_ERROR, hold.ask.lane)
            raise
        else:
            for hold in holds:
                hold.release()
            self._errands.begin_leased(chain.from_iterable(a.leased for a in answers))
            for answer in answers:
                self._put_back(answer)
            for hold in holds:
                if hold.places is not None:
                    self._traffic.offer(hold.places, self._clock.seconds())
        finally:
            self._is_leasing = False
            self._pump_soon()

    def _put_back(self, answer: Answer) -> None:
        """The rest of the lane waits for its time, or in line if it is due already."""
        if answer.next_at is None:
            return
        if answer.next_at <= self._clock.seconds():
            self._agenda.line.push(answer.ask.lane, fresh=False)
        else:
            self._see_to(answer.ask.lane, answer.next_at)

    def _was_put_off(self, lane: str, following: float | None) -> None:
        """By ``Suspension``."""
        if following is not None:
            self._see_to(lane, following)
        self._pump_soon()
