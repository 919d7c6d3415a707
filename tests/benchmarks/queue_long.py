"""200,000 deferred recipients: start, memory, listing, and what fresh mail feels of them.

    python tests/benchmarks/queue_long.py [DEFERRED] [LANES]

Prints one figure a line. The courier takes everything at once; what is measured is ours.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.ids import IdSource
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.resolution import Elsewhere
from mailframe.core.routing import Route
from mailframe.interfaces import Arrival, Batch, ICourier, IJournal, IRecipientResolver, IRouter
from mailframe.queue import admin
from mailframe.queue.scheduler import Queue
from mailframe.queue.schema import MIGRATIONS
from mailframe.queue.spool import Spool
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import Workers

OK = Reply(250, None, "Ok")
CONTENT = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 80


@implementer(ICourier)
class Taker:
    name = "mx"

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    async def deliver(self, batch: Batch) -> Sequence[DeliveryReport]:
        source = await batch.message.open()
        while await source.read(65536):
            pass
        self.taken[batch.message.queue_id] = time.perf_counter()
        return [DeliveryReport(each, Outcome.RELAYED, OK) for each in batch.recipients]


@implementer(IRouter, IRecipientResolver, IJournal)
class Rest:
    def route(self, recipient: Recipient) -> Route:
        return Route("mx", recipient.address.domain)

    def resolve(self, address: Address) -> Elsewhere:
        return Elsewhere()

    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        pass


def fill(base: str, deferred: int, lanes: int) -> None:
    """A long queue as a day with dead hosts leaves it: due within the next hours."""
    database = Database(f"{base}/spool.db", MIGRATIONS, None)
    database.open()
    now = int(time.time() * 1e6)

    def job(connection: Any) -> None:
        for number in range(deferred):
            queue_id = f"Q{number:09}"
            connection.execute(
                "INSERT INTO message VALUES (?,?,?,?,0,?,?,?)",
                (queue_id, now, 1000, b"", "ann@sender.example", '{"body": "7BIT"}', "{}"),
            )
            connection.execute("INSERT INTO body VALUES (?,?)", (queue_id, CONTENT))
            lane = f"domain{number % lanes}.example"
            connection.execute(
                "INSERT INTO recipient (queue_id, number, lane, state, next_at, token, lease,"
                " attempts, warned, address, reply_code, reply_status, reply_text, remote)"
                " VALUES (?,0,?,2,?,1,0,1,0,?,451,'4.1','Connection refused','mx.example')",
                (queue_id, lane, now + 10**6 * random.randint(900, 14400), f"user{number}@{lane}"),
            )

    database.write(job)
    database.close()


def rss() -> float:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def commit(spool: Spool, queue_id: str, domain: str, content: bytes) -> None:
    incoming = spool.begin(queue_id)
    if isinstance(incoming, Deferred):
        incoming = await incoming
    incoming.write(content)
    envelope = Envelope(Address("ann", "sender.example"), (Recipient(Address("bob", domain)),))
    await incoming.commit(envelope, Arrival(), b"Received: x\r\n")


async def measure(base: str, deferred: int, lanes: int) -> None:
    before = rss()
    started = time.perf_counter()
    database = Database(f"{base}/spool.db", MIGRATIONS, reactor)
    database.open()
    workers = Workers("disk", 4, 1000, reactor)
    workers.start()
    spool = Spool(database, f"{base}/bodies", Disk(), workers=workers, clock=reactor)
    taker, rest = Taker(), Rest()
    ids = IdSource(time.time, 1)
    queue = Queue(
        spool, rest, {"mx": taker}, resolver=rest, journal=rest, ids=ids, clock=reactor,
        random=random.random, hostname="bench.example",
        retry=[300, 900, 3600], expire=432000, warn_after=14400,
    )  # fmt: skip
    await queue.recover()
    queue.start()
    print(f"start to ready            {time.perf_counter() - started:8.3f} s")
    await deferLater(reactor, 1)
    print(f"memory grown by           {rss() - before:8.1f} MiB")
    delays = []
    for number in range(300):
        queue_id = ids()
        domain = f"domain{number % lanes}.example" if number % 2 else f"new{number}.example"
        committed = time.perf_counter()
        await commit(spool, queue_id, domain, CONTENT)
        while queue_id not in taker.taken:
            await deferLater(reactor, 0)
        delays.append(1000 * (taker.taken[queue_id] - committed))
    delays.sort()
    print(f"fresh mail to courier p50 {delays[150]:8.2f} ms, p99 {delays[297]:.2f} ms")
    started = time.perf_counter()
    looking = Database(f"{base}/spool.db", MIGRATIONS, None)
    looking.open()
    listing = admin.messages(looking, admin.Selection())
    next(listing)
    print(f"queue list, first line    {1000 * (time.perf_counter() - started):8.1f} ms")
    count = 1 + sum(1 for _ in listing)
    print(f"queue list, all {count:7}   {time.perf_counter() - started:8.2f} s")
    started = time.perf_counter()
    flushed = admin.flush(looking, admin.Selection(), time.time())
    print(f"flush of {len(flushed):7}          {time.perf_counter() - started:8.2f} s")
    started = time.perf_counter()
    before_flush = len(taker.taken)
    queue.wake()
    await deferLater(reactor, 5)
    queue_id = ids()
    committed = time.perf_counter()
    await commit(spool, queue_id, "fresh.example", CONTENT)
    while queue_id not in taker.taken:
        await deferLater(reactor, 0.001)
    print(f"fresh mail while flushing {1000 * (taker.taken[queue_id] - committed):8.2f} ms")
    rate = (len(taker.taken) - before_flush) / (time.perf_counter() - started)
    print(f"retries while flushing    {rate:8.0f} /s")
    print(f"memory grown by           {rss() - before:8.1f} MiB")
    await queue.stop()
    looking.close()
    database.close()
    workers.stop()


def main() -> None:
    deferred = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    lanes = int(sys.argv[2]) if len(sys.argv) > 2 else 5_000
    with tempfile.TemporaryDirectory() as base:
        fill(base, deferred, lanes)
        print(f"{deferred} deferred recipients in {lanes} lanes")
        done = Deferred.fromCoroutine(measure(base, deferred, lanes))
        done.addErrback(lambda failure: failure.printTraceback())
        done.addCallback(lambda _: reactor.stop())
        reactor.run()


if __name__ == "__main__":
    main()
