"""Calls on threads that nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from twisted.python.failure import Failure

from mailframe.runtime.detached import DetachedThreads


class Reactor:
    """Keeps what threads hand over."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        self.calls.append((call, args))
        self.came.set()

    def turn(self) -> None:
        assert self.came.wait(10)
        call, args = self.calls.pop()
        call(*args)


def test_results_and_errors_come_home() -> None:
    reactor = Reactor()
    threads = DetachedThreads("test", reactor)  # type: ignore[arg-type]
    results: list[Any] = []
    threads.run(threading.current_thread).addCallback(results.append)
    assert results == []
    reactor.turn()
    assert results[0] is not threading.current_thread()
    assert results[0].daemon
    reactor.came.clear()
    threads.run(int, "no number").addErrback(results.append)
    reactor.turn()
    assert isinstance(results[1], Failure)
    with pytest.raises(ValueError, match="no number"):
        results[1].raiseException()
