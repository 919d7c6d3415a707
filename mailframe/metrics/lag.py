"""How late the reactor is: what everybody waits for beside their own work."""

from __future__ import annotations

from collections.abc import Callable

from mailframe.metrics.families import Histogram
from mailframe.metrics.snapshot import Family, gauge

_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_WINDOW = 60.0
"""Seconds: no scraper comes much less often, and one that comes more often takes nothing from
another one's view."""


class Lag:
    """``observe`` is told how late each timer of a series was, in seconds. ``seconds`` is a clock
    that is never set."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._all = Histogram(
            "mailframe_reactor_lag_seconds",
            "How late timers fired.",
            _BOUNDS,
        )
        self._spread = self._all.of()
        self._began = seconds()
        self._longest = self._before = 0.0

    def observe(self, late: float) -> None:
        self._spread.observe(late)
        self._go_on()
        if late > self._longest:
            self._longest = late

    def families(self) -> list[Family]:
        self._go_on()
        longest = max(self._before, self._longest)
        return [
            self._all.family(),
            gauge(
                "mailframe_reactor_longest_lag_seconds",
                "The latest that a timer was within the last one or two minutes.",
                longest,
            ),
        ]

    def _go_on(self) -> None:
        now = self._seconds()
        if now - self._began >= _WINDOW:
            self._began, self._before, self._longest = now, self._longest, 0.0
