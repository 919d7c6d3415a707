"""Calls into code that may never come back, each on a thread of its own that nobody waits for.

For libraries that block and know no time limit. ``Workers`` waits for its threads when the server
stops; these are left to the end of the process. How many there may be is the caller's to bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")


class DetachedThreads:
    def __init__(self, name: str, reactor: IReactorFromThreads) -> None:
        self.name = name
        self._reactor = reactor

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Its result or error comes back on the reactor thread, if it ever ends."""
        result: Deferred[T] = Deferred()

        def work() -> None:
            value: T | Failure
            try:
                value = function(*args, **kwargs)
            except BaseException:  # noqa: BLE001 - it is the caller who hears of it
                value = Failure()
            self._reactor.callFromThread(result.callback, value)

        threading.Thread(target=work, name=f"mailframe-{self.name}", daemon=True).start()
        return result
