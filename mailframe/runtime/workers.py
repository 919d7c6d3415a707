"""Named thread pools with bounded queues, and their single-threaded double."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.interfaces import IWorkers

P = ParamSpec("P")
T = TypeVar("T")

OVERLOADED = Reply(451, status.SYSTEM_NOT_ACCEPTING, "Overloaded, please try again later")


@implementer(IWorkers)
class Workers:
    """``threads`` threads, made as needed; at most ``backlog`` calls wait for one."""

    def __init__(self, name: str, threads: int, backlog: int, reactor: IReactorFromThreads) -> None:
        self.name = name
        self._limit = threads + backlog
        self._pending = 0
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name=f"mailframe-{name}")

    def start(self) -> None:
        self._pool.start()

    def stop(self) -> None:
        """Waits for the calls under way; blocks, so call it when the server is done."""
        self._pool.stop()

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        if self._pending >= self._limit:
            return fail(TransientFailure(OVERLOADED, f"worker pool {self.name} is full"))
        self._pending += 1
        result: Deferred[T] = Deferred()

        def finished(success: bool, value: Any) -> None:
            self._reactor.callFromThread(deliver, success, value)

        def deliver(success: bool, value: Any) -> None:
            self._pending -= 1
            if result.called:  # cancelled meanwhile; nobody wants it
                return
            if success:
                result.callback(value)
            else:
                result.errback(value if isinstance(value, Failure) else Failure(value))

        self._pool.callInThreadWithCallback(finished, function, *args, **kwargs)
        return result


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
