"""A whole network in one thread: one clock, one queue of events, one source of chance.

Everything that happens on any machine of it is an event of this queue, and every choice is
drawn from the seed in the order of events, so one seed is one history; ``events_hash`` is a
digest of it, to compare two runs by. Nothing here reads a real clock, opens a socket or
starts a thread. Time passes only between events: what a machine computes costs none.

Python's garbage collector would run finalizers at instants of its own, so it is off while
events run, and runs after every so many of them and in ``collect``.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from hashlib import sha256
from heapq import heappop, heappush
from operator import attrgetter, itemgetter
from random import Random
from typing import Any

from twisted.logger import Logger

from mailframe.testing.network.host import Host
from mailframe.testing.network.link import Links
from mailframe.testing.network.log import CapturedLog
from mailframe.testing.network.reactor import SimReactor
from mailframe.testing.network.timers import Timer, name_of

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z: when the world of every seed begins."""
_COLLECT_EVERY = 50_000
_FACTS_A_DIGEST = 512


class SimNetwork:
    """``now`` is in seconds since the epoch. ``story``, when it is a list, is told every event
    in words. ``names`` is what hosts files would hold: a name and its addresses."""

    log = Logger()

    def __init__(self, seed: int | str = 0) -> None:
        self.seed = seed
        self.random = Random(f"network {seed}")
        self.now = EPOCH
        self.events = 0
        self.story: list[str] | None = None
        self.names: dict[str, list[str]] = {}
        self.hosts: dict[str, Host] = {}
        self.addresses: dict[str, Host] = {}
        self.links = Links(self)
        self.current: SimReactor | None = None
        self._queue: list[tuple[float, int, Timer]] = []
        self._scheduled = 0
        self._descriptors = 1_000
        self._facts: list[str] = []
        self._digest = sha256()
        self._buried: list[Any] = []
        self._logs: list[CapturedLog] = []
        gc.freeze()  # what is older is no garbage of this world: ``collect`` is quick

    # Building it

    def host(self, name: str, *ips: str) -> Host:
        """A machine on the network, running; the one of that name where there is one already.
        ``host.reactor`` is its process."""
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = Host(self, name, ips)
            for ip in ips:
                if ip in self.addresses:
                    raise ValueError(f"{ip} is {self.addresses[ip].name}'s address already")
                self.addresses[ip] = host
        return host

    def link(self, one: str, other: str) -> Links.Side:
        """The way between two hosts, by name or address; ``*`` stands for any host, those to
        come included."""
        return self.links.between(self.name_of(one), self.name_of(other))

    def name_of(self, host: str) -> str:
        """The name of the host with that name or address."""
        found = self.addresses.get(host)
        return found.name if found is not None else host

    def capture_log(self) -> CapturedLog:
        """Everything that is logged from now on until ``close``."""
        log = CapturedLog(self)
        self._logs.append(log)
        log.start()
        return log

    # Running it

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run_until(_never, seconds)

    def run_until(self, predicate: Callable[[], object], seconds: float) -> bool:
        """Run events until the predicate holds, and tell whether it did within that time. It is
        asked after every event, so let it be cheap."""
        end = self.now + seconds
        queue = self._queue
        collecting = gc.isenabled()
        gc.disable()
        try:
            while not predicate():
                if not queue or queue[0][0] > end:
                    self.now = max(self.now, end)
                    return bool(predicate())
                self._step()
            return True
        finally:
            if collecting:
                gc.enable()

    def _step(self) -> None:
        at, _, timer = heappop(self._queue)
        if timer.called or timer.cancelled:
            return
        if timer.at > at:
            self.put(timer)
            return
        owner = timer.owner
        if owner is not None:
            if not owner.alive:
                self._buried.append(timer)
                return
            if owner.paused_until > at:
                timer.at = owner.paused_until
                self.put(timer)
                return
        self.now = max(self.now, at)
        self.events += 1
        if self.events % _COLLECT_EVERY == 0:
            gc.collect()
        timer.called = True
        if owner is None:
            timer.function(*timer.args, **timer.keywords)
            return
        if timer.what:
            self.note(owner.host.name, timer.what, name_of(timer.function))
        owner.enter(timer.function, timer.args, timer.keywords)

    def schedule(
        self,
        delay: float,
        owner: SimReactor | None,
        what: str,
        function: Callable[..., Any],
        *args: Any,
    ) -> Timer:
        """Run it after ``delay`` seconds; ``owner`` None for what no machine does."""
        timer = Timer(self.now + delay, owner, what, function, args)
        self.put(timer)
        return timer

    def put(self, timer: Timer) -> None:
        """Into the queue, once more where it is there already."""
        self._scheduled += 1
        heappush(self._queue, (timer.at, self._scheduled, timer))

    def waiting(self, owner: SimReactor) -> list[Timer]:
        """What is still to run of a machine, soonest first."""
        found = {entry[2]: None for entry in sorted(self._queue, key=itemgetter(0, 1))}
        mine = [timer for timer in found if timer.owner is owner and timer.active()]
        return sorted(mine, key=attrgetter("at"))

    # What was

    def note(self, where: str, what: str, fact: str) -> None:
        """Add to the history."""
        self._facts.append(f"{self.now!r} {where} {what} {fact}\n")
        if len(self._facts) >= _FACTS_A_DIGEST:
            self._digest_facts()
        if self.story is not None:
            self.story.append(f"{self.now - EPOCH:12.6f} {where:12} {what:10} {fact}")

    @property
    def events_hash(self) -> str:
        """Of the whole history so far, in hexadecimal."""
        self._digest_facts()
        return self._digest.hexdigest()

    def _digest_facts(self) -> None:
        self._digest.update("".join(self._facts).encode("utf-8", "backslashreplace"))
        self._facts.clear()

    # Keeping house

    def descriptor(self) -> int:
        """A number for a socket, never used before and never one of this process's files."""
        self._descriptors += 1
        return self._descriptors

    def bury(self, thing: object) -> None:
        """Keep what belonged to a dead machine until ``close``: were it finalized, its
        ``finally`` clauses would run, which nothing in the real world does for the dead."""
        self._buried.append(thing)

    def collect(self) -> None:
        """Let Deferreds that failed unseen say so in the log now, those of the dead excepted."""
        gc.collect()

    def close(self) -> None:
        """The end of the world: stop capturing logs and let go of everything."""
        self.collect()
        for log in self._logs:
            log.stop()
        for host in self.hosts.values():
            host.reactor.alive = False
        self._queue.clear()
        self._buried.clear()
        gc.unfreeze()


def _never() -> bool:
    return False
