"""What the house tells its monitoring: the metrics of all workers.

Nearly everything is counted by a listener to the journal (``metrics.tally``); commits and the
reactor's lateness are told by those who know. The rest is asked for when somebody scrapes, off
the reactor thread where it takes time, and remembered for a while.
"""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.logger import Logger

from mailframe import __version__
from mailframe.app.config import Config
from mailframe.app.doors import Doors
from mailframe.app.readiness import Readiness
from mailframe.metrics.applications import ApplicationHooks
from mailframe.metrics.families import Histogram, exponential
from mailframe.metrics.gauges import Remembered
from mailframe.metrics.hooks import Hooks
from mailframe.metrics.lag import Lag
from mailframe.metrics.snapshot import (
    Family,
    Kind,
    as_json,
    from_json,
    gauge,
    gauges,
    together,
)
from mailframe.metrics.tally import Tally
from mailframe.queue.length import QueueLength, queue_length
from mailframe.queue.spool import FREE_FLOOR
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.database import Database
from mailframe.runtime.peers import Alone
from mailframe.servers.smtp import SmtpFactory

if TYPE_CHECKING:
    from mailframe.app.front import Server
    from mailframe.app.wiring import House
    from mailframe.metrics.page import Format
    from mailframe.metrics.system import System
    from mailframe.tls.certificates import Loaded
    from mailframe.web.monitoring import Check, MonitoringSite

TOPIC = "metrics"
_PAGE_KEPT = 1.0  # seconds: what asking more often than that brings
_QUEUE_KEPT = 10.0  # seconds; the whole queue is counted
_PATIENCE = 3.0  # seconds; scrapers give up after ten
_AGES = (60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 172_800.0, 432_000.0)


