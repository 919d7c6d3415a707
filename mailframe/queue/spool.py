"""The spool: what was accepted, durably, until every recipient is done.

Promises
    ``IIncoming.commit`` fires after a commit that survives a power cut, and fails when
    nothing was kept. A message comes out as it went in, prefix first. Nothing of the size
    of a message is held in memory but what is under ``inline_limit``.

Does not
    decide when anything is tried: that is ``scheduler``. The states that may be on disk are
    tabled in the package's docstring.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.envelope import Envelope, Recipient
from mailframe.errors import MessageGone, TransientFailure
from mailframe.interfaces import (
    Arrival,
    FiledContent,
    IFiledMessage,
    IIncoming,
    IMessageSource,
    ISpool,
    IStoredMessage,
    IWorkers,
)
from mailframe.queue import recovery
from mailframe.queue.claim import Taker
from mailframe.queue.content import FileSource, MemorySource
from mailframe.queue.incoming import Incoming
from mailframe.queue.inserting import Insert, Inserting
from mailframe.queue.ledger import Odd
from mailframe.queue.records import Message, NewMessage, lane_of
from mailframe.queue.schema import micros
from mailframe.runtime.aio import Background, as_deferred
from mailframe.runtime.database import Database
from mailframe.runtime.disk import STORAGE_FULL, Disk

INLINE_LIMIT = 64 * 1024
FREE_FLOOR = 64 * 1024 * 1024
_SPACE_CHECK_SECONDS = 1.0
_LONGEST_WAIT = 432_000.0  # RFC 5321 section 4.5.4.1: nothing is kept much longer at all
# The id becomes a file name.
_QUEUE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What ``Spool.recover`` found."""

    swept: int
    """Body files of messages that were never committed, or are done."""
    corrupt: tuple[str, ...]
    """Queue ids set aside: their body is missing or has the wrong length, or their entries in
    the tables make no sense."""
    in_doubt: tuple[str, ...]
    """Lanes of mailboxes here with a delivery that may have happened without our knowing."""


@implementer(IStoredMessage)
class StoredMessage:
    """``envelope`` has the recipients of one batch; others of the message may be open too."""

    def __init__(
        self, spool: Spool, message: Message, envelope: Envelope, octets: bytes | None
    ) -> None:
        self.queue_id = message.queue_id
        self.envelope = envelope
        self.arrival = message.arrival
        self.arrived = message.arrived
        self.size = message.size
        self.octets = octets
        self._message = message
        self._spool = spool

    async def open(self) -> IMessageSource:
        if self.octets is not None:
            return MemorySource(self.octets)
        return await self._spool.open(self._message)


@implementer(IFiledMessage)
class FiledMessage(StoredMessage):
    """One that lies in a body file."""

    @property
    def filed(self) -> FiledContent:
        prefix = self._message.prefix
        path = self._spool.body_path(self.queue_id)
        return FiledContent(prefix, path, self.size - len(prefix))


