"""Traffic: how many attempts run, in all and to each destination, and which lanes wait.

A lane whose destination or pool has no room is parked here and costs nothing until a place
is free; then it goes back into the line. No clock, no database: whoever asks says how late
it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from mailframe.queue.agenda import Line
from mailframe.queue.destination import Destination, Pool

LOCAL = "local"
"""The courier that has a pool of its own: our mailboxes never wait for other people's hosts."""
_HOSTS = ""
"""The pool of all couriers to other hosts."""


class Way(NamedTuple):
    """What a destination is known by."""

    courier: str
    next_hop: str
    is_to_program: bool = False
    """A program here takes it (``Local.courier``). Each such courier has a pool of its own: one
    that hangs keeps no other mail waiting. And it never counts as dead: what was wrong with one
    message says little of the next, and nobody has to be spared."""
    part: str = ""
    """Of the courier (``IPartedCourier``): each has a pool of its own, too."""


_DESTINATIONS_KEPT = 5000


@dataclass(frozen=True, slots=True)
class Places:
    """Room kept for what a lease will bring; ``release`` it before that is launched."""

    destination: Destination
    pool: Pool
    count: int

    def take(self) -> None:
        self.destination.running += self.count
        self.destination.pace.reserved += self.count
        self.pool.running += self.count

    def release(self) -> None:
        self.destination.running -= self.count
        self.destination.pace.reserved -= self.count
        self.pool.running -= self.count


class Traffic:
    def __init__(
        self,
        line: Line,
        *,
        concurrency: int,
        local_concurrency: int,
        most: int,
        per_minute: int,
        rest: float,
    ) -> None:
        """``line`` gets lanes back that were parked. ``concurrency`` counts attempts at other
        hosts, and those of each courier to a program, or of each of its parts; ``most``,
        ``per_minute`` and ``rest`` as for ``Destination``."""
        self._line = line
        # A mailbox is no host that has to be spared; but one must not take every place.
        self._most_local = max(1, local_concurrency // 2)
        self._most = most
        self._per_minute = per_minute
        self._rest = rest
        self._concurrency = concurrency
        self._pools = {(LOCAL, ""): Pool(local_concurrency), (_HOSTS, ""): Pool(concurrency)}
        self._destinations: dict[Way, Destination] = {}

    def destination(self, way: Way) -> Destination:
        found = self._destinations.get(way)
        if found is None:
            if way.courier == LOCAL:
                most = self._most_local
                found = Destination(most, self._rest, begin_with=most)
            elif way.is_to_program:
                found = Destination(self._most, rest=0.0)
            else:
                found = Destination(self._most, self._rest, self._per_minute)
            self._destinations[way] = found
        return found

    def wake(self) -> None:
        """Destinations that were given a rest may be tried again."""
        for destination in self._destinations.values():
            destination.dead_until = 0.0

    def clock_jumped(self, seconds: float) -> None:
        """Rests last as long as they were to."""
        for destination in self._destinations.values():
            destination.clock_jumped(seconds)

    def reserve(self, way: Way, lane: str, fresh: bool, most: int, now: float) -> Places | None:
        """Room for up to ``most`` attempts; None when there is none, and the lane is parked.
        The destination's pace allows at least one."""
        destination, pool = self.destination(way), self._pool(way)
        if not destination.room:
            destination.parked.push(lane, fresh)
            return None
        if not pool.room(fresh):
            pool.parked.push(lane, fresh)
            return None
        count = min(destination.room, pool.room(fresh), destination.pace.allowed(now, most))
        places = Places(destination, pool, count)
        places.take()
        return places

    def claim(self, way: Way, now: float) -> Places | None:
        """Room for one fresh attempt that may begin at once; None where there is none, or others
        have waited for it."""
        destination, pool = self.destination(way), self._pool(way)
        if destination.parked or destination.waiting or pool.parked:
            return None
        if not destination.room or not pool.room(fresh=True) or destination.is_dead(now):
            return None
        if not destination.pace.allowed(now, 1):
            return None
        places = Places(destination, pool, 1)
        places.take()
        return places

    def launch(self, way: Way, start: Callable[[], None], now: float) -> None:
        """Call ``start`` now, or when the destination has room; ``leave`` ends what it began."""
        destination, pool = self.destination(way), self._pool(way)

        def run(now: float) -> None:
            destination.running += 1
            destination.pace.began(now)
            pool.running += 1
            start()

        if destination.room:
            run(now)
        else:
            destination.waiting.append(run)

    def leave(self, way: Way) -> None:
        """An attempt has ended."""
        self.destination(way).running -= 1
        self._pool(way).running -= 1

    def go_on(self, way: Way, now: float) -> None:
        """Whoever waited for the place that was left may have it."""
        destination = self.destination(way)
        while destination.waiting and destination.room:
            destination.waiting.popleft()(now)
        self._offer(destination, self._pool(way), now)
        if len(self._destinations) > _DESTINATIONS_KEPT:
            self._forget_idle(now)

    def offer(self, places: Places, now: float) -> None:
        """A lane may have had less than room was kept for."""
        self._offer(places.destination, places.pool, now)

    def _pool(self, way: Way) -> Pool:
        name = way.courier if way.is_to_program or way.courier == LOCAL else _HOSTS
        found = self._pools.get((name, way.part))
        if found is None:
            found = self._pools[name, way.part] = Pool(self._concurrency)
        return found

    def _offer(self, destination: Destination, pool: Pool, now: float) -> None:
        """Put parked lanes back in line, as many as there is room for."""
        # Behind a dead destination all of them go on: they are put off together.
        self._unpark(destination.parked, None if destination.is_dead(now) else destination.room)
        self._unpark(pool.parked, pool.room(fresh=True))

    def _unpark(self, parked: Line, places: int | None) -> None:
        waiting = len(parked)
        for _ in range(waiting if places is None else min(places, waiting)):
            if entry := parked.pop():
                self._line.push(*entry)

    def _forget_idle(self, now: float) -> None:
        self._destinations = {
            way: each
            for way, each in self._destinations.items()
            if not each.is_idle or each.pace.is_owed(now)
        }
