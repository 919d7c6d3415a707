"""A hook that runs: its name, its places, and what its calls have cost.

So many calls of one are under way at a time. One that keeps the reactor is named in the log, once a
minute at most; one of which too many calls have not ended in time ``hangs``, and is not called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailframe.hooks.app import App
from mailframe.hooks.hook import Hook
from mailframe.hooks.room import Room
from mailframe.runtime.lineage import end_if_child, forks
from mailframe.runtime.stepping import step_named

BLOCKED_SECONDS = 0.1
"""A step of an ``async def`` that takes longer is complained about."""
ON_THREADS = 8
ON_REACTOR = 100
"""Calls of one hook at a time."""
SHORT = 8
"""Threads that hang, of all hooks together: from then on none of these hooks is called."""
_QUIET = 60.0
"""Seconds between two complaints about one hook."""


class Meter(Protocol):
    """Counts, for metrics. Called on the reactor's thread; must not raise."""

    def called(self, hook: str, phase: str, outcome: str, seconds: float) -> None:
        """One call ended, or was not waited for any longer. ``outcome``: ``ok`` (refusals too),
        ``failed``, ``timeout``, ``busy`` (it was not made), ``cancelled``."""

    def blocked(self, hook: str, seconds: float) -> None:
        """One step of it kept the reactor for so long."""


@dataclass(slots=True)
class Figures:
    """Of one hook, since this version of its application began."""

    calls: int = 0
    failures: int = 0
    timeouts: int = 0
    busy: int = 0
    """Not called, since too many calls of it were under way."""
    blocked: int = 0
    """Steps that kept the reactor for longer than a tenth of a second."""
    seconds: float = 0.0
    longest: float = 0.0
    hung: int = 0
    """Calls that nobody waits for and that have not ended."""


class LiveHook:
    """A hook of an application that runs. ``name`` says which, everywhere."""

    log = Logger()

    def __init__(
        self, hook: Hook, name: str, app: App, clock: IReactorTime, meter: Meter | None
    ) -> None:
        self.hook = hook
        self.name = name
        self.app = app
        self.figures = Figures()
        self.is_async = hook.is_async
        self._most = ON_REACTOR if self.is_async else ON_THREADS
        self.places = Room(clock, f"places for {name}", self._most)
        self.step = step_named(f"hook {name}", self._stepped)
        self._clock = clock
        self._meter = meter
        self._complained = -_QUIET
        self._forks = forks()

    def hangs(self, in_all: int) -> bool:
        """Whether too many calls of it have not ended in time; ``in_all`` of all hooks."""
        hung = self.figures.hung
        return hung >= self._most // 2 or (hung > 0 and in_all >= SHORT and not self.is_async)

    def count(self, outcome: str, seconds: float = 0.0) -> None:
        figures = self.figures
        if outcome == "busy":
            figures.busy += 1
        else:
            figures.calls += 1
            figures.seconds += seconds
            figures.longest = max(figures.longest, seconds)
        figures.failures += outcome == "failed"
        figures.timeouts += outcome == "timeout"
        if self._meter is not None:
            self._meter.called(self.name, self.hook.phase.value, outcome, seconds)

    def _stepped(self, seconds: float) -> None:
        end_if_child(self._forks)
        if seconds <= BLOCKED_SECONDS:
            return
        self.figures.blocked += 1
        if self._meter is not None:
            self._meter.blocked(self.name, seconds)
        now = self._clock.seconds()
        if now - self._complained >= _QUIET:
            self._complained = now
            self.log.warn(
                "{hook} kept the reactor for {milliseconds} ms, and nobody else was served: what"
                " blocks belongs into a plain def, which has a thread ({place})",
                hook=self.name,
                milliseconds=round(seconds * 1000),
                place=self.hook.place,
            )

    def __repr__(self) -> str:
        return f"<hook {self.name}>"
