"""Messages a second through ``Spool.commit``, 50 at a time, without and with delivery.

    python tests/benchmarks/queue_accept.py [MESSAGES]

As a yardstick of the same disk in the same minute it prints what plain files give: create,
write, fsync, fsync of the directory, by as many threads.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from queue_long import Rest, Taker, commit
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from mailframe.core.ids import IdSource
from mailframe.queue.scheduler import Queue
from mailframe.queue.schema import MIGRATIONS
from mailframe.queue.spool import Spool
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import Workers

AT_ONCE = 50


async def one(base: str, size: int, messages: int, with_queue: bool) -> None:
    database = Database(f"{base}/spool.db", MIGRATIONS, reactor)
    database.open()
    workers = Workers("disk", 4, 1000, reactor)
    workers.start()
    spool = Spool(database, f"{base}/bodies", Disk(), workers=workers, clock=reactor)
    await spool.recover()
    taker, rest, ids = Taker(), Rest(), IdSource(time.time, 1)
    queue = Queue(
        spool, rest, {"mx": taker}, resolver=rest, journal=rest, ids=ids, clock=reactor,
        random=random.random, hostname="bench.example",
        retry=[300], expire=432000, warn_after=0, concurrency_per_destination=50,
    )  # fmt: skip
    if with_queue:
        queue.start()
    content = b"Subject: x\r\n\r\n" + os.urandom(size // 2).hex().encode()
    numbers = iter(range(messages))

    async def session() -> None:
        for number in numbers:
            await commit(spool, ids(), f"d{number % 50}.example", content)

    started, used = time.perf_counter(), time.process_time()
    await gatherResults([Deferred.fromCoroutine(session()) for _ in range(AT_ONCE)])
    accepted = time.perf_counter() - started
    while with_queue and len(taker.taken) < messages:
        await deferLater(reactor, 0.01)
    done = time.perf_counter() - started
    used = time.process_time() - used
    await queue.stop()
    database.close()
    workers.stop()
    line = f"{size:6} octets: accepted {messages / accepted:6.0f}/s"
    if with_queue:
        line += f", accepted and delivered {messages / done:6.0f}/s"
    print(f"{line}, {1000 * used / messages:.2f} ms CPU each")


def plain_files(base: str, size: int, messages: int) -> None:
    directory = os.open(base, os.O_RDONLY)

    def keep(number: int) -> None:
        descriptor = os.open(f"{base}/{number}", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, b"x" * size)
        os.fsync(descriptor)
        os.close(descriptor)
        os.fsync(directory)

    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(keep, range(messages)))
    os.close(directory)
    print(f"{size:6} octets: files    {messages / (time.perf_counter() - started):6.0f}/s")


async def everything(messages: int) -> None:
    for size in (1024, 10240):
        for with_queue in (False, True):
            with tempfile.TemporaryDirectory() as base:
                await one(base, size, messages, with_queue)
        with tempfile.TemporaryDirectory() as base:
            plain_files(base, size, messages // 4)


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    done: Deferred[Any] = Deferred.fromCoroutine(everything(messages))
    done.addErrback(lambda failure: failure.printTraceback())
    done.addCallback(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    main()
