"""No retry earlier than its schedule, as a stranger's server sees it.

It puts some recipients off, and knows when each is asked for again. Between two such calls of
one process lies at least the wait that the schedule has after that many attempts. A clock that
jumps brings everything due at once, and a letter sent twice has two schedules: nothing is said
of those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from mailframe.simulation.people import LATER

if TYPE_CHECKING:
    from mailframe.simulation.record import Asked
    from mailframe.simulation.world import World

_ROUNDING = 0.5  # seconds: the call comes somewhat later than the reply to the former one


def early_retries(world: World) -> Iterator[tuple[str, str, int]]:
    jumped = {fault.where for fault in world.plan.faults if fault.kind == "clock"}
    waits = {each.name: each.retry for each in world.plan.stations}
    single = {each.letter.number for each in world.senders if each.contents_sent == 1}
    calls: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for asked in world.record.asked:
        if asked.is_confirmed and asked.letter in single:
            calls[asked.host, asked.recipient].append(asked)
    for (host, recipient), asked_for in calls.items():
        for number, (one, other) in enumerate(pairwise(asked_for)):
            station = one.client[0]
            if one.client != other.client or station not in waits or station in jumped:
                continue
            if not recipient.startswith(LATER):
                yield (
                    "early",
                    f"{host} was asked for {recipient} again, which it refused",
                    one.letter,
                )
                continue
            wait = waits[station][min(number, len(waits[station]) - 1)]
            if other.at - one.at < wait - _ROUNDING:
                text = (
                    f"{host} was asked for {recipient} again after {other.at - one.at:.1f} s"
                    f" by {station}, whose schedule says {wait}"
                )
                yield "early", text, one.letter
