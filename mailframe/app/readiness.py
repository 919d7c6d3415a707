"""Whether mail can be taken and delivered here now: what ``/readyz`` says.

Asked often, by whoever sends traffic here or restarts what does not answer; each answer holds
for a moment.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from mailframe.app.config import Config
from mailframe.app.doors import Doors
from mailframe.core.units import format_size
from mailframe.errors import Failure
from mailframe.interfaces import IWorkers
from mailframe.metrics.gauges import Remembered
from mailframe.queue.spool import FREE_FLOOR
from mailframe.runtime.database import Database

if TYPE_CHECKING:
    from mailframe.app.wiring import House
    from mailframe.web.monitoring import Check

_KEPT = 2.0  # seconds
_WRITE_SECONDS = 5.0
"""A database whose writer is further behind is of no use."""


class Readiness:
    def __init__(self, house: House, config: Config, doors: Doors, workers: IWorkers) -> None:
        self._house = house
        self._doors = doors
        self._workers = workers
        self._queue_directory = os.path.join(config.base, "queue")
        self._probe = os.path.join(config.base, "run", "ready")
        self._last = Remembered(self._find, _KEPT, time.monotonic)

    async def checks(self) -> Sequence[Check]:
        return await self._last.get()

    async def _find(self) -> list[Check]:
        from mailframe.web.monitoring import Check  # who asks has it loaded

        house = self._house
        is_running = house.queue is not None and house.queue.is_running
        return [
            Check("listeners", "" if self._doors.is_accepting else "closed"),
            Check("queue", "" if is_running else "does not run"),
            Check("disk", await self._workers.run(self._disk_trouble)),
            Check("spool", await self._write_trouble(house.spool_file)),
            Check("directory", await self._write_trouble(house.directory_file)),
        ]

    def _disk_trouble(self) -> str:
        """On a thread. A file is made: nothing else tells for certain that one can be."""
        disk, probe = self._house.disk, self._probe
        try:
            free = disk.free(self._queue_directory)
            disk.make_file(probe)
            with contextlib.suppress(FileNotFoundError):  # another worker's
                disk.unlink(probe)
        except OSError as error:
            return str(error)
        return "" if free >= FREE_FLOOR else f"only {format_size(free)}B are free: no mail is taken"

    async def _write_trouble(self, database: Database) -> str:
        """Its writer takes a job, and the file lets itself be locked for writing."""
        writing: Deferred[None] = database.write(_nothing)
        try:
            await writing.addTimeout(_WRITE_SECONDS, self._house.reactor)
        except TookTooLong:
            return f"not written within {_WRITE_SECONDS:.0f} s"
        except (Failure, sqlite3.Error, OSError) as error:
            return str(error)
        return ""


def _nothing(connection: sqlite3.Connection) -> None:
    """A job that leaves no trace."""
