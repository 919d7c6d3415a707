"""Requests that wait until something is other than it was."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


class Waits:
    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: list[Deferred[None]] = []
        self.state = 0
        """Counts the changes."""

    def happened(self) -> None:
        self.state += 1
        self.stop()

    def stop(self) -> None:
        """Let everybody go who waits."""
        for waiting in list(self._waiting):
            self._fire(waiting)

    def next(self, seconds: float) -> Deferred[None]:
        """Fires at the next change, or after ``seconds``."""
        change: Deferred[None] = Deferred(self._forget)
        self._waiting.append(change)
        timer = self._clock.callLater(seconds, self._fire, change)

        def done(result: Any) -> Any:
            if timer.active():
                timer.cancel()
            return result

        return change.addBoth(done)

    def _fire(self, change: Deferred[None]) -> None:
        self._forget(change)
        change.callback(None)

    def _forget(self, change: Deferred[None]) -> None:
        if change in self._waiting:
            self._waiting.remove(change)
