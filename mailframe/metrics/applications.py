"""What applications do with the time they are given: calls of their hooks, and how they ended.

A hook's name is its application's and its function's (``shop.order``); there are as many as the
owner of the server has written, so no stranger makes series.
"""

from __future__ import annotations

from mailframe.metrics.families import Counter, Histogram
from mailframe.metrics.snapshot import Family

_BOUNDS = (0.001, 0.01, 0.1, 1.0, 10.0, 30.0, 300.0)


class ApplicationHooks:
    """Told by whoever calls hooks (``mailframe.hooks.live.Meter``)."""

    def __init__(self) -> None:
        self._calls = Counter(
            "mailframe_app_hook_calls",
            "Calls of applications' hooks, by how they ended: ok, failed, timeout, busy (not made),"
            " cancelled.",
            ("hook", "phase", "outcome"),
        )
        self._seconds = Histogram(
            "mailframe_app_hook_seconds",
            "Time until a hook's answer, or until it was not waited for any longer.",
            _BOUNDS,
            ("hook",),
        )
        self._blocked = Counter(
            "mailframe_app_hook_blocked",
            "Steps of async hooks that kept the reactor for longer than a tenth of a second.",
            ("hook",),
        )

    def called(self, hook: str, phase: str, outcome: str, seconds: float) -> None:
        self._calls.add((hook, phase, outcome))
        if outcome != "busy":
            self._seconds.of((hook,)).observe(seconds)

    def blocked(self, hook: str, seconds: float) -> None:
        self._blocked.add((hook,))

    def families(self) -> tuple[Family, ...]:
        return self._calls.family(), self._seconds.family(), self._blocked.family()