@implementer(ISpool)
class Spool:
    """Storage of one server, below ``queue/``."""

    log = Logger()

    def __init__(
        self,
        database: Database,
        bodies: str,
        disk: Disk,
        *,
        workers: IWorkers,
        clock: IReactorTime,
        inline_limit: int = INLINE_LIMIT,
        free_floor: int = FREE_FLOOR,
        node: str = "",
        others_alive: Callable[[], Collection[str]] = lambda: (),
    ) -> None:
        """``database`` was made with ``schema.MIGRATIONS`` and is open. ``bodies`` is the
        directory of body files, made if needed by ``recover``. New mail is refused with
        452 4.3.1 while the file system has less than ``free_floor`` octets left, or would have
        less with what is being received: delivering needs room as well.

        ``node`` is the name of this process, which its leases bear; ``others_alive`` tells
        those of the others on the same spool, and is asked on a worker."""
        self.database = database
        self.node = node
        self._others_alive = others_alive
        self._neighbours: frozenset[str] = frozenset()
        """Who was alive when this process put the spool in order, and has leases perhaps."""
        self.bodies = bodies
        self.disk = disk
        self.workers = workers
        self.inline_limit = inline_limit
        self.gathered = 0
        """Octets of messages that are being received, in memory."""
        self.background = Background()
        self._clock = clock
        self._free_floor = free_floor
        self._free: int | None = None
        """When it was looked at, less what has come in since."""
        self._free_checked = 0.0
        self._taker: Taker | None = None
        self._inserting = Inserting(
            database, node, committed=self._committed, failed=self._not_written
        )

    def hand_to(self, taker: Taker) -> None:
        """``taker`` delivers what is committed from now on."""
        self._taker = taker

    def begin(self, queue_id: str) -> IIncoming | Deferred[IIncoming]:
        if not _QUEUE_ID.fullmatch(queue_id):
            raise ValueError(f"{queue_id!r} is not fit for a queue id")
        if self._free is not None and not self._is_stale():
            return self._begin(queue_id)
        return as_deferred(self._check_and_begin(queue_id))

    async def open(self, message: Message) -> IMessageSource:
        """The message from its start. Raises MessageGone where its body is lost."""
        if message.in_file:
            return FileSource(
                message.prefix,
                self.body_path(message.queue_id),
                message.size - len(message.prefix),
                head=message.head,
                disk=self.disk,
                workers=self.workers,
            )
        query = "SELECT content FROM body WHERE queue_id = ?"
        found = await self.database.read(
            lambda connection: connection.execute(query, (message.queue_id,)).fetchone()
        )
        if found is None:
            raise MessageGone(f"{message.queue_id} has left the queue")
        return MemorySource(message.prefix, found[0])

    def stored(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        content: bytes | None = None,
    ) -> StoredMessage:
        """The message as couriers see it; ``content`` where it is in memory."""
        envelope = message.envelope.to(tuple(recipients))
        if message.in_file:
            return FiledMessage(self, message, envelope, None)
        octets = None if content is None else message.prefix + content
        return StoredMessage(self, message, envelope, octets)

    def store(
        self,
        queue_id: str,
        envelope: Envelope,
        arrival: Arrival,
        prefix: bytes,
        *,
        content: bytes | None,
        size: int,
        head: bytes = b"",
    ) -> Deferred[None]:
        """Write it down; ``content`` None means the body file is complete and synced, and ``head``
        is what of its beginning is in memory. Fires after the commit. Cancelling the Deferred
        keeps nobody from delivering it."""
        recipients = envelope.recipients
        if not recipients:
            return fail(ValueError("a message needs a recipient"))
        message = Message(
            queue_id=queue_id,
            arrived=self._clock.seconds(),
            size=len(prefix) + size,
            prefix=prefix,
            in_file=content is None,
            envelope=envelope,
            arrival=arrival,
            head=head,
        )
        in_memory = len(head) if content is None else message.size
        claim = self._taker.claim(recipients, in_memory) if self._taker is not None else None
        if claim is None:
            new = NewMessage(message, content, recipients)
        else:
            new = NewMessage(message, content, recipients, claim.numbers, claim.until)
        return self._inserting.insert(new, claim)

    def _not_written(self, insert: Insert) -> None:
        if insert.claim is not None and self._taker is not None:
            self._taker.release(insert.claim)

    def _committed(self, inserts: Sequence[Insert]) -> None:
        handed = [(each.new, each.claim) for each in inserts if each.claim is not None]
        lanes = dict.fromkeys(
            lane_of(recipient)
            for each in inserts
            if len(each.new.taken) < len(each.new.recipients)
            for number, recipient in enumerate(each.new.recipients)
            if number not in each.new.taken
        )
        if self._taker is not None:
            self._taker.committed(handed, tuple(lanes))

    def announce(self, recipients: Iterable[Recipient]) -> None:
        """Tell who delivers that these are committed and due."""
        if self._taker is not None:
            self._taker.committed((), tuple(dict.fromkeys(map(lane_of, recipients))))

    async def discard(self, queue_ids: Sequence[str]) -> None:
        """Remove body files. One that cannot be removed is logged and swept at the start."""
        try:
            await self.workers.run(self._unlink, queue_ids)
        except Exception:  # noqa: BLE001 - the messages are done; only room is lost
            self.log.failure("cannot remove bodies of {queue_ids}", queue_ids=queue_ids)

    def body_path(self, queue_id: str) -> str:
        return os.path.join(self.bodies, queue_id)

    async def recover(self, longest: float = _LONGEST_WAIT) -> Recovery:
        """Bring what former processes left into order; before anything else is done here.
        ``longest``: seconds that a recipient may have to wait at most.

        Beside others that are alive their leases are left alone, and so are body files without
        a message: one of them may just be receiving it."""
        # In this order: what others finish meanwhile is missed by both, and harmless.
        expected = await self.database.read(recovery.body_files)
        sizes = await self.workers.run(self._scan)
        orphans = await self._orphans(sizes.keys() - expected.keys())
        await self.discard(orphans)
        lost = [queue_id for queue_id, size in expected.items() if sizes.get(queue_id) != size]
        now = micros(self._clock.seconds())

        def put_in_order(connection: sqlite3.Connection) -> recovery.Recovered:
            # Asked in here: whoever holds a lease was alive before he took it, and while this
            # runs nobody takes one.
            self._neighbours = frozenset(self._others_alive())
            return recovery.recover(connection, lost, now, micros(longest), self._neighbours)

        found = await self.database.write(put_in_order)
        for queue_id in found.corrupt:
            self.log.error("the body of {queue_id} is lost; it is set aside", queue_id=queue_id)
        for odd in found.odd:
            self.tell_odd(odd)
        corrupt = dict.fromkeys([*found.corrupt, *(odd.queue_id for odd in found.odd)])
        return Recovery(len(orphans), tuple(corrupt), found.in_doubt)

    async def _orphans(self, nameless: Collection[str]) -> list[str]:
        """Of these body files, which had no message: those that never will have one."""
        # After they were seen: who received one was alive then. Who is dead now has committed
        # what he ever will.
        if not nameless or await self.workers.run(self._others_alive):
            return []
        expected = await self.database.read(recovery.body_files)
        return sorted(set(nameless) - expected.keys())

    async def release(self, node: str) -> tuple[str, ...]:
        """``node`` has died: what it was trying is due at once, marked UNKNOWN. Returns the
        lanes of mailboxes here with such deliveries."""
        now = self._clock.seconds()
        found = await self.database.write(
            lambda connection: recovery.release(connection, node, now)
        )
        self._neighbours -= {node}
        return found

    async def gone(self) -> list[str]:
        """Nodes whose leases ``recover`` left alone, and that have died since. It may be that
        nobody tells us: the last workers of a supervisor that died end beside a new one's."""
        if not self._neighbours:
            return []
        return sorted(self._neighbours.difference(await self.workers.run(self._others_alive)))

    def tell_odd(self, odd: Odd) -> None:
        self.log.error("{queue_id} is set aside: {why}", queue_id=odd.queue_id, why=odd.why)

    async def stop(self) -> None:
        """Let go of messages that were being received."""
        await self.background.stop()

    def take(self, octets: int) -> None:
        """Count octets of a message that is being received, before they are written.

        Raises TransientFailure when they would not leave ``free_floor``. Without this, many
        messages that began while there was room could fill the disk between them, and from
        a full disk nothing can be delivered."""
        assert self._free is not None
        self._free -= octets
        self._check_room()

    def _begin(self, queue_id: str) -> IIncoming:
        self._check_room()
        return Incoming(self, queue_id)

    def _check_room(self) -> None:
        assert self._free is not None
        if self._free < self._free_floor:
            raise TransientFailure(STORAGE_FULL, f"{self._free} octets free at {self.bodies}")

    def _is_stale(self) -> bool:
        return abs(self._clock.seconds() - self._free_checked) >= _SPACE_CHECK_SECONDS

    async def _check_and_begin(self, queue_id: str) -> IIncoming:
        # Set first: the messages of this second use the last figure instead of asking too.
        self._free_checked = self._clock.seconds()
        self._free = await self.workers.run(self.disk.free, self.bodies)
        return self._begin(queue_id)

    def _unlink(self, queue_ids: Sequence[str]) -> None:
        for queue_id in queue_ids:
            try:
                self.disk.unlink(self.body_path(queue_id))
            except FileNotFoundError:
                continue  # somebody was faster; it is gone, as wanted

    def _scan(self) -> dict[str, int]:
        self.disk.make_directories(self.bodies)
        return {entry.name: entry.stat().st_size for entry in self.disk.scan(self.bodies)}
