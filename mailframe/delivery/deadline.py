"""A time limit that is put off with every step, for the price of an assignment.

A timer for each command would be made and thrown away four times a message. Here one timer
looks in every few seconds, and calls when the limit of that moment has passed. (``Rounds`` of
``runtime`` will not do: limits differ from step to step, and are kept to the second.) Limits count
from the timer's time and not from the clock's, which can be set.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_LOOK_EVERY = 5.0
"""Seconds. A limit nearer than the next look costs a new timer; most are minutes."""


class Deadline:
    """``passed`` is called once for each limit that passes. ``clear`` it when done with it."""

    __slots__ = ("_after_look", "_clock", "_passed", "_timer")

    def __init__(self, clock: IReactorTime, passed: Callable[[], None]) -> None:
        self._clock = clock
        self._passed = passed
        self._timer: IDelayedCall | None = None
        self._after_look: float | None = None
        """Seconds from the next look to the limit; None: there is no limit."""

    @property
    def is_set(self) -> bool:
        return self._after_look is not None

    def set(self, seconds: float) -> None:
        """In so many seconds from now, whatever was set before."""
        if self._timer is not None:
            self._after_look = self._clock.seconds() + seconds - self._timer.getTime()
            if self._after_look >= 0:
                return
            self._timer.cancel()
        self._wait(seconds)

    def lift(self) -> None:
        """No limit for now; the timer may look in once more."""
        self._after_look = None

    def clear(self) -> None:
        """No limit, and nothing left with the clock."""
        self._after_look = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        until_look = min(seconds, _LOOK_EVERY)
        self._after_look = seconds - until_look
        self._timer = self._clock.callLater(until_look, self._look)

    def _look(self) -> None:
        left, timer, self._timer = self._after_look, self._timer, None
        if left is None or timer is None:
            return
        left -= self._clock.seconds() - timer.getTime()  # the look itself may be late
        if left > 0:
            self._wait(left)
        else:
            self._after_look = None
            self._passed()
