"""Promise 5: every message has a story in the journal, from its acceptance to its end.

The journal is not synced with every event, so only stations that never died and whose disk
never failed are asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailframe.journal.stories import story
from mailframe.simulation.faults import OF_DISKS
from mailframe.simulation.people import ends
from mailframe.simulation.record import Accepted
from mailframe.simulation.station import BASE

if TYPE_CHECKING:
    from mailframe.simulation.world import World

_ENDS = frozenset({"deliver", "fail"})


def gaps_in_stories(world: World) -> Iterator[tuple[str, str, int]]:
    troubled = {fault.where for fault in world.plan.faults if fault.kind in OF_DISKS}
    for name, station in world.stations.items():
        if station.starts != 1 or name in troubled:
            continue
        disk = station.machine.disk.snapshot()
        connection = disk.connect(f"{BASE}/journal.db", timeout=1.0)
        try:
            for accepted in world.record.accepted:
                is_removed = any(id == accepted.queue_id for id, _ in world.record.withdrawn)
                if accepted.station != name or is_removed:
                    continue
                entries = story(connection, accepted.queue_id)
                own = [entry.step for entry in entries if entry.id == accepted.queue_id]
                ended = sum(step in _ENDS for step in own)
                if "accept" not in own or "remove" not in own or ended < _ends_of(world, accepted):
                    text = f"the story of {accepted.queue_id} is {own}"
                    yield "story", text, accepted.letter.number
        finally:
            connection.close()


def _ends_of(world: World, accepted: Accepted) -> int:
    """How many the message is for in the end; an address counts once however often named."""
    domains = [world.stations[accepted.station].plan.domain]
    return len({end for recipient in accepted.recipients for end in ends(recipient, domains)})
