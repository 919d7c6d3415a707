"""Who is frozen: accounts that may not send for now, in ``policy.db``.

The file is the truth. The command line changes it beside a running server, which looks again
when somebody who logged in sends and the last look is more than ``fresh`` seconds ago: one read
of a short table, and none while nobody sends. While the file cannot be read, what was known
holds.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailframe.policy.rate_windows import bounded
from mailframe.runtime.database import Database

_LONGEST_REASON = 500  # characters


@dataclass(frozen=True, slots=True)
class Frozen:
    account: str
    since: float
    """Seconds since the epoch."""
    reason: str


class FrozenAccounts:
    """``database`` has the tables of ``policy.schema``."""

    log = Logger()

    def __init__(self, database: Database, clock: IReactorTime, *, fresh: float = 1.0) -> None:
        self._database = database
        self._clock = clock
        self._fresh = fresh
        self._known: dict[str, Frozen] = {}
        self._looked_at: float | None = None
        self._changes = 0

    async def start(self) -> None:
        """Look for the first time: whoever comes while a look is under way goes by the last one."""
        await self._look(self._clock.seconds())

    async def find(self, account: str) -> Frozen | None:
        now = self._clock.seconds()
        # a clock that was set back must not stop the looking
        if self._looked_at is None or not 0 <= now - self._looked_at < self._fresh:
            await self._look(now)
        return self._known.get(bounded(account))

    async def freeze(self, account: str, reason: str) -> bool:
        """False where it is frozen already. In force at once, also where the file fails."""
        if await self.find(account) is not None:
            return False
        found = Frozen(bounded(account), self._clock.seconds(), reason)
        self._known[found.account] = found
        self._changes += 1
        try:
            return await self._database.write(lambda connection: write_frozen(connection, found))
        except Exception:  # noqa: BLE001 - the brake holds until the process ends
            self.log.failure("that {account} is frozen cannot be kept", account=account)
            return True

    async def _look(self, now: float) -> None:
        before, self._looked_at = self._changes, now
        try:
            rows = await self._database.read(read_frozen)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - mail goes on by what was known
            self.log.failure("who is frozen cannot be read")
            return
        if before == self._changes:
            self._known = {row.account: row for row in rows}


def read_frozen(connection: sqlite3.Connection) -> list[Frozen]:
    """All of them, by name."""
    rows = connection.execute("SELECT account, since, reason FROM frozen ORDER BY account")
    return [Frozen(*row) for row in rows]


def write_frozen(connection: sqlite3.Connection, frozen: Frozen) -> bool:
    """False where it is frozen already: then its reason stays."""
    values = (frozen.account, frozen.since, frozen.reason[:_LONGEST_REASON])
    written = connection.execute("INSERT OR IGNORE INTO frozen VALUES (?, ?, ?)", values)
    return written.rowcount > 0


def remove_frozen(connection: sqlite3.Connection, account: str) -> bool:
    """False where it was not frozen."""
    return connection.execute("DELETE FROM frozen WHERE account = ?", (account,)).rowcount > 0
