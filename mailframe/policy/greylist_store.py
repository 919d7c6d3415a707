"""What greylisting remembers, in ``policy.db`` and the latest of it in memory.

Reading happens on the database's threads. Writing is not waited for: what is new is in memory
at once and on disk with the next group commit; a crash forgets the last moments, and a client
is put off once more. A file that cannot be read or written raises StoreFailed for a while: who
asks must let mail through, since a triplet that is not kept would be put off for ever.

Memory holds ``in_memory`` triplets and as many networks, the table ``most`` rows. ``purge``,
called every few minutes, removes what is too old, and where there are too many the oldest that
never came back first.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.runtime.database import Database

K = TypeVar("K")
V = TypeVar("V")
_FAILED_FOR = 60.0  # seconds during which a database that failed is not asked
_PURGED_AT_ONCE = 5_000  # rows in a transaction


class StoreFailed(Exception):
    """The database cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Triplet:
    """Times in seconds since the epoch; ``passed`` None: it did not come back yet."""

    network: str
    first: float
    passed: float | None
    last: float


class GreylistStore:
    """``window`` and ``keep`` in seconds: how long a triplet that did not come back counts, and
    one that did. ``database`` has the tables of ``policy.schema``."""

    log = Logger()

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        *,
        window: float = 172_800.0,
        keep: float = 3_110_400.0,
        in_memory: int = 20_000,
        most: int = 1_000_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._window = window
        self._keep = keep
        self._most = most
        self._triplets: _Latest[bytes, Triplet] = _Latest(in_memory)
        self._passes: _Latest[str, tuple[int, float]] = _Latest(in_memory)
        self._failed_until = 0.0

    async def find(self, key: bytes, now: float) -> Triplet | None:
        """None: never seen, or too long ago. Raises StoreFailed."""
        self._must_work(now)
        known = self._triplets.get(key)
        if known is None:
            row: tuple[str, float, float | None, float] | None = await self._read(_TRIPLET, key)
            # another session may have been quicker meanwhile
            known = self._triplets.get(key)
            if known is None and row is not None:
                known = Triplet(*row)
                self._triplets.put(key, known)
        if known is None or now - known.last > self._age(known.passed is not None):
            return None
        return known

    async def passes(self, network: str, now: float) -> int:
        """How many triplets of the network came back. Raises StoreFailed."""
        self._must_work(now)
        known = self._passes.get(network)
        if known is None:
            row: tuple[int, float] | None = await self._read(_CLIENT, network)
            known = self._passes.get(network) or row or (0, now)
            self._passes.put(network, known)
        count, last = known
        return count if now - last <= self._keep else 0

    def keep(self, key: bytes, triplet: Triplet) -> None:
        self._triplets.put(key, triplet)
        values = (key, triplet.network, triplet.first, triplet.passed, triplet.last)
        self._write(_KEEP, values)

    def count_pass(self, network: str, now: float) -> None:
        count, last = self._passes.get(network) or (0, now)
        count = count + 1 if now - last <= self._keep else 1
        self._passes.put(network, (count, now))
        # counted in the table, not copied from memory: that may have forgotten the network
        self._write(_COUNT, (network, now, now - self._keep))

    def purge(self) -> Deferred[int]:
        """Remove what is over; fires with the number of rows. Never fails."""
        now = self._clock.seconds()
        done = self._database.write(lambda connection: self._purged(connection, now))
        return done.addErrback(self._purge_failed)

    def _purged(self, connection: sqlite3.Connection, now: float) -> int:
        old = (now - self._window, now - self._keep, _PURGED_AT_ONCE)
        removed = connection.execute(_PURGE, old).rowcount
        removed += connection.execute(_PURGE_CLIENTS, (now - self._keep,)).rowcount
        rows: int = connection.execute("SELECT count(*) FROM greylist").fetchone()[0]
        for statement in (_PURGE_UNPROVED, _PURGE_OLDEST):
            excess = max(0, rows - self._most)
            gone = connection.execute(statement, (excess,)).rowcount
            rows -= gone
            removed += gone
        return removed

    def _age(self, has_passed: bool) -> float:
        return self._keep if has_passed else self._window

    def _must_work(self, now: float) -> None:
        if now < self._failed_until:
            raise StoreFailed("the database failed a moment ago")

    async def _read(self, statement: str, key: bytes | str) -> Any:
        def find(connection: sqlite3.Connection) -> Any:
            return connection.execute(statement, (key,)).fetchone()

        try:
            return await self._database.read(find)
        except CancelledError:
            raise
        except Exception as error:  # whatever it is, mail goes on
            self._failed(Failure(), "reading")
            raise StoreFailed(f"the database failed: {error}") from error

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        written = self._database.write(lambda connection: connection.execute(statement, values))
        written.addErrback(self._failed, "writing")

    def _failed(self, failure: Failure, what: str) -> None:
        self._failed_until = self._clock.seconds() + _FAILED_FOR
        self.log.failure("{what} the greylist failed; it is off for a while", failure, what=what)

    def _purge_failed(self, failure: Failure) -> int:
        self.log.failure("purging the greylist failed", failure)
        return 0


class _Latest(Generic[K, V]):
    """The ``most`` entries used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


_TRIPLET = "SELECT network, first, passed, last FROM greylist WHERE key = ?"
_CLIENT = "SELECT passes, last FROM greylist_clients WHERE network = ?"
_KEEP = """
INSERT INTO greylist (key, network, first, passed, last) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE
SET first = excluded.first, passed = excluded.passed, last = excluded.last
"""
_COUNT = """
INSERT INTO greylist_clients (network, passes, last) VALUES (?1, 1, ?2)
ON CONFLICT (network) DO UPDATE
SET passes = CASE WHEN last < ?3 THEN 1 ELSE passes + 1 END, last = excluded.last
"""
_PURGE = """
DELETE FROM greylist WHERE key IN (
    SELECT key FROM greylist WHERE last < ?1 AND (passed IS NULL OR last < ?2) LIMIT ?3)
"""
_PURGE_CLIENTS = "DELETE FROM greylist_clients WHERE last < ?"
_PURGE_UNPROVED = """
DELETE FROM greylist WHERE key IN (
    SELECT key FROM greylist WHERE passed IS NULL ORDER BY last LIMIT ?)
"""
_PURGE_OLDEST = """
DELETE FROM greylist WHERE key IN (SELECT key FROM greylist ORDER BY last LIMIT ?)
"""
