"""One timer for many things that have to be looked at now and then.

A timer for each of ten thousand connections costs more to make, to keep and to cancel than
all that it does. Here everything waits equally long for its next look, so the order of
beginning is the order of being due, and the one timer is for the first.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

T = TypeVar("T")


class Rounds(Generic[T]):
    """Calls ``look`` for each thing ``interval`` seconds after its beginning, and again after
    each such time until its end. What ``look`` raises is logged. ``interval`` 0: never."""

    log = Logger()

    def __init__(self, clock: IReactorTime, interval: float, look: Callable[[T], None]) -> None:
        self._clock = clock
        self._interval = interval
        self._look = look
        self._due: dict[T, float] = {}  # in the order of being due
        self._timer: IDelayedCall | None = None

    def begin(self, thing: T) -> None:
        """Look after a thing from now on."""
        if not self._interval:
            return
        self._due[thing] = self._clock.seconds() + self._interval
        if self._timer is None:
            self._timer = self._clock.callLater(self._interval, self._go)

    def end(self, thing: T) -> None:
        """No more; harmless for what is not looked after."""
        self._due.pop(thing, None)
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __len__(self) -> int:
        return len(self._due)

    def _go(self) -> None:
        now = self._clock.seconds()
        found = [thing for thing, _ in takewhile(lambda item: item[1] <= now, self._due.items())]
        for thing in found:
            del self._due[thing]
            self._due[thing] = now + self._interval
        self._timer = None
        if self._due:
            first = next(iter(self._due.values()))
            self._timer = self._clock.callLater(max(0, first - now), self._go)
        for thing in found:
            if thing in self._due:
                self._look_at(thing)

    def _look_at(self, thing: T) -> None:
        try:
            self._look(thing)
        except Exception:  # noqa: BLE001 - the others are to be looked at all the same
            self.log.failure("one of those looked after: {thing!r}", thing=thing)
