"""``@app.schedule``: hooks whose time has come.

A run that is due while the one before it still goes on is left out, and so is one that was missed
because the server did not run or the clock was set past it: nothing is made up. Of several
workers one does it. ``every`` counts from the start of the server and does not care how the clock
is set; cron expressions follow it, and none of their times comes twice when it is set back a
little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mailframe.errors import Failure
from mailframe.hooks.calling import Caller
from mailframe.hooks.live import LiveHook
from mailframe.hooks.schedules import Cron, Every, parse_schedule
from mailframe.hooks.server import Server
from mailframe.runtime.aio import Background

_LOOK = 60.0
"""Seconds after which the clock is looked at again at the latest: it may have been set."""
_GRACE = 60.0
"""Seconds that a run may be late and is still made."""


@dataclass(slots=True, eq=False)
class _Entry:
    hook: LiveHook
    when: Every | Cron
    due: float | None = None
    """Of a cron expression: seconds since the epoch; None: never again."""
    made: float | None = None
    """The ``due`` of the run before."""
    looked: float = 0.0
    timer: IDelayedCall | None = None
    is_running: bool = False


class Calendar:
    log = Logger()

    def __init__(self, hooks: Sequence[LiveHook], caller: Caller, server: Server) -> None:
        """Raises ValueError for a schedule that is none."""
        self._caller = caller
        self._clock = server.clock
        self._zone = server.zone
        self._is_ours = server.is_ours
        self._background = Background()
        self._entries = [_Entry(hook, parse_schedule(hook.hook.schedule)) for hook in hooks]

    def start(self) -> None:
        for entry in self._entries:
            if isinstance(entry.when, Cron):
                entry.looked = self._clock.seconds()
                entry.due = entry.when.after(entry.looked, self._zone)
            self._wait(entry)

    def stop(self) -> None:
        """Begin no more runs; those under way go on."""
        for entry in self._entries:
            timer, entry.timer = entry.timer, None
            if timer is not None and timer.active():
                timer.cancel()

    def _wait(self, entry: _Entry) -> None:
        if isinstance(entry.when, Every):
            entry.timer = self._clock.callLater(entry.when.seconds, self._every, entry)
        elif entry.due is not None:
            left = max(0.0, entry.due - self._clock.seconds())
            entry.timer = self._clock.callLater(min(left, _LOOK), self._look, entry, entry.when)

    def _every(self, entry: _Entry) -> None:
        self._wait(entry)
        self._begin(entry)

    def _look(self, entry: _Entry, cron: Cron) -> None:
        now = self._clock.seconds()
        due = entry.due
        if now < entry.looked - 1.0:  # set back: the time that was waited for may be far off now
            entry.due = self._next(entry, cron, now)
        elif due is not None and now >= due:
            entry.made = due
            entry.due = cron.after(now, self._zone)
            if now - due <= _GRACE:
                self._begin(entry)
            else:
                late = round(now - due)
                name = entry.hook.name
                self.log.warn("{hook} was due {late} s ago: left out", hook=name, late=late)
        entry.looked = now
        self._wait(entry)

    def _next(self, entry: _Entry, cron: Cron, now: float) -> float | None:
        """Not the run that was made before the clock was set back."""
        due = cron.after(now, self._zone)
        if due is not None and due == entry.made:
            due = cron.after(due, self._zone)
        return due

    def _begin(self, entry: _Entry) -> None:
        if not self._is_ours():
            return
        if entry.is_running:
            self.log.warn("{hook} is due and still runs: left out", hook=entry.hook.name)
            return
        entry.is_running = True
        self._background.start(self._run(entry), f"schedule {entry.hook.name}")

    async def _run(self, entry: _Entry) -> None:
        try:
            await self._caller.call(entry.hook, "", {})
        except Failure as failure:
            # What it raised itself is logged with its traceback; a place may have been missing.
            why = failure.detail or str(failure)
            self.log.warn("the run of {hook} failed: {why}", hook=entry.hook.name, why=why)
        finally:
            entry.is_running = False
