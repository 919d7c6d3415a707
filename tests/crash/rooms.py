"""The rooms that own state, without a network: what recovery is tried on most of the time.

The same parts as the wiring's, over any disk, each call done when it returns. Mail for other
hosts goes to ``Far``, which answers as it is told and remembers what it took.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.resolution import Elsewhere, Local, Refused, Resolution
from mailframe.delivery.local import LocalCourier
from mailframe.delivery.router import Router
from mailframe.interfaces import (
    Arrival,
    Batch,
    ICourier,
    IJournal,
    IRecipientResolver,
    IStoredMessage,
)
from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.folders.folders import MaildirFolders
from mailframe.mailbox.folders.store import FolderStore
from mailframe.mailbox.index.live import LiveFolders
from mailframe.mailbox.quota import Quota
from mailframe.mailbox.store import MaildirStore
from mailframe.queue.gathering import LULL
from mailframe.queue.scheduler import Queue
from mailframe.queue.schema import MIGRATIONS as QUEUE_SCHEMA
from mailframe.queue.spool import Spool
from mailframe.runtime.aio import fired, result_of
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from tests.crash.letters import Letter, Sight, recognize

BASE = "/srv/mail"
HOST = "mx.here.example"
HERE = "here.example"
ACCOUNTS = ("ann@here.example", "bob@here.example", "cid@here.example")
ANN, BOB, CID = ACCOUNTS
SHOP = "shop@here.example"
"""A program's."""
NOW = 1_750_001_000.0
RETRY = (300, 900, 3600)
EXPIRE = 5 * 86_400
ROOM = Quota(10_000_000, 0)

OK = Reply(250, status.OTHER, "Ok: taken")
BUSY = Reply(451, status.Status(7, 1), "Come back later")
REFUSED = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user")
_OUTCOMES = {2: Outcome.RELAYED, 4: Outcome.DEFERRED, 5: Outcome.FAILED}


def now(work: Any) -> Any:
    """The result of what must be done by now."""
    return fired(Deferred.fromCoroutine(result_of(work)))


@dataclass(frozen=True, slots=True)
class Taken:
    """Another host has a message; whether we hear its 250 is another matter."""

    sight: Sight
    address: str


