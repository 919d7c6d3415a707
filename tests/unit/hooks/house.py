"""A server for applications, in memory: what hooks can reach, and an SMTP server that asks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer, provider

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Local, Refused, Resolution
from mailframe.errors import PermanentFailure
from mailframe.hooks.app import App
from mailframe.hooks.running import Running
from mailframe.hooks.server import Server
from mailframe.interfaces import (
    Arrival,
    Batch,
    IMailStore,
    IMessageSource,
    IStoredMessage,
    MessageInfo,
)
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.workers import InlineWorkers
from tests.dialogs.smtp_world import EPOCH, ListJournal, World
from tests.unit.hooks.mailbag import PLAIN, Kept


@contextmanager
def logged() -> Iterator[list[LogEvent]]:
    """What is logged as a warning or worse."""
    events: list[LogEvent] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_level"].name in ("warn", "error", "critical"):
            events.append(event)

    globalLogPublisher.addObserver(observe)
    try:
        yield events
    finally:
        globalLogPublisher.removeObserver(observe)


def texts(events: Sequence[LogEvent]) -> str:
    return "\n".join(str(formatEvent(event)) for event in events)


def tracebacks(events: Sequence[LogEvent]) -> str:
    return "\n".join(
        event["log_failure"].getTraceback() for event in events if "log_failure" in event
    )


@implementer(IMailStore)
class Mailboxes:
    def __init__(self, *accounts: str) -> None:
        self.accounts = accounts
        self.kept: list[tuple[str, str, bytes, str]] = []

    async def deliver(
        self, account: str, folder: str, message: Any, prefix: bytes, token: str, repeats: bool
    ) -> MessageInfo:
        if account not in self.accounts:
            raise PermanentFailure(Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user"))
        self.kept.append((account, folder, prefix + message.octets, token))
        return MessageInfo("1", 1, 0.0)

    async def room(self, account: str, octets: int) -> bool:
        return True


@dataclass
class House:
    apps: Sequence[App]
    workers: Any = field(default_factory=InlineWorkers)
    memory: int = 1 << 20
    server_more: dict[str, Any] = field(default_factory=dict)
    meter: Any = None

    def __post_init__(self) -> None:
        self.clock: Any = self.server_more.get("clock") or Clock()
        if isinstance(self.clock, Clock):
            self.clock.rightNow = EPOCH
        self.outbox = Kept()
        self.journal = ListJournal()
        self.store = Mailboxes("ann@local.test", "postmaster@shop.test")
        ids = iter(range(1, 10**9))
        made = Server(
            hostname="mail.shop.test",
            postmaster=Address.parse("postmaster@shop.test"),
            outbox=self.outbox,
            workers=self.workers,
            clock=self.clock,
            journal=self.journal,
            ids=lambda: f"ID{next(ids)}",
            random=lambda octets: b"\0" * octets,
            store=self.store,
        )
        self.server = replace(made, **self.server_more)
        self.running = Running(
            self.apps,
            self.server,
            authserv_id="mail.shop.test",
            meter=self.meter,
            memory=self.memory,
        )

    def start(self) -> House:
        result_now(self.running.start())
        return self

    def world(self, **more: Any) -> World:
        """An SMTP server that asks the applications first."""
        policies = (*self.running.filters, *more.pop("before", ()), *self.running.policies)
        world = World(policies=policies, **more)
        return _asking(world, self.running) if self.running.sources else world

    def deliver(self, batch: Batch) -> Deferred[Any]:
        return as_deferred(_await(self.running.courier.deliver(batch)))


def _asking(world: World, running: Running) -> World:
    known: Any = world.resolver
    (source,) = running.sources

    async def resolve(address: Address) -> Resolution:
        entry = await source.find(address) if address.domain in source.domains else None
        if entry is None:
            ours = address.domain in source.domains
            found = known.known.get(address.key)
            reply = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")
            return found or (Refused(reply) if ours else Elsewhere())
        return Local(entry.account, entry.folder, courier=entry.courier)

    known.resolve = lambda address: as_deferred(resolve(address))
    return world


async def _await(value: Any) -> Any:
    return await value


def result_now(coroutine: Any) -> Any:
    """Of a coroutine or Deferred that waits for nothing."""
    found: list[Any] = []
    as_deferred(_await(coroutine)).addBoth(found.append)
    assert found, "it waits"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


@implementer(IMessageSource)
class Source:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.size = len(octets)

    async def read(self, octets: int) -> bytes:
        piece, self._octets = self._octets[:octets], self._octets[octets:]
        return piece

    def close(self) -> None:
        pass


@implementer(IStoredMessage)
class Stored:
    def __init__(self, raw: bytes, envelope: Envelope, queue_id: str = "7KQ2M4XD") -> None:
        self.queue_id = queue_id
        self.envelope = envelope
        self.arrival = Arrival(peer_ip="192.0.2.9", helo="far.test", protocol="ESMTP")
        self.arrived = EPOCH
        self.size = len(raw)
        self.octets: bytes | None = raw
        self.opened = 0

    async def open(self) -> Source:
        assert self.octets is not None
        self.opened += 1
        return Source(self.octets)


def batch(
    *addresses: str,
    raw: str | bytes = PLAIN,
    headers: tuple[tuple[str, str], ...] = (),
    sender: str | None = "bob@example.org",
    folder: str = "",
    account: str = "",
) -> Batch:
    """Mail that was accepted for an application."""
    octets = raw.encode() if isinstance(raw, str) else raw
    parsed = [Address.parse(each) for each in addresses]
    recipients = tuple(
        Recipient(each, mailbox=Local(account or each.key, folder, headers, "app"))
        for each in parsed
    )
    envelope = Envelope(Address.parse(sender) if sender else None, recipients)
    return Batch(Stored(octets, envelope), recipients, account or parsed[0].key, 1)
