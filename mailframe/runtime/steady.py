"""Timers that the wall clock cannot stop, and stamps that follow it.

Twisted measures every delay by ``time.time()``: set back by a day, all timers would stand still
for a day, and set forward, all would go off at once. ``SteadyTime`` gives the reactor a clock
that runs evenly, the monotonic one put at the wall's time, and looks every few seconds whether
the wall has gone elsewhere. Then it follows: stamps are right again, pending calls are put off
or brought forward by as much, so that each waits as long as it was told to, and ``jumped`` is
called with the seconds, for what keeps times of its own. Less than ``_SLACK`` is what ntpd does
all day, and is followed in silence.

Time that a machine spends suspended counts as a jump: nothing ran meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_LOOK_SECONDS = 2.0
_SLACK = 2.0


class SteadyTime:
    """``start`` and ``stop`` on the reactor's thread."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        jumped: Callable[[float], None],
        *,
        wall: Callable[[], float] = time.time,
        even: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._jumped = jumped
        self._wall = wall
        self._even = even
        self._offset = wall() - even()
        self._looking = LoopingCall(self.look)
        self._looking.clock = reactor

    def seconds(self) -> float:
        return self._even() + self._offset

    def start(self) -> None:
        self._reactor.seconds = self.seconds
        self._looking.start(_LOOK_SECONDS, now=False)

    def stop(self) -> None:
        if self._looking.running:
            self._looking.stop()
        self._reactor.__dict__.pop("seconds", None)

    def look(self) -> None:
        """Follow the wall clock."""
        by = self._wall() - self.seconds()
        if abs(by) < _SLACK:
            self._offset += by
            return
        self.log.warn("the clock was set by {by} s; what waits goes on waiting", by=round(by, 1))
        calls = self._reactor.getDelayedCalls()
        self._offset += by
        for call in calls:
            call.delay(by)
        self._jumped(by)
