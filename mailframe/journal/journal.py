"""The journal's writing side.

``record`` puts a tuple into a list. A moment later the whole list becomes one log line per
event and one job for the database's writer, which encodes and inserts it off the reactor
thread. Between the two lies a bounded buffer: past it events are counted and dropped, and the
count is logged, because mail is worth more than the record of it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.interfaces import IJournal
from mailframe.journal.keys import keys_of
from mailframe.journal.lines import log_line
from mailframe.journal.schema import MIGRATIONS
from mailframe.runtime.database import Database

__all__ = ["MIGRATIONS", "Journal"]

Row = tuple[float, str, str, str, str, dict[str, Any]]

_FLUSH_AFTER = 0.05  # seconds: how far log and database lag behind, and what a crash can lose
_PURGE_EVERY = 600.0
_PURGE_ROWS = 2_000  # a batch holds the writer for some ten milliseconds
_SECRET = frozenset({"password", "secret", "token", "credentials", "response", "verifier"})
_HIDDEN = "[hidden]"
_NAMESPACE = "mailframe.journal"


@implementer(IJournal)
class Journal:
    log = Logger()

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        keep_seconds: float,
        *,
        buffer: int = 20_000,
        log_events: bool = True,
    ) -> None:
        """``database`` is opened with ``MIGRATIONS`` and ``durable=False`` by whoever owns it.

        ``buffer``: events held at most while the writer is behind. ``log_events`` False keeps
        events out of the text log (simulation, benchmarks)."""
        self._database = database
        self._clock = clock
        self._keep = keep_seconds
        self._buffer = buffer
        self._log_events = log_events
        self._rows: list[Row] = []
        self._writing = 0
        self._timer: IDelayedCall | None = None
        self._purge_timer: IDelayedCall | None = None
        self._stopped = False
        self.dropped = 0
        """Events lost since the start: the buffer was full, or the write failed."""

    def start(self) -> None:
        """Begin to purge what is older than ``keep_seconds``."""
        self._stopped = False
        self._purge_timer = self._clock.callLater(0, self._purge)

    def stop(self) -> Deferred[None]:
        """Write what is there; fires when it is written. The database can then be closed."""
        self._stopped = True
        for timer in (self._timer, self._purge_timer):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._purge_timer = None
        return self._flush()

    def record(
        self,
        id: str,
        step: str,
        result: str = "",
        *,
        session: str = "",
        **detail: str | int | float | bool | list[str] | None,
    ) -> None:
        if len(self._rows) + self._writing >= self._buffer:
            self.dropped += 1
            return
        self._rows.append((self._clock.seconds(), id, session, step, result, detail))
        if self._timer is None:
            self._timer = self._clock.callLater(_FLUSH_AFTER, self._flush)

    def flush(self) -> Deferred[None]:
        """Write at once what was recorded; fires when it is written."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return self._flush()

    def _flush(self) -> Deferred[None]:
        self._timer = None
        rows, self._rows = self._rows, []
        if not rows:
            return succeed(None)
        rows = [_cleaned(row) for row in rows]
        if self._log_events:
            for row in rows:
                self._tell(row)
        self._writing += len(rows)
        return self._database.write(lambda connection: _insert(connection, rows)).addBoth(
            self._written, len(rows)
        )

    def _written(self, result: object, count: int) -> None:
        self._writing -= count
        if isinstance(result, Failure):
            self.dropped += count
            self.log.failure("{count} events could not be journalled", result, count=count)

    def _tell(self, row: Row) -> None:
        """The log line, with the time at which it happened rather than that of the flush."""
        time, id, session, step, result, detail = row
        self.log.observer(
            {
                "log_level": LogLevel.info,
                "log_namespace": _NAMESPACE,
                "log_time": time,
                "log_logger": self.log,
                "log_source": None,
                "log_format": "{line}",
                "line": log_line(id, session, step, result, detail),
            }
        )

    def _purge(self) -> None:
        if self.dropped:
            self.log.warn("{count} events were not journalled since the start", count=self.dropped)
        horizon = self._clock.seconds() - self._keep
        self._database.write(lambda connection: _delete_older(connection, horizon)).addCallbacks(
            self._purged, self._purge_failed
        )

    def _purged(self, deleted: int) -> None:
        """Go on soon while there is more, so that other writers get their turn between."""
        if not self._stopped:
            delay = 0.2 if deleted >= _PURGE_ROWS else _PURGE_EVERY
            self._purge_timer = self._clock.callLater(delay, self._purge)

    def _purge_failed(self, failure: Failure) -> None:
        self.log.failure("the journal could not be purged", failure)
        self._purged(0)


def _cleaned(row: Row) -> Row:
    """Without what says nothing, and without secrets, whoever let them in."""
    time, id, session, step, result, detail = row
    kept = {
        name: _HIDDEN if name in _SECRET else value
        for name, value in detail.items()
        if value is not None and value != ""
    }
    return time, id, "" if session == id else session, step, result, kept


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    for time, id, session, step, result, detail in rows:
        text = json.dumps(detail, separators=(",", ":"))
        seq = connection.execute(
            "INSERT INTO events (time, id, session, step, result, detail) VALUES (?,?,?,?,?,?)",
            (time, _storable(id), _storable(session), step, _storable(result), text),
        ).lastrowid
        if keys := keys_of(detail):
            connection.executemany(
                "INSERT INTO keys (key, seq) VALUES (?,?)", [(_storable(key), seq) for key in keys]
            )


def _storable(text: str) -> str:
    """SQLite takes UTF-8 only; half a surrogate pair from a peer must not fail the batch."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _delete_older(connection: sqlite3.Connection, horizon: float) -> int:
    """Delete the oldest events before ``horizon``, a batch at most; returns how many.

    ``seq`` grows with time but for steps of the clock, so the front of the table is the
    oldest: no index on time is needed.
    """
    front = connection.execute(
        "SELECT seq, time FROM events ORDER BY seq LIMIT ?", (_PURGE_ROWS,)
    ).fetchall()
    last = 0
    count = 0
    for seq, time in front:
        if time >= horizon:
            break
        last, count = seq, count + 1
    if count:
        connection.execute("DELETE FROM keys WHERE seq <= ?", (last,))
        connection.execute("DELETE FROM events WHERE seq <= ?", (last,))
    return count
