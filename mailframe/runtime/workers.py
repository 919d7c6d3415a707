"""Named thread pools with bounded queues, and their single-threaded double.

Several times a message the server hands a call of some microseconds to a thread, so what the
handing over costs is what counts: calls go through a queue written in C, and ``homeward`` has
results that meet wake the reactor once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers

P = ParamSpec("P")
T = TypeVar("T")
_Call = tuple[Callable[[], Any], Deferred[Any]]

PATIENCE = 5.0
"""Seconds that a stop waits for calls of other people's code."""
OVERLOADED = Reply(451, status.SYSTEM_NOT_ACCEPTING, "Overloaded, please try again later")


@implementer(IWorkers)
class Workers:
    """``threads`` threads, made as needed; at most ``backlog`` calls wait for one."""

    def __init__(
        self,
        name: str,
        threads: int,
        backlog: int,
        reactor: IReactorFromThreads,
        *,
        foreign: bool = False,
    ) -> None:
        """``foreign``: what is called is not ours and may never return. ``stop`` waits for it for
        ``PATIENCE`` seconds in all, and the process ends without it."""
        self.name = name
        self._foreign = foreign
        self._most = threads
        self._limit = threads + backlog
        self._pending = 0
        self._reactor = reactor
        self._is_open = False
        self._threads: list[threading.Thread] = []
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()

    @property
    def pending(self) -> int:
        """Calls that wait or are under way."""
        return self._pending

    def start(self) -> None:
        self._is_open = True

    def stop(self) -> None:
        """Waits for the calls under way; blocks, so call it when the server is done."""
        self._is_open = False
        for _ in self._threads:
            self._calls.put(None)
        until = time.monotonic() + PATIENCE
        while self._threads:
            left = max(0.0, until - time.monotonic())
            self._threads.pop().join(left if self._foreign else None)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        if not self._is_open or self._pending >= self._limit:
            why = "full" if self._is_open else "stopped"
            return fail(TransientFailure(OVERLOADED, f"worker pool {self.name} is {why}"))
        self._pending += 1
        result: Deferred[T] = Deferred()
        self._calls.put((partial(function, *args, **kwargs), result))
        if len(self._threads) < min(self._pending, self._most):
            self._add_thread()
        return result

    def _add_thread(self) -> None:
        name = f"mailframe-{self.name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=self._foreign)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        """On a thread, until ``stop``."""
        while (call := self._calls.get()) is not None:
            function, result = call
            try:
                value = function()
            except BaseException:  # noqa: BLE001 - it is the caller who hears of it
                value = Failure()
            self._reactor.callFromThread(self._deliver, result, value)

    def _deliver(self, result: Deferred[Any], value: Any) -> None:
        self._pending -= 1
        if not result.called:  # else cancelled meanwhile; nobody wants it
            result.callback(value)  # a Failure takes the errback side


@implementer(IWorkers)
class InlineWorkers:
    """Runs everything at once on the calling thread: command line, simulation, tests."""

    name = "inline"

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return maybeDeferred(function, *args, **kwargs)
