"""Whom an account has written to before, in ``policy.db``, as digests.

Known is who was ever named in a RCPT after a login. Kept are the ``most_per_account`` that were
written to last, and ``most`` of all accounts; memory has those of the last minutes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime

from mailframe.core.address import Address
from mailframe.policy.rate_windows import bounded
from mailframe.runtime.database import Database

_DAY = 86_400


class KnownRecipients:
    """``database`` has the tables of ``policy.schema``."""

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        *,
        most_per_account: int = 200_000,
        most: int = 5_000_000,
        in_memory: int = 20_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._most_per_account = most_per_account
        self._most = most
        self._in_memory = in_memory
        self._recent: OrderedDict[tuple[str, bytes, int], None] = OrderedDict()

    async def meet(self, account: str, recipient: Address) -> bool:
        """Whether the account writes to them for the first time; from now on they are known.
        Raises what the database raises."""
        day = int(self._clock.seconds() // _DAY)
        key = (account, _digest(str(recipient).casefold()), day)
        if key in self._recent:
            self._recent.move_to_end(key)
            return False
        row = (_digest(account), key[1], day)
        is_new = await self._database.write(lambda connection: _meet(connection, row))
        self._recent[key] = None
        if len(self._recent) > self._in_memory:
            self._recent.popitem(last=False)
        return is_new

    async def since(self, account: str) -> float:
        """When the account first sent anything here: now, if it never did."""
        name, now = bounded(account), self._clock.seconds()
        return await self._database.write(lambda connection: _since(connection, name, now))

    async def purge(self) -> int:
        """Remove the oldest where there are too many; the number of rows. For a daily run."""
        return await self._database.write(self._purged)

    def _purged(self, connection: sqlite3.Connection) -> int:
        removed, all_rows = 0, 0
        counts = connection.execute(
            "SELECT account, count(*) FROM known_recipients GROUP BY account"
        ).fetchall()
        for account, count in counts:
            all_rows += count
            if count > self._most_per_account:
                excess = count - self._most_per_account
                removed += connection.execute(_OLDEST_OF, (account, account, excess)).rowcount
        if all_rows - removed > self._most:
            excess = all_rows - removed - self._most
            removed += connection.execute(_OLDEST, (excess,)).rowcount
        return removed


def _meet(connection: sqlite3.Connection, row: tuple[bytes, bytes, int]) -> bool:
    account, recipient, day = row
    known = connection.execute(
        "UPDATE known_recipients SET day = ? WHERE account = ? AND recipient = ?",
        (day, account, recipient),
    )
    if known.rowcount:
        return False
    connection.execute("INSERT INTO known_recipients VALUES (?, ?, ?)", row)
    return True


def _since(connection: sqlite3.Connection, account: str, now: float) -> float:
    connection.execute("INSERT OR IGNORE INTO senders VALUES (?, ?)", (account, now))
    query = "SELECT since FROM senders WHERE account = ?"
    since: float = connection.execute(query, (account,)).fetchone()[0]
    return since


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=12).digest()


_OLDEST_OF = """
DELETE FROM known_recipients WHERE account = ? AND recipient IN (
    SELECT recipient FROM known_recipients WHERE account = ? ORDER BY day LIMIT ?)
"""
_OLDEST = """
DELETE FROM known_recipients WHERE (account, recipient) IN (
    SELECT account, recipient FROM known_recipients ORDER BY day LIMIT ?)
"""
