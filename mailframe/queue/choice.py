"""Which of the lanes that are due may be leased from now, and how much of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailframe.core.routing import Route
from mailframe.queue.agenda import Agenda
from mailframe.queue.destination import Destination
from mailframe.queue.gathering import GROUP
from mailframe.queue.ledger import Ask
from mailframe.queue.ownership import Ownership
from mailframe.queue.records import probe_of
from mailframe.queue.routing import Routing
from mailframe.queue.traffic import Places, Traffic

_LANES_PER_LEASE = 100
_BATCHES_PER_LANE = 10


@dataclass(frozen=True, slots=True)
class Hold:
    """A lane to lease from, with the room that is kept for what that will bring."""

    ask: Ask
    places: Places | None
    """None where the lane has no single way."""

    def release(self) -> None:
        if self.places is not None:
            self.places.release()


class Choice:
    def __init__(
        self,
        agenda: Agenda,
        traffic: Traffic,
        routing: Routing,
        ownership: Ownership,
        suspend: Callable[[str, Destination], None],
        *,
        tell_owner: Callable[[str], None],
        takes_groups: Callable[[str], bool],
    ) -> None:
        """``suspend`` puts off what is due in a lane whose destination is dead. ``tell_owner``
        passes on a lane that is another worker's. ``takes_groups``: whether a courier does, for
        which content is brought with the rows; for others only where the destination is well."""
        self._agenda = agenda
        self._traffic = traffic
        self._routing = routing
        self._ownership = ownership
        self._suspend = suspend
        self._tell_owner = tell_owner
        self._takes_groups = takes_groups

    def choose(self, now: float) -> list[Hold]:
        """Lanes that may be leased from, with room kept for them; the others are parked."""
        holds: list[Hold] = []
        while len(holds) < _LANES_PER_LEASE and (entry := self._agenda.line.pop()):
            if hold := self._consider(*entry, now):
                holds.append(hold)
        return holds

    def _consider(self, lane: str, fresh: bool, now: float) -> Hold | None:
        probe = probe_of(lane)
        route = self._routing.route(probe)
        if not isinstance(route, Route):
            # Which recipients have no way, and why, is found out one by one.
            return Hold(Ask(lane, _BATCHES_PER_LANE), None)
        if not self._ownership.is_own(route.next_hop):
            self._tell_owner(lane)
            return None
        way = self._routing.way(probe, route)
        destination = self._traffic.destination(way)
        if destination.is_dead(now):
            self._suspend(lane, destination)
            return None
        if wait := destination.pace.wait(now):
            self._agenda.at(now + wait, lane)
            return None
        in_groups = self._takes_groups(route.courier)
        batches = GROUP if in_groups else _BATCHES_PER_LANE
        places = self._traffic.reserve(way, lane, fresh, batches, now)
        if places is None:
            return None
        # Where the last attempt failed to talk to it, content would be read for nothing.
        with_content = in_groups or destination.is_well
        return Hold(Ask(lane, places.count, fresh_only=fresh, with_content=with_content), places)
