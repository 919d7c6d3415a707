"""What DMARC saw, counted by day and domain until the reports of the day are written.

``note`` is called for each message on the reactor thread: it adds one to a count in memory, and
nothing else. Every ``interval`` seconds, and at the end, the counts go to ``reports.db``. A crash
loses the last of them: figures in a report, not mail.

Bounded: ``most`` distinct rows wait in memory, ``most_rows`` are kept for a domain and day (as many
as fit into a report), ``most_a_day`` for all. What is beyond is left out; a flood of
forged mail costs no more than that.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.core.observation import DmarcObservation
from mailframe.runtime.database import Database

DAY = 86_400
_MOST_SIGNATURES = 10
_LONGEST = 253


@dataclass(frozen=True, slots=True)
class _Row:
    day: int
    domain: str
    record: str
    row: str
    passes: bool

    @property
    def key(self) -> bytes:
        return hashlib.blake2b(self.row.encode(), digest_size=16).digest()


class Observations:
    log = Logger()

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        *,
        interval: float = 30.0,
        most: int = 20_000,
        most_rows: int = 20_000,
        most_a_day: int = 100_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._interval = interval
        self._most = most
        self._most_rows = most_rows
        self._most_a_day = most_a_day
        self._waiting: Counter[_Row] = Counter()
        self.left_out = 0
        """Messages that were not counted, for want of room."""
        self._loop = LoopingCall(self.flush)
        self._loop.clock = clock

    def start(self) -> None:
        self._loop.start(self._interval, now=False)

    def stop(self) -> Deferred[None]:
        if self._loop.running:
            self._loop.stop()
        return self.flush()

    def note(self, seen: DmarcObservation) -> None:
        """Never blocks and never raises."""
        row = _Row(
            int(seen.when // DAY),
            seen.dmarc.record_domain,
            seen.dmarc.record,
            json.dumps(_row(seen), separators=(",", ":")),
            bool(seen.dmarc),
        )
        if row not in self._waiting and len(self._waiting) >= self._most:
            self.left_out += 1
            return
        self._waiting[row] += 1

    def flush(self) -> Deferred[None]:
        """Never fails; what cannot be written is lost, and logged."""
        if not self._waiting:
            return succeed(None)
        waiting, self._waiting = self._waiting, Counter()
        now = self._clock.seconds()
        written = self._database.write(lambda c: self._write(c, waiting, now))
        return written.addCallbacks(self._written, self._lost)

    def _written(self, left_out: int) -> None:
        self.left_out += left_out

    def _write(self, connection: sqlite3.Connection, waiting: Counter[_Row], now: float) -> int:
        """How much there was no room for."""
        left_out = 0
        room: dict[tuple[int, str], int] = {}
        for row, count in waiting.items():
            place = (row.day, row.domain)
            if place not in room:
                room[place] = self._room(connection, row)
            values = (count, row.record, row.day, row.domain, row.key)
            if connection.execute(_COUNT, values).rowcount:
                continue
            if room[place] > 0:
                room[place] -= 1
                known = (row.day, row.domain, row.key, row.record, row.row, row.passes, count)
                connection.execute(_ADD, known)
            else:
                left_out += count
        proved = {row.domain for row in waiting if row.passes}
        connection.executemany(_PROVED, [(domain, now) for domain in proved])
        return left_out

    def _room(self, connection: sqlite3.Connection, row: _Row) -> int:
        rows: int = connection.execute(_ROWS, (row.day, row.domain)).fetchone()[0]
        day: int = connection.execute(_ROWS_OF_DAY, (row.day,)).fetchone()[0]
        return min(self._most_rows - rows, self._most_a_day - day)

    def _lost(self, failure: Failure) -> None:
        self.log.failure("DMARC results could not be kept", failure)


def _row(seen: DmarcObservation) -> dict[str, Any]:
    """What makes messages alike, as the report wants it (RFC 9990 section 3.1.1)."""
    kind, _, comment = seen.override.partition(": ")
    # RFC 9990 section 3.1.1.9: the alignment, not the bare result
    spf = seen.spf
    return {
        "source_ip": seen.source_ip,
        "disposition": seen.disposition.value,
        "dkim": "pass" if "dkim" in seen.dmarc.aligned_by else "fail",
        "spf": "pass" if "spf" in seen.dmarc.aligned_by else "fail",
        "reason": [kind, comment] if kind else [],
        "header_from": seen.dmarc.domain[:_LONGEST],
        "envelope_from": seen.envelope_from[:_LONGEST],
        "dkim_results": [
            [each.domain[:_LONGEST], each.selector[:_LONGEST], each.result.value]
            for each in seen.dkim[:_MOST_SIGNATURES]
            if each.domain
        ],
        "spf_result": [
            spf.domain[:_LONGEST],
            "helo" if spf.identity == "helo" else "mfrom",
            spf.result.value,
        ]
        if spf is not None
        else [],
    }


_COUNT = """
UPDATE observed SET count = count + ?, record = ? WHERE day = ? AND domain = ? AND key = ?
"""
_ADD = """
INSERT INTO observed (day, domain, key, record, row, passes, count) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ROWS = "SELECT count(*) FROM observed WHERE day = ? AND domain = ?"
_ROWS_OF_DAY = "SELECT count(*) FROM observed WHERE day = ?"
_PROVED = """
INSERT INTO proved (domain, last) VALUES (?, ?)
ON CONFLICT (domain) DO UPDATE SET last = excluded.last
"""
