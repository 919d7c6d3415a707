"""Calls that block, with a time limit, so many at once and no more; and the places for them.

A thread cannot be ended from outside. So whoever asked gets his failure when the time is over, and
the place of the call is free again only when the call has really come to its end: a server that
lets every question hang takes the threads of its own source and of no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.runtime.workers import OVERLOADED
from mailframe.sources.rotation import ServerDown

T = TypeVar("T")
Run = Callable[..., Deferred[Any]]
"""Like ``IWorkers.run``."""

_WAITING_EACH = 25  # questions that wait for each that is under way


class Places:
    """Of questions to one server: ``limit`` at once."""

    def __init__(self, limit: int) -> None:
        self._free = DeferredSemaphore(limit)
        self._most_waiting = limit * _WAITING_EACH
        self._failures = 0

    async def take(self) -> None:
        """Raises TransientFailure where too many wait, and ServerDown where the server failed
        meanwhile: those who waited would only wait for it once more, one after the other."""
        if len(self._free.waiting) >= self._most_waiting:
            raise TransientFailure(OVERLOADED, "too many questions wait")
        before = self._failures
        await self._free.acquire()
        if self._failures != before:
            self._free.release()
            raise ServerDown("it did not answer others")

    def leave(self) -> None:
        self._free.release()

    def note_failure(self) -> None:
        """The server cannot be asked; before ``leave``."""
        self._failures += 1


class TimedCalls:
    """``limit`` calls at once; ``timeout`` in seconds for one."""

    def __init__(self, run: Run, clock: IReactorTime, *, limit: int, timeout: float) -> None:
        self._run = run
        self._clock = clock
        self._places = Places(limit)
        self.timeout = timeout

    async def call(
        self, function: Callable[..., T], *args: Any, give_up: Callable[[], None] | None = None
    ) -> T:
        """``give_up`` is called when the time is over, to make the call end soon.

        Raises what the function raises, ServerDown when the time is over, and TransientFailure
        when too many wait."""
        await self._places.take()
        answer: Deferred[T] = Deferred()
        timer = self._clock.callLater(self.timeout, self._expired, answer, give_up)

        def ended(result: T | Failure) -> None:
            # Where the time was over already, that is noted.
            if isinstance(result, Failure) and result.check(ServerDown) and not answer.called:
                self._places.note_failure()
            self._places.leave()
            if timer.active():
                timer.cancel()
            if not answer.called:
                answer.callback(result)

        self._run(function, *args).addBoth(ended)
        return await answer

    def _expired(self, answer: Deferred[T], give_up: Callable[[], None] | None) -> None:
        self._places.note_failure()
        if give_up is not None:
            give_up()
        if not answer.called:
            answer.errback(Failure(ServerDown(f"no answer within {self.timeout:g} s")))
