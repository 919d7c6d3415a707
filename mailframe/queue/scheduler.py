"""The queue: what is due is leased, handed to couriers, and settled.

Promises
    Fresh mail goes at once, without polling and before retries. A destination at its limit,
    or dead, costs nothing: its lanes are parked in memory and not looked at in the database.
    No recipient is tried earlier than its schedule says. Memory holds the lanes due within
    minutes and the batches under way, however long the queue.

Does not
    decide where mail goes (``IRouter``), or speak a protocol (``ICourier``).

One lease runs at a time; what comes due meanwhile goes with the next one, so the batch is
what arrived while the disk was busy. There is one timer, for the earliest lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.events import RecipientFailed
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.routing import Route
from mailframe.errors import INTERNAL_ERROR, Failure
from mailframe.interfaces import Batch, ICourier, IJournal, IRecipientResolver, IRouter, ISigner
from mailframe.queue import ledger
from mailframe.queue.agenda import Agenda
from mailframe.queue.attempt import Attempt, attempt
from mailframe.queue.bounces import FULL_RETURN_LIMIT, Bounces
from mailframe.queue.destination import Destination
from mailframe.queue.ledger import Answer, Ask, Leased
from mailframe.queue.records import Message, Row, probe_of
from mailframe.queue.retry import RetrySchedule
from mailframe.queue.schema import Lease, micros
from mailframe.queue.settlement import Settlement, Tried, is_returning, returned
from mailframe.queue.spool import Recovery, Spool
from mailframe.queue.traffic import Places, Traffic, Way
from mailframe.runtime.aio import Background, as_deferred

NO_COURIER = Reply(451, status.UNABLE_TO_ROUTE, "No way to this destination at present")

_REFILL_SECONDS = 300.0
_HORIZON_SECONDS = 2 * _REFILL_SECONDS
_LANES_PER_LEASE = 100
_BATCHES_PER_LANE = 10
_SUSPENDED_AT_ONCE = 50
_PAUSE_AFTER_ERROR = 5.0
# A lease outlives the longest attempt by this much, for writing down what came of it.
_LEASE_MARGIN = 3600.0


@dataclass(frozen=True, slots=True)
class _Hold:
    """A lane to lease from, with the room that is kept for what that will bring."""

    ask: Ask
    places: Places | None
    """None where the lane has no single way."""

    def release(self) -> None:
        if self.places is not None:
            self.places.release()


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
        local_concurrency: int = 40,
        attempt_seconds: float = 3600.0,
        stop_seconds: float = 20.0,
        full_return_limit: int = FULL_RETURN_LIMIT,
        signer: ISigner | None = None,
        recipient_failed: Callable[[RecipientFailed], None] = lambda event: None,
    ) -> None:
        """``retry``, ``expire`` and ``warn_after`` (0: never) in seconds, see RetrySchedule.
        ``resolver`` finds out where reports to senders go. ``ids`` makes queue ids for them.
        ``random`` yields numbers of [0, 1). ``concurrency`` counts attempts that are not
        local. ``rate_per_destination`` is attempts a minute, 0 for any number. An attempt is
        given up after ``attempt_seconds``; ``stop`` waits for those under way for
        ``stop_seconds``. ``signer`` signs reports. ``recipient_failed`` is told
        of recipients of logged-in senders who were refused for good."""
        self._spool = spool
        self._router = router
        self._couriers = couriers
        self._journal = journal
        self._clock = clock
        self._attempt_seconds = attempt_seconds
        self._stop_seconds = stop_seconds
        self._schedule = RetrySchedule(retry, expire, warn_after, random)
        bounces = Bounces(
            spool,
            resolver,
            ids,
            hostname=hostname,
            signer=signer,
            full_return_limit=full_return_limit,
        )
        self._settlement = Settlement(
            spool,
            self._schedule,
            bounces,
            journal=journal,
            clock=clock,
            later=self._see_to,
            recipient_failed=recipient_failed,
        )
        self._agenda = Agenda()
        self._traffic = Traffic(
            self._agenda.line,
            concurrency=concurrency,
            local_concurrency=local_concurrency,
            most=concurrency_per_destination,
            per_minute=rate_per_destination,
            rest=float(self._schedule.first_wait),
        )
        self._background = Background()
        self._suspending: set[str] = set()
        self._running = False
        self._stopping = False
        self._leasing = False
        self._filling = False
        self._jumps = 0
        """How often the clock was set."""
        self._filled_until = 0.0
        self._refill_at = 0.0
        self._timer: IDelayedCall | None = None
        spool.subscribe(self._committed)

    # ---- life

    async def recover(self) -> Recovery:
        """Put the spool in order, then deliver again to mailboxes here what was in flight.

        To be awaited before any listener opens: a message that did reach its mailbox must be
        recognised there before a client can delete it.
        """
        recovery = await self._spool.recover(self._schedule.longest_wait)
        for lane in recovery.in_doubt:
            # Only these: others that are due, and older, must not take their turn.
            while answer := await self._lease_doubtful(lane):
                repeated: list[Deferred[None]] = []
                for leased in answer.leased:
                    repeated += self._dispatch(leased)
                for done in repeated:
                    await done
        return recovery

    async def _lease_doubtful(self, lane: str) -> Answer | None:
        answer = (await self._lease([Ask(lane, _SUSPENDED_AT_ONCE, doubtful_only=True)]))[0]
        return answer if answer.leased else None

    def start(self) -> None:
        """Begin to work; ``recover`` came before."""
        self._running = True
        self._refill()

    def stop(self) -> Deferred[None]:
        """Take nothing more; wait for the attempts under way, but not for ever. What is cut
        off then stays leased and is tried again after the next start."""
        self._running = False
        self._stopping = True
        self._cancel_timer()
        return as_deferred(self._stop())

    async def _stop(self) -> None:
        ended = self._background.ended()
        timer = self._clock.callLater(self._stop_seconds, self._background.stop)
        await ended
        if timer.active():
            timer.cancel()

    def wake(self) -> None:
        """Look at the tables anew: somebody else changed them (``mailframe queue flush``).
        Destinations that were given a rest are tried again."""
        self._traffic.wake()
        if self._running:
            self._refill()

    def clock_jumped(self, seconds: float) -> None:
        """The clock was set by so much: retries keep their distance, and messages their age.
        Attempts under way settle by the new time."""
        self._jumps += 1
        self._traffic.clock_jumped(seconds)
        self._agenda.forget_later()
        self._background.start(self._shift(seconds), "following the clock")

    async def _shift(self, seconds: float) -> None:
        await self._spool.database.write(
            lambda connection: ledger.shift(connection, micros(seconds))
        )
        if self._running:
            self._refill()

    # ---- what is due

    def _committed(self, lanes: tuple[str, ...]) -> None:
        for lane in lanes:
            self._agenda.line.push(lane, fresh=True)
        self._pump_soon()

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
            lanes = await self._spool.database.read(
                lambda connection: ledger.lanes_due(connection, until)
            )
            self._filled_until = until
            self._refill_at = now + _REFILL_SECONDS
            for lane, time in lanes:
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

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _pump(self) -> None:
        if not self._running or self._leasing:
            return  # the lease under way pumps again when it is done
        now = self._clock.seconds()
        if now >= self._refill_at:
            self._refill()
        self._agenda.advance(now)
        if holds := self._choose(now):
            self._leasing = True
            self._background.start(self._lease_and_dispatch(holds), "leasing")
        else:
            # While a refill is under way its time has come already: whoever waited for that
            # would look again and again.
            refill = max(self._refill_at, now + 1)
            following = self._agenda.next_time()
            self._arm(refill if following is None else min(following, refill))

    def _choose(self, now: float) -> list[_Hold]:
        """Lanes that may be leased from, with room kept for them; the others are parked."""
        holds: list[_Hold] = []
        while len(holds) < _LANES_PER_LEASE and (entry := self._agenda.line.pop()):
            if hold := self._consider(*entry, now):
                holds.append(hold)
        return holds

    def _consider(self, lane: str, fresh: bool, now: float) -> _Hold | None:
        route = self._route(probe_of(lane))
        if not isinstance(route, Route):
            # Which recipients have no way, and why, is found out one by one.
            return _Hold(Ask(lane, _BATCHES_PER_LANE), None)
        way = (route.courier, route.next_hop)
        destination = self._traffic.destination(way)
        if destination.is_dead(now):
            self._suspend(lane, destination)
            return None
        if wait := destination.pace.wait(now):
            self._agenda.at(now + wait, lane)
            return None
        places = self._traffic.reserve(way, lane, fresh, _BATCHES_PER_LANE, now)
        return _Hold(Ask(lane, places.count, fresh_only=fresh), places) if places else None

    async def _lease(self, asks: Sequence[Ask]) -> list[Answer]:
        now = self._clock.seconds()
        until = now + self._attempt_seconds + _LEASE_MARGIN
        answers = await self._spool.database.write(
            lambda connection: ledger.lease(connection, asks, now, until)
        )
        for answer in answers:
            for odd in answer.damaged:
                self._spool.tell_odd(odd)
        return answers

    async def _lease_and_dispatch(self, holds: Sequence[_Hold]) -> None:
        try:
            answers = await self._lease([hold.ask for hold in holds])
        except BaseException:
            for hold in holds:
                hold.release()
                self._agenda.at(self._clock.seconds() + _PAUSE_AFTER_ERROR, hold.ask.lane)
            raise
        else:
            for hold, answer in zip(holds, answers, strict=True):
                hold.release()
                for leased in answer.leased:
                    self._dispatch(leased)
                self._put_back(answer)
            for hold in holds:
                if hold.places is not None:
                    self._traffic.offer(hold.places, self._clock.seconds())
        finally:
            self._leasing = False
            self._pump_soon()

    def _put_back(self, answer: Answer) -> None:
        """The rest of the lane waits for its time, or in line if it is due already."""
        if answer.next_at is None:
            return
        if answer.next_at <= self._clock.seconds():
            self._agenda.line.push(answer.ask.lane, fresh=False)
        else:
            self._see_to(answer.ask.lane, answer.next_at)

    # ---- attempts

    def _dispatch(self, leased: Leased) -> list[Deferred[None]]:
        """Start what was leased; each Deferred fires when a part of it is settled."""
        ways: dict[Way, list[Row]] = {}
        judged: list[Tried] = []
        for row in leased.rows:
            route = self._route(row.recipient)
            if is_returning(row):
                judged.append(Tried(leased.message, row, returned(row)))
            elif isinstance(route, Route):
                ways.setdefault((route.courier, route.next_hop), []).append(row)
            else:
                judged.append(Tried(leased.message, row, route))
        started = [self._launch(way, leased.message, rows) for way, rows in ways.items()]
        if judged:
            settling = self._settlement.settle(judged)
            started.append(self._background.start(settling, f"settling {leased.message.queue_id}"))
        return started

    def _route(self, recipient: Recipient) -> Route | DeliveryReport:
        """The way, or what becomes of a recipient that has none."""
        try:
            route = self._router.route(recipient)
        except Failure as failure:
            permanent = failure.reply.is_permanent
            outcome = Outcome.FAILED if permanent else Outcome.DEFERRED
            return DeliveryReport(recipient, outcome, failure.reply, detail=failure.detail)
        except Exception:  # noqa: BLE001 - our bug is never the sender's bounce
            self.log.failure("no route for {address}", address=str(recipient.address))
            return DeliveryReport(recipient, Outcome.DEFERRED, INTERNAL_ERROR)
        if route.courier not in self._couriers:
            detail = f"{route.why}: there is no courier {route.courier}"
            return DeliveryReport(recipient, Outcome.DEFERRED, NO_COURIER, detail=detail)
        return route

    def _launch(self, way: Way, message: Message, rows: Sequence[Row]) -> Deferred[None]:
        """Try now, or when the destination has room."""
        finished: Deferred[None] = Deferred()

        def start() -> None:
            what = f"delivery of {message.queue_id}"
            self._background.start(self._try(way, message, rows), what).addBoth(finished.callback)

        self._traffic.launch(way, start, self._clock.seconds())
        return finished

    async def _try(self, way: Way, message: Message, rows: Sequence[Row]) -> None:
        recipients = tuple(row.recipient for row in rows)
        batch = Batch(
            message=self._spool.stored(message, recipients),
            recipients=recipients,
            next_hop=way[1],
            attempt=1 + max(row.attempts for row in rows),
            repeats=any(row.lease is not Lease.FREE for row in rows),
        )
        try:
            result = await attempt(
                self._couriers[way[0]], batch, self._clock, self._attempt_seconds
            )
            self._learn(self._traffic.destination(way), result)
        finally:
            self._leave(way)
        self._record(way, message, result)
        await self._settlement.settle(
            [
                Tried(message, row, report, result.unknown)
                for row, report in zip(rows, result.reports, strict=True)
            ]
        )

    def _learn(self, destination: Destination, result: Attempt) -> None:
        if result.unreachable is not None:
            destination.failed(self._clock.seconds(), result.unreachable)
        elif not result.unknown:
            destination.succeeded()

    def _leave(self, way: Way) -> None:
        """An attempt ended: whoever waited for its place may have it."""
        self._traffic.leave(way)
        if not self._stopping:
            self._traffic.go_on(way, self._clock.seconds())
            self._pump_soon()

    def _record(self, way: Way, message: Message, result: Attempt) -> None:
        heard = next((report for report in result.reports if report.remote), result.reports[0])
        self._journal.record(
            message.queue_id,
            "attempt",
            heard.outcome.value,
            courier=way[0],
            next_hop=way[1],
            remote=heard.remote,
            remote_ip=heard.remote_ip,
            reply=[f"{report.recipient.address}: {report.reply}" for report in result.reports],
            reason=heard.detail or None,
        )

    # ---- dead destinations

    def _suspend(self, lane: str, destination: Destination) -> None:
        """Put off what is due in a lane whose destination is dead, without trying it."""
        if lane not in self._suspending:
            self._suspending.add(lane)
            self._background.start(self._put_off(lane, destination), f"putting off {lane}")

    async def _put_off(self, lane: str, destination: Destination) -> None:
        following: float | None = self._clock.seconds() + _PAUSE_AFTER_ERROR
        try:
            while self._running and destination.is_dead(self._clock.seconds()):
                answer = (await self._lease([Ask(lane, _SUSPENDED_AT_ONCE)]))[0]
                following = answer.next_at
                if not answer.leased:
                    break
                await self._settlement.settle(
                    [
                        Tried(each.message, row, _put_off(row, destination))
                        for each in answer.leased
                        for row in each.rows
                    ]
                )
        finally:
            self._suspending.discard(lane)
            if following is not None:
                self._see_to(lane, following)
            self._pump_soon()


def _put_off(row: Row, destination: Destination) -> DeliveryReport:
    if is_returning(row):
        return returned(row)
    heard = destination.reply
    if heard is None or not heard.is_transient:
        heard = Reply(451, status.NO_ANSWER, "no answer" if heard is None else heard.text)
    reply = heard.with_text(f"Not tried, the destination failed lately: {heard.text}")
    return DeliveryReport(row.recipient, Outcome.DEFERRED, reply)
