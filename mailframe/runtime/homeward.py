"""What threads have for the reactor's, brought home together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from zope.interface import implementer


@implementer(IReactorFromThreads)
class Homeward:
    """Calls from all threads to the reactor; those that meet wake it up once.

    To wake it is a system call in which the thread lets go of the interpreter's lock, and the
    reactor has to read what it wrote. While the reactor is at work, four of ten calls find
    another one there that it has not looked at yet."""

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        """``reactor``: IReactorFromThreads and IReactorTime."""
        self.seconds: Callable[[], float] = reactor.seconds
        self._reactor = reactor
        self._calls: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._is_told = False

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError("arguments go by their place")
        self._calls.append((callable, args))
        if not self._is_told:
            self._is_told = True
            self._reactor.callFromThread(self._run)

    def _run(self) -> None:
        # Before the look at the length: what comes later than that is told of again.
        self._is_told = False
        for _ in range(len(self._calls)):
            function, args = self._calls.popleft()
            try:
                function(*args)
            except Exception:  # noqa: BLE001 - as the reactor does: the others go on
                self.log.failure("what a thread asked for failed")
