"""A queue with everything around it made of doubles, on a clock that only tests move."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.resolution import Elsewhere, Local, Resolution
from mailframe.core.routing import Route
from mailframe.interfaces import (
    Arrival,
    Batch,
    ICourier,
    IGroupCourier,
    IJournal,
    IRecipientResolver,
    IRouter,
    IStoredMessage,
)
from mailframe.queue.scheduler import Queue
from mailframe.queue.schema import MIGRATIONS
from mailframe.queue.spool import Spool
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers

OK = Reply(250, status.OTHER, "Ok: taken")
BUSY = Reply(451, status.Status(7, 1), "Come back later")
REFUSED = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user")
DOWN = Reply(451, status.NO_ANSWER, "Connection refused")
EPOCH = 1_800_000_000.0

_OUTCOMES = {2: Outcome.RELAYED, 4: Outcome.DEFERRED, 5: Outcome.FAILED}


@implementer(ICourier)
class FakeCourier:
    """Answers each recipient with ``answer(address)``: a Reply, or an Exception to raise."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.answer: Callable[[str], Any] = lambda address: OK
        self.batches: list[Batch] = []
        self.tried: list[tuple[float, str, str]] = []  # time, queue id, address
        self.contents: dict[str, bytes] = {}
        self.gate: Deferred[None] | None = None
        self.under_way = 0
        self.most_under_way = 0
        self.remote = "mx.example"

    async def deliver(self, batch: Batch) -> Sequence[DeliveryReport]:
        self.batches.append(batch)
        for recipient in batch.recipients:
            address = str(recipient.address)
            self.tried.append((self.clock.seconds(), batch.message.queue_id, address))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.gate is not None:
                waiter: Deferred[None] = Deferred()
                self.gate.addCallback(lambda _: waiter.called or waiter.callback(None))
                await waiter
            self.contents[batch.message.queue_id] = await read_all(batch.message)
            return [self._report(recipient) for recipient in batch.recipients]
        finally:
            self.under_way -= 1

    def _report(self, recipient: Recipient) -> DeliveryReport:
        reply = self.answer(str(recipient.address))
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Outcome):
            return DeliveryReport(recipient, reply, OK, remote=self.remote)
        return DeliveryReport(recipient, _OUTCOMES[reply.code // 100], reply, remote=self.remote)

    def addresses(self) -> list[str]:
        return [address for _, _, address in self.tried]


@implementer(IGroupCourier)
class FakeGroupCourier(FakeCourier):
    """Notes the groups; ``results`` maps a group to what comes of it, where a test says so."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.groups: list[list[str]] = []
        self.results: Callable[[Sequence[Batch]], Any] | None = None

    async def deliver_together(self, batches: Sequence[Batch]) -> Any:
        self.groups.append([batch.message.queue_id for batch in batches])
        if self.gate is not None:
            waiter: Deferred[None] = Deferred()
            self.gate.addCallback(lambda _: waiter.called or waiter.callback(None))
            await waiter
        if self.results is not None:
            return self.results(batches)
        return [await self._one(batch) for batch in batches]

    async def _one(self, batch: Batch) -> Any:
        assert batch.message.octets is not None
        try:
            return await self.deliver(batch)
        except Exception as error:
            return error


@implementer(IRouter)
class FakeRouter:
    def __init__(self) -> None:
        self.special: dict[str, Any] = {}

    def route(self, recipient: Recipient) -> Route:
        if recipient.mailbox is not None and recipient.mailbox.courier:
            courier = recipient.mailbox.courier
            return Route(courier, recipient.mailbox.account, f"accepted for {courier}")
        if recipient.mailbox is not None:
            return Route("local", recipient.mailbox.account)
        found = self.special.get(recipient.address.domain)
        if isinstance(found, Exception):
            raise found
        return found or Route("mx", recipient.address.domain)


@implementer(IRecipientResolver)
class FakeResolver:
    """``here.example`` is ours, everybody there has a mailbox."""

    def __init__(self) -> None:
        self.special: dict[str, Any] = {}

    def resolve(self, address: Address) -> Resolution:
        found = self.special.get(str(address))
        if isinstance(found, Exception):
            raise found
        if found is not None:
            return found
        return Local(address.key) if address.domain == "here.example" else Elsewhere()


@implementer(IJournal)
class FakeJournal:
    def __init__(self) -> None:
        self.records: list[tuple[str, str, str, dict[str, Any]]] = []

    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        self.records.append((id, step, result, detail))

    def steps(self, id: str) -> list[str]:
        return [step for who, step, _, _ in self.records if who == id]


async def read_all(message: IStoredMessage) -> bytes:
    source = await result_of(message.open())
    pieces = []
    while piece := await result_of(source.read(5000)):
        pieces.append(piece)
    source.close()
    return b"".join(pieces)


def to(*addresses: str, sender: str | None = "ann@sender.example", **options: Any) -> Envelope:
    """An envelope; addresses at here.example get their mailbox, those at app.example a program."""
    notify = options.pop("notify", None)
    recipients = []
    for text in addresses:
        address = Address.parse(text)
        here = _homes(address).get(address.domain)
        recipients.append(Recipient(address, notify=notify, mailbox=here))
    return Envelope(
        reverse_path=None if sender is None else Address.parse(sender),
        recipients=tuple(recipients),
        **options,
    )


def _homes(address: Address) -> dict[str, Local]:
    mailbox = Local(address.key)
    return {"here.example": mailbox, "app.example": replace(mailbox, courier="app")}


class World:
    """Below ``base``; ``restart`` builds everything anew from copies of the files."""

    RETRY = (300, 900, 3600)
    EXPIRE = 5 * 86400
    WARN_AFTER = 4 * 3600

    def __init__(self, base: Path, clock: Clock | None = None, **settings: Any) -> None:
        self.base = base
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(EPOCH)
        self.settings = settings
        self.disk: Disk = settings.pop("disk", None) or Disk()
        self.journal = FakeJournal()
        self.router = FakeRouter()
        self.resolver = FakeResolver()
        self.mx = FakeCourier("mx", self.clock)
        self.local = settings.pop("local", FakeCourier)("local", self.clock)
        self.app = settings.pop("app", FakeCourier)("app", self.clock)
        self.couriers = {each.name: each for each in (self.mx, self.local, self.app)}
        self.numbers = itertools.count(1)
        # Nothing here cuts the power: what was written is what a copy of the files has.
        self.database = Database(str(base / "spool.db"), MIGRATIONS, None, durable=False)
        self.database.open()
        spool_settings = {
            key: settings.pop(key)
            for key in ("inline_limit", "free_floor", "node", "others_alive")
            if key in settings
        }
        self.spool = Spool(
            self.database,
            str(base / "bodies"),
            self.disk,
            workers=InlineWorkers(),
            clock=self.clock,
            **{"free_floor": 0, **spool_settings},
        )
        self.queue = Queue(
            self.spool,
            self.router,
            self.couriers,
            resolver=self.resolver,
            journal=self.journal,
            ids=lambda: f"DSN{next(self.numbers)}",
            clock=self.clock,
            random=lambda: 0.0,
            hostname="mail.here.example",
            **{
                "retry": self.RETRY,
                "expire": self.EXPIRE,
                "warn_after": self.WARN_AFTER,
                **settings,
            },
        )

    def start(self) -> World:
        done(self.queue.recover())
        self.queue.start()
        self.clock.advance(0)
        return self

    def accept(
        self,
        queue_id: str,
        envelope: Envelope,
        content: bytes = b"Subject: hello\r\n\r\nHello.\r\n",
        prefix: bytes = b"Received: from x\r\n",
        arrival: Arrival | None = None,
    ) -> None:
        incoming = done(result_of(self.spool.begin(queue_id)))
        incoming.write(content)
        done(incoming.commit(envelope, arrival or Arrival(message_id="<1@sender>"), prefix))

    def run(self, seconds: float = 0.0) -> None:
        """Let that much time pass, stopping at everything that is due on the way."""
        end = self.clock.seconds() + seconds
        self.clock.advance(0)
        while calls := [c for c in self.clock.getDelayedCalls() if c.getTime() <= end]:
            due = min(call.getTime() for call in calls)
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def rows(self, columns: str = "queue_id, number, state", where: str = "1=1") -> list[Any]:
        query = f"SELECT {columns} FROM recipient WHERE {where} ORDER BY queue_id, number"
        return done(self.database.read(lambda c: c.execute(query).fetchall()))

    def is_empty(self) -> bool:
        tables = ("message", "body", "recipient")
        counts = [
            done(
                self.database.read(lambda c, t=t: c.execute(f"SELECT count(*) FROM {t}").fetchone())
            )
            for t in tables
        ]
        return counts == [(0,), (0,), (0,)]

    def bodies(self) -> list[str]:
        return sorted(path.name for path in (self.base / "bodies").iterdir())

    def crashed(self, where: Path, **settings: Any) -> World:
        """What a new process finds on the disk at this instant."""
        shutil.copytree(self.base, where)
        return World(where, self.clock, **settings)


def done(work: Any) -> Any:
    """The result of what must have finished by now."""
    if not isinstance(work, Deferred):
        if not hasattr(work, "__await__"):
            return work
        work = as_deferred(work)
    results: list[Any] = []
    failures: list[Any] = []
    work.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "not finished"
    return results[0]
