"""What the servers logged that nobody expected: a traceback is a bug, whatever else worked.

Trouble with a disk that was told to fail is expected, on that station.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from twisted.logger import LogLevel

from mailframe.errors import Failure
from mailframe.simulation.faults import OF_DISKS

if TYPE_CHECKING:
    from mailframe.simulation.world import World

_OF_DISKS = (OSError, sqlite3.Error, Failure)


def surprises(world: World) -> Iterator[tuple[str, str, int]]:
    troubled = {fault.where for fault in world.plan.faults if fault.kind in OF_DISKS}
    world.network.collect()
    for logged in world.log.events:
        if logged.event.get("log_level") not in (LogLevel.error, LogLevel.critical):
            continue
        failure = logged.failure
        is_of_disk = failure is None or isinstance(failure.value, _OF_DISKS)
        if logged.host in troubled and is_of_disk:
            continue
        text = logged.text
        if failure is not None:
            text += " / " + failure.getTraceback()[-1200:]
        yield "logged", f"{logged.host}: {text}", 0
