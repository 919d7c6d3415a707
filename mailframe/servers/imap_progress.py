"""INPROGRESS (RFC 9585): a command that takes its time says that it is still at work."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Progress:
    """Of one command after the other. ``tell`` is called every so many ``seconds`` (0: never)
    from ``start`` to ``stop``."""

    def __init__(self, clock: IReactorTime, seconds: float, tell: Callable[[], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._tell = tell
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        if self._seconds:
            self._next = self._clock.callLater(self._seconds, self._again)

    def stop(self) -> None:
        """Harmless where nothing is under way."""
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()

    def _again(self) -> None:
        self.start()
        self._tell()
