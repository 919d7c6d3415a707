"""Sliding windows that outlive the process: all of them in memory, and behind it ``policy.db``.

Deciding never waits for the disk. What has changed is written every ``every`` seconds and at
the stop, so a crash forgets the last seconds at most. What memory forgets goes from the disk as
well: the table is never larger than the windows. While the database cannot be written the
counts go on in memory, and are written once it can.

Every worker counts what every other counts as well, and each writes what it counted itself. One
that joins knows what was written, which is ``every`` seconds old at most.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.interfaces import IPeers
from mailframe.policy.rate_windows import Count, Windows
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.database import Database
from mailframe.runtime.peers import Alone

_TOPIC = "count"
_AT_ONCE = 5_000  # windows in one transaction
_LOADED = 500_000  # windows read at the start, the latest

Row = tuple[str, str, list[Count]]


class WindowStore:
    """``database`` has the tables of ``policy.schema``; None: nothing outlives the process."""

    log = Logger()

    def __init__(
        self,
        database: Database | None,
        clock: IReactorTime,
        *,
        every: float = 3.0,
        peers: IPeers = Alone(),  # noqa: B008 - it has no state
    ) -> None:
        self._database = database
        self._clock = clock
        self._every = every
        self._windows: dict[str, Windows] = {}
        self._dropped: set[str] = set()
        self._loop = LoopingCall(self._write_some)
        self._loop.clock = clock
        self._has_failed = False
        self._peers = peers
        peers.hear(_TOPIC, self._heard)

    def windows(self, counted: str, seconds: float) -> Windows:
        """The one that counts this; made where there is none yet."""
        if counted not in self._windows:
            windows = self._windows[counted] = Windows(seconds)
            windows.told = partial(self._tell, counted)
            self._dropped.discard(counted)
        return self._windows[counted]

    def drop(self, counted: str) -> None:
        """Nobody asks for it any more."""
        if self._windows.pop(counted, None) is not None:
            self._dropped.add(counted)

    async def start(self) -> None:
        """Read what was kept of the windows that there are by now; forget all else."""
        if self._database is None:
            return
        rows: list[tuple[str, str, str]] = await self._database.read(_read)
        now = self._clock.seconds()
        for counted, who, steps in rows:
            windows = self._windows.get(counted)
            if windows is None:
                self._dropped.add(counted)
            elif not windows.load(who, _counts(steps), now):
                windows.put_back([who])  # to be removed
        self._loop.start(self._every, now=False).addErrback(self._loop_failed)

    async def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
        while self._has_changed() and await self._write():
            pass

    def _tell(self, counted: str, who: str, now: float, count: int) -> None:
        self._peers.tell(_TOPIC, (counted, who, now, count))

    def _heard(self, note: tuple[str, str, float, int], worker: str) -> None:
        counted, who, now, count = note
        if (windows := self._windows.get(counted)) is not None:
            windows.hear(who, now, count)

    def _write_some(self) -> Deferred[bool]:
        return as_deferred(self._write())

    async def _write(self) -> bool:
        """Whether it worked."""
        if self._database is None or not self._has_changed():
            return True
        dropped, self._dropped = self._dropped, set()
        rows = [
            (counted, who, counts)
            for counted, windows in self._windows.items()
            for who, counts in windows.take_changed(_AT_ONCE)
        ]
        try:
            await self._database.write(lambda connection: _keep(connection, rows, dropped))
        except Exception:  # noqa: BLE001 - limits go on without a disk
            self._put_back(rows, dropped)
            if not self._has_failed:
                self.log.failure("counts of rate limits cannot be kept; trying on")
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    def _put_back(self, rows: Iterable[Row], dropped: set[str]) -> None:
        self._dropped |= dropped - self._windows.keys()
        for counted, who, _ in rows:
            if counted in self._windows:
                self._windows[counted].put_back([who])

    def _has_changed(self) -> bool:
        return bool(self._dropped) or any(w.has_changed for w in self._windows.values())

    def _loop_failed(self, failure: Failure) -> None:
        self.log.failure("counts of rate limits are not kept any more", failure)


def _read(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """In the order of their last count, as the windows want them."""
    query = (
        "SELECT counted, who, steps FROM"
        f" (SELECT * FROM windows ORDER BY last DESC LIMIT {_LOADED}) ORDER BY last"
    )
    return connection.execute(query).fetchall()


def _keep(connection: sqlite3.Connection, rows: Iterable[Row], dropped: Iterable[str]) -> None:
    connection.executemany("DELETE FROM windows WHERE counted = ?", ((each,) for each in dropped))
    gone = [(counted, who) for counted, who, counts in rows if not counts]
    kept = [
        (counted, who, counts[-1][0], json.dumps(counts)) for counted, who, counts in rows if counts
    ]
    connection.executemany("DELETE FROM windows WHERE counted = ? AND who = ?", gone)
    connection.executemany("INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?)", kept)


def _counts(steps: str) -> list[Count]:
    """Nothing where the text is not ours."""
    try:
        return [(int(step), int(count)) for step, count in json.loads(steps) if int(count) > 0]
    except (ValueError, TypeError):
        return []
