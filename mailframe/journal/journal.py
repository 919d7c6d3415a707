"""The journal's writing side.

``record`` puts a tuple into a list. A moment later the whole list becomes one log event for
each and one job for the database's writer, which encodes and inserts it off the reactor
thread. Between the two lies a bounded buffer: past it events are counted and dropped, and the
count is logged, because mail is worth more than the record of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import LogEvent, Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.interfaces import IJournal
from mailframe.journal import pages
from mailframe.journal.lines import Line
from mailframe.journal.pages import Row
from mailframe.journal.schema import MIGRATIONS
from mailframe.runtime.database import Database

__all__ = ["MIGRATIONS", "Journal"]

_FLUSH_AFTER = 0.05  # seconds: how far log and database lag behind, and what a crash can lose
_PURGE_EVERY = 600.0
_PURGE_ON = 0.2  # while there is more, so that other writers get their turn between
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
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        """``database`` is opened with ``MIGRATIONS`` and ``durable=False`` by whoever owns it.

        ``buffer``: events held at most while the writer is behind. ``log_events`` False keeps
        events out of the text log (simulation, benchmarks). ``is_ours``: whether it is this process
        that purges, of several that write (``runtime.duty``)."""
        self._database = database
        self._clock = clock
        self._keep = keep_seconds
        self._buffer = buffer
        self._log_events = log_events
        self._is_ours = is_ours
        self._rows: list[Row] = []
        self._writing = 0
        self._timer: IDelayedCall | None = None
        self._purge_timer: IDelayedCall | None = None
        self._stopped = False
        self._listeners: list[Callable[[Sequence[Row]], None]] = []
        self.dropped = 0
        """Events lost since the start: the buffer was full, or the write failed."""

    def listen(self, listener: Callable[[Sequence[Row]], None]) -> None:
        """``listener`` is given the events of each flush, as they were recorded, before they are
        written. What it raises is logged."""
        self._listeners.append(listener)

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
        if not self._rows:
            return succeed(None)
        rows = [row if _SECRET.isdisjoint(row[5]) else _without_secrets(row) for row in self._rows]
        self._rows = []
        self._tell_listeners(rows)
        if self._log_events:
            self._tell(rows)
        self._writing += len(rows)
        return self._database.write(partial(pages.add, rows=rows)).addBoth(self._written, len(rows))

    def _tell_listeners(self, rows: Sequence[Row]) -> None:
        for listener in self._listeners:
            try:
                listener(rows)
            except Exception:  # noqa: BLE001 - the journal goes on without it
                self.log.failure("a listener to the journal failed")

    def _written(self, result: object, count: int) -> None:
        self._writing -= count
        if isinstance(result, Failure):
            self.dropped += count
            self.log.failure("{count} events could not be journalled", result, count=count)

    def _tell(self, rows: list[Row]) -> None:
        """The log, with the times at which it happened rather than that of the flush.

        An observer that writes may wait while ``more`` is true: others follow at once."""
        to_come = len(rows)
        for row in rows:
            to_come -= 1
            event: LogEvent = {
                "log_level": LogLevel.info,
                "log_namespace": _NAMESPACE,
                "log_time": row[0],
                "log_logger": self.log,
                "log_source": None,
                "log_format": "{line}",
                "line": Line(row),
                "more": to_come > 0,
            }
            self.log.observer(event)

    def _purge(self) -> None:
        if self.dropped:
            self.log.warn("{count} events were not journalled since the start", count=self.dropped)
        if not self._is_ours():
            self._purged(0)
            return
        horizon = self._clock.seconds() - self._keep
        self._database.write(partial(pages.forget_older, horizon=horizon)).addCallbacks(
            self._purged, self._purge_failed
        )

    def _purged(self, forgotten: int) -> None:
        if not self._stopped:
            delay = _PURGE_ON if forgotten >= pages.FORGET else _PURGE_EVERY
            self._purge_timer = self._clock.callLater(delay, self._purge)

    def _purge_failed(self, failure: Failure) -> None:
        self.log.failure("the journal could not be purged", failure)
        self._purged(0)


def _without_secrets(row: Row) -> Row:
    """Whoever let them in."""
    time, id, session, step, result, detail = row
    hidden = {name: _HIDDEN if name in _SECRET else value for name, value in detail.items()}
    return time, id, session, step, result, hidden
