"""When attempts have taken too long: one timer for all of them.

All get the same time, so the first that began is the first whose time is over. The timer is
for the eldest when it was set; when it goes off it is set anew for whoever is the eldest then.
Unlike ``runtime.rounds``, which looks again and again at what lasts, each is called once, and
the timer outlives attempts, most of which take no time at all.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadlines:
    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self.seconds = seconds
        self._clock = clock
        self._under_way: dict[object, tuple[float, Callable[[], None]]] = {}
        self._timer: IDelayedCall | None = None

    def begin(self, give_up: Callable[[], None]) -> object:
        """Call ``give_up`` after so long, unless ``end`` comes before, with what this returns."""
        attempt = object()
        self._under_way[attempt] = (self._clock.seconds() + self.seconds, give_up)
        if self._timer is None:
            self._timer = self._clock.callLater(self.seconds, self._look)
        return attempt

    def end(self, attempt: object) -> None:
        self._under_way.pop(attempt, None)

    def stop(self) -> None:
        """Nothing is under way any more."""
        self._under_way.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def clock_jumped(self, seconds: float) -> None:
        """The clock was set by so much; timers are moved by whoever set it."""
        self._under_way = {
            attempt: (time + seconds, give_up)
            for attempt, (time, give_up) in self._under_way.items()
        }

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for attempt, (time, give_up) in list(self._under_way.items()):
            if time > now:
                self._timer = self._clock.callLater(time - now, self._look)
                return
            del self._under_way[attempt]
            give_up()