@implementer(ICourier)
class Far:
    """Other hosts, behind the courier ``mx``; or the program of ``SHOP``."""

    def __init__(self, heard: Callable[[Taken], None], name: str = "mx") -> None:
        """``heard`` is told what was taken, before we are."""
        self.name = name
        self.answers: dict[str, Reply] = {}
        self._heard = heard

    async def deliver(self, batch: Batch) -> Sequence[DeliveryReport]:
        sight = recognize(await octets_of(batch.message))
        reports = []
        for recipient in batch.recipients:
            reply = self.answers.get(str(recipient.address), OK)
            if reply is OK:
                self._heard(Taken(sight, str(recipient.address)))
            outcome = _OUTCOMES[reply.code // 100]
            reports.append(DeliveryReport(recipient, outcome, reply, remote="mx.far.example"))
        return reports


@implementer(IRecipientResolver)
class Resolver:
    """``ACCOUNTS`` and nobody else at home."""

    def resolve(self, address: Address) -> Resolution:
        if address.key in ACCOUNTS:
            return Local(address.key)
        return Refused(REFUSED) if address.domain == HERE else Elsewhere()


@implementer(IJournal)
class NoJournal:
    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        pass


class Rooms:
    """What is opened is opened when it is asked for. ``heard`` as of ``Far``."""

    def __init__(
        self,
        disk: Disk,
        seconds: float = NOW,
        heard: Callable[[Taken], None] = lambda taken: None,
    ) -> None:
        self.disk = disk
        self.clock = Clock()
        self.clock.advance(seconds)
        self.workers = InlineWorkers()
        self.events = MailboxEvents()
        self.far = Far(heard)
        self.program = Far(heard, "app")
        self.program.answers = self.far.answers
        self.numbers = itertools.count(int(seconds * 1000))
        self.store = MaildirStore(
            BASE,
            disk,
            self.workers,
            events=self.events,
            clock=self.clock,
            hostname=HOST,
            quota=lambda account: ROOM,
        )
        self._spool_file: Database | None = None
        self._queue: Queue | None = None
        self._spool: Spool | None = None
        self._live: LiveFolders | None = None
        self._folders: FolderStore | None = None

    @property
    def spool(self) -> Spool:
        if self._spool is None:
            self.disk.make_directories(f"{BASE}/queue")
            self._spool_file = Database(f"{BASE}/queue/spool.db", QUEUE_SCHEMA, None,
                                        disk=self.disk)  # fmt: skip
            self._spool_file.open()
            self._spool = Spool(
                self._spool_file,
                f"{BASE}/queue/bodies",
                self.disk,
                workers=self.workers,
                clock=self.clock,
                inline_limit=2_000,
                free_floor=0,
            )
        return self._spool

    @property
    def queue(self) -> Queue:
        if self._queue is None:
            self._queue = Queue(
                self.spool,
                Router({}, None),
                {
                    "mx": self.far,
                    "app": self.program,
                    "local": LocalCourier(self.store, workers=self.workers),
                },
                resolver=Resolver(),
                journal=NoJournal(),
                ids=self.new_id,
                clock=self.clock,
                random=lambda: 0.0,
                hostname=HOST,
                retry=RETRY,
                expire=EXPIRE,
                warn_after=0,
            )
        return self._queue

    @property
    def folder_store(self) -> FolderStore:
        if self._folders is None:
            self._live = LiveFolders(
                BASE,
                self.disk,
                self.workers,
                events=self.events,
                clock=self.clock,
                quotas=self.store.quotas,
                hostname=HOST,
                salt=b"%d" % int(self.clock.seconds()),
                sizes=self.store.sizes,
            )
            self._folders = FolderStore(
                BASE,
                self.disk,
                self.workers,
                live=self._live,
                quotas=self.store.quotas,
                clock=self.clock,
            )
        return self._folders

    def folders(self, account: str) -> MaildirFolders:
        return self.folder_store.open(account)

    def new_id(self) -> str:
        return f"Q{next(self.numbers)}"

    def start(self) -> None:
        """What a start does with the queue."""
        now(self.queue.recover())
        self.queue.start()

    def run(self, turns: int = 12) -> None:
        """What is due now, or when nothing more comes in, and what follows from it at once."""
        for _ in range(turns):
            self.clock.advance(LULL)

    def accept(self, letter: Letter, *addresses: str, sender: str | None) -> str:
        """Into the spool; committed when it returns. Returns the queue id."""
        recipients = tuple(self._recipient(address) for address in addresses)
        path = Address.parse(sender) if sender is not None else None
        queue_id = self.new_id()
        incoming = now(self.spool.begin(queue_id))
        content = letter.content
        for start in range(0, len(content), 8_192):
            now(incoming.write(content[start : start + 8_192]))
        envelope = Envelope(reverse_path=path, recipients=recipients)
        now(incoming.commit(envelope, Arrival(), b"Received: by " + HOST.encode() + b"\r\n"))
        return queue_id

    def close(self) -> None:
        """Let go of every file."""
        if self._queue is not None:
            now(self._queue.stop())
        if self._live is not None:
            now(self._live.stop())
        if self._spool_file is not None:
            self._spool_file.close()

    def _recipient(self, text: str) -> Recipient:
        address = Address.parse(text)
        courier = "app" if address.key == SHOP else ""
        mailbox = Local(address.key, courier=courier) if address.domain == HERE else None
        return Recipient(address, mailbox=mailbox)


async def octets_of(message: IStoredMessage) -> bytes:
    source = await result_of(message.open())
    pieces = []
    while piece := await result_of(source.read(65_536)):
        pieces.append(piece)
    source.close()
    return b"".join(pieces)
