"""Connections that are kept for the next question. Threads take and give back, in any order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Idle(Generic[T]):
    """``end`` closes one."""

    def __init__(self, end: Callable[[T], None]) -> None:
        self._end = end
        self._kept: deque[T] = deque()
        self._is_closed = False

    def take(self) -> T | None:
        """The one that was used last; None where none is kept."""
        try:
            return self._kept.pop()
        except IndexError:
            return None

    def keep(self, connection: T) -> None:
        """After its use; closed where nothing is to be kept any more."""
        self._kept.append(connection)
        if self._is_closed:
            self.drop()

    def drop(self) -> None:
        """Close those that nobody uses."""
        while (connection := self.take()) is not None:
            self._end(connection)

    def close(self) -> None:
        """Likewise, and keep none from now on."""
        self._is_closed = True
        self.drop()