class Metering:
    """One a house; it is told what there is to watch as that is built."""

    log = Logger()

    def __init__(self, house: House, config: Config, doors: Doors) -> None:
        self._house = house
        self._queue_directory = os.path.join(config.base, "queue")
        self._is_enabled = config.metrics.enabled
        self.servers: list[tuple[str, Server]] = []
        """By listener: those that serve, and those of before that still have sessions."""
        self._peers = house.peers
        self._workers = house.machine.workers("monitoring", 2)
        """Of its own: a server whose threads are all busy is the one to look at."""
        self._system: System | None = None
        self._tally = Tally()
        self._hooks = Hooks(time.perf_counter)
        self.applications = ApplicationHooks()
        self.lag = Lag(time.monotonic)
        self._commit_seconds = Histogram(
            "mailframe_database_commit_seconds",
            "How long commits took, with the jobs in them, by database.",
            exponential(0.0005, 2, 13),
            ("database",),
        )
        self._commit_jobs = Histogram(
            "mailframe_database_commit_jobs",
            "How many jobs were committed together, by database.",
            exponential(1, 2, 10),
            ("database",),
        )
        if self._is_enabled:
            house.journal.listen(self._tally.hear)
            for database in house.databases:
                self._watch_commits(database)
        self._peers.answer(TOPIC, lambda _: as_deferred(self._answer()))
        self._pages: dict[Format, Remembered[tuple[bytes, str]]] = {}
        self._shared = Remembered(self._find_shared, _QUEUE_KEPT, time.monotonic)
        self._readiness = Readiness(house, config, doors, self._workers)

    def start(self) -> None:
        self._workers.start()

    def stop(self) -> None:
        """Blocks until what is under way is done."""
        self._workers.stop()

    def site(self, config: Config) -> MonitoringSite:
        """What listeners with the role ``http`` serve."""
        # Here because a web server is megabytes, which those without such a listener save.
        from mailframe.web.monitoring import MonitoringSite

        return MonitoringSite(self, networks=config.metrics.networks, clock=self._house.reactor)

    def follow(self, config: Config, servers: Mapping[str, Server]) -> None:
        """Count the open connections of these, and time their policies; count those before them
        while they have any."""
        self._tally.know({name: listen.protocol for name, listen in config.listen.items()})
        if self._is_enabled:
            for server in servers.values():
                if isinstance(server, SmtpFactory):
                    server.parts.stages.time(self._hooks.timed)
        self.servers = [*(one for one in self.servers if one[1].open), *servers.items()]

    # -- Monitored

    async def page(self, accept: str) -> tuple[bytes, str] | None:
        if not self._is_enabled:
            return None
        from mailframe.metrics.page import format_for

        format = format_for(accept)
        if format not in self._pages:
            write = functools.partial(self._write_page, format)
            self._pages[format] = Remembered(write, _PAGE_KEPT, time.monotonic)
        return await self._pages[format].get()

    async def checks(self) -> Sequence[Check]:
        return await self._readiness.checks()

    # -- metrics

    async def _write_page(self, format: Format) -> tuple[bytes, str]:
        from mailframe.metrics.page import page

        families = await self._find_everything()
        written: tuple[bytes, str] = await self._workers.run(page, families, format)
        return written

    async def _find_everything(self) -> list[Family]:
        own = [*await self._own(), *await self._shared_families()]
        answers = await self._peers.ask(TOPIC, None)
        name = "" if isinstance(self._peers, Alone) else self._peers.own
        return together(own, self._understood(answers), name)

    def _understood(self, answers: Mapping[str, Any]) -> dict[str, list[Family]]:
        others = {}
        for name, answer in answers.items():
            try:
                others[name] = from_json(answer)
            except (TypeError, ValueError):
                self.log.failure("worker {name} told its metrics in another way", name=name)
        return others

    async def _answer(self) -> list[Any]:
        return as_json(await self._own())

    async def _own(self) -> list[Family]:
        """Of this worker."""
        house = self._house
        pools = (
            *(house.disk_workers, house.password_workers, house.content_workers),
            *(house.account_workers, house.app_workers),
        )
        system: list[Family] = await self._workers.run(self._find_system)
        return [
            *self._tally.families(),
            self._hooks.family(),
            *self.applications.families(),
            *self.lag.families(),
            self._commit_seconds.family(),
            self._commit_jobs.family(),
            self._open_connections(),
            gauges(
                "mailframe_database_waiting_jobs",
                "Jobs that wait for a database's writer.",
                "database",
                {_name(database): database.waiting for database in house.databases},
            ),
            gauges(
                "mailframe_worker_pending_calls",
                "Calls that wait for a thread of a pool, or are under way on one.",
                "pool",
                {pool.name: pool.pending for pool in pools},
            ),
            Family(
                "mailframe_journal_dropped_events",
                Kind.COUNTER,
                "Events that were lost to the journal, and maybe to these metrics.",
                (),
                (((), (house.journal.dropped,)),),
            ),
            Family(
                "mailframe_build_info",
                Kind.GAUGE,
                "1; the labels say what is running.",
                ("version", "python"),
                (((__version__, platform.python_version()), (1,)),),
            ),
            *system,
        ]

    def _find_system(self) -> list[Family]:
        """On a thread."""
        if self._system is None:
            from mailframe.metrics.system import System

            self._system = System()
        return self._system.families()

    def _open_connections(self) -> Family:
        count: dict[str, float] = {}
        for name, server in self.servers:
            count[name] = count.get(name, 0) + len(server.open)
        return gauges(
            "mailframe_open_connections", "Connections now, by listener.", "listener", count
        )

    async def _shared_families(self) -> list[Family]:
        """What all workers would say. Without it where it cannot be found out, or not in time: the
        rest may be what tells why."""
        counting = as_deferred(self._shared.get())
        try:
            return await counting.addTimeout(_PATIENCE, self._house.reactor)
        except TookTooLong:
            self.log.warn("the queue was not counted within {seconds} s", seconds=_PATIENCE)
            return []
        except Exception:  # noqa: BLE001 - logged
            self.log.failure("the queue could not be counted")
            return []

    async def _find_shared(self) -> list[Family]:
        house = self._house
        now = house.reactor.seconds()
        length = await queue_length(house.spool_file, _AGES, now)
        free = await self._workers.run(house.disk.free, self._queue_directory)
        return [
            *_queue_families(length),
            gauge(
                "mailframe_disk_free_bytes",
                "Room on the file system of the queue.",
                free,
                is_shared=True,
            ),
            gauge(
                "mailframe_disk_free_floor_bytes",
                "The room below which no mail is taken.",
                FREE_FLOOR,
                is_shared=True,
            ),
            *_certificate(house.tls.certificates),
        ]

    def _watch_commits(self, database: Database) -> None:
        labels = (_name(database),)
        seconds, jobs = self._commit_seconds.of(labels), self._commit_jobs.of(labels)

        def observe(count: int, took: float) -> None:
            jobs.observe(count)
            seconds.observe(took)

        database.observe = observe


def _name(database: Database) -> str:
    return os.path.basename(database.path).removesuffix(".db")


def _certificate(certificates: Iterable[Loaded]) -> Iterable[Family]:
    """Nothing where there is none."""
    expiries = [one.expires for one in certificates]
    if expiries:
        yield gauge(
            "mailframe_certificate_expiry_timestamp_seconds",
            "When the first of the certificates expires that are served.",
            min(expiries),
            is_shared=True,
        )


def _queue_families(length: QueueLength) -> Iterable[Family]:
    recipients = functools.partial(gauges, label="state", is_shared=True)
    yield recipients(
        "mailframe_queue_recipients",
        "Recipients in the queue, those included that are being tried.",
        values=length.by_state,
    )
    yield Family(
        "mailframe_queue_age_seconds",
        Kind.HISTOGRAM,
        "How long the recipients in the queue have been there. What is there now: it shrinks.",
        (),
        (((), length.by_age),),
        _AGES,
        is_shared=True,
    )
    yield gauge(
        "mailframe_queue_oldest_seconds",
        "Age of the oldest recipient in the queue that is not held; 0 where there is none.",
        length.oldest,
        is_shared=True,
    )
