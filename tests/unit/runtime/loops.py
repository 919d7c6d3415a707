"""Reactors that a test turns by hand: as far as threads see one, and as far as clocks do."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from zope.interface import implementer


@implementer(IReactorFromThreads)
class Loop:
    def __init__(self) -> None:
        self.calls: queue.Queue[Callable[[], Any]] = queue.Queue()
        self.thread = threading.current_thread()

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.calls.put(lambda: function(*args, **kwargs))

    def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Run what threads ask for until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            self.calls.get(timeout=max(0.01, end - time.monotonic()))()

    def result(self, deferred: Deferred[Any]) -> Any:
        outcomes: list[tuple[bool, Any]] = []
        deferred.addCallbacks(
            lambda value: outcomes.append((True, value)),
            lambda failure: outcomes.append((False, failure)),
        )
        self.until(lambda: bool(outcomes))
        good, value = outcomes[0]
        if not good:
            value.raiseException()
        return value


def turn(clock: Clock) -> None:
    """What is due now, and not what that brings: ``Clock.advance`` makes one turn of all."""
    for call in [call for call in clock.calls if call.getTime() <= clock.seconds()]:
        if call.active():
            clock.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
