"""INPROGRESS (RFC 9585): a command that takes its time says that it is still at work.

It is also how the server learns that a client is dead which seems only to have nothing more to
say: TCP tells the end of its input in either case, and a reset only when something is sent.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_KNOCKING = 1.0
"""Seconds between two of them where the client may be gone: the first is answered with a reset,
which the next one meets."""


class Progress:
    """Of one command after the other. ``tell`` is called every so many ``seconds`` (0: never)
    from ``start`` to ``stop``."""

    __slots__ = ("_clock", "_next", "_seconds", "_tell")

    def __init__(self, clock: IReactorTime, seconds: float, tell: Callable[[], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._tell = tell
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        if self._seconds:
            self._next = self._clock.callLater(self._seconds, self._again)

    def hasten(self) -> None:
        """The client says no more; is it there? From now on it is told more often, and of what
        is under way at once."""
        if self._seconds:
            self._seconds = min(self._seconds, _KNOCKING)
        if self._next is not None:
            self.stop()
            self._again()

    def stop(self) -> None:
        """Harmless where nothing is under way."""
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()

    def _again(self) -> None:
        self.start()
        self._tell()
