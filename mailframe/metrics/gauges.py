"""Remembering what is not free to find out, so that nobody can load the server by asking often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

from mailframe.runtime.aio import as_deferred

T = TypeVar("T")

_SHARE = 20.0
"""What takes long is asked for less often: it may be under way for one part in so many."""


class Remembered(Generic[T]):
    """``find`` is awaited by the first who asks; what it found holds for ``keep`` seconds, or
    twenty times as long as finding it took. Those who ask while it is under way share it.
    Its errors are everybody's who waited, and are not remembered."""

    def __init__(
        self, find: Callable[[], Awaitable[T]], keep: float, seconds: Callable[[], float]
    ) -> None:
        self._find = find
        self._keep = keep
        self._seconds = seconds
        self._until = -1.0
        self._found: list[T] = []
        self._waiting: list[Deferred[T]] | None = None

    async def get(self) -> T:
        if self._found and self._seconds() < self._until:
            return self._found[0]
        waiter: Deferred[T] = Deferred()
        if self._waiting is None:
            self._waiting = [waiter]
            as_deferred(self._ask())
        else:
            self._waiting.append(waiter)
        return await waiter

    async def _ask(self) -> None:
        began = self._seconds()
        try:
            found = await self._find()
        except Exception as error:  # noqa: BLE001 - told to all who wait
            for waiter in self._take_waiting():
                waiter.errback(error)
            return
        now = self._seconds()
        self._found = [found]
        self._until = now + max(self._keep, (now - began) * _SHARE)
        for waiter in self._take_waiting():
            waiter.callback(found)

    def _take_waiting(self) -> list[Deferred[T]]:
        waiting, self._waiting = self._waiting, None
        return waiting or []
