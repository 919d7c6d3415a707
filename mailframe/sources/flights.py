"""Questions under way: whoever asks the same meanwhile waits for the same answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.runtime.aio import Background
from mailframe.runtime.workers import OVERLOADED

T = TypeVar("T")


class Flights(Generic[T]):
    """``what`` for the log. ``most`` different ones at a time, None: as many as are asked; one more
    hears ``busy``."""

    def __init__(self, what: str, *, most: int | None = None, busy: Reply = OVERLOADED) -> None:
        self._what = what
        self._most = most
        self._busy = busy
        self._background = Background()
        self._waiting: dict[Hashable, list[Deferred[T]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """What ``ask`` yields or raises. It outlives whoever asked first: a session that ends takes
        nobody's answer away. Fails with TransientFailure where too many are under way already."""
        answer: Deferred[T] = Deferred()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(answer)
        elif self._most is None or len(self._waiting) < self._most:
            self._waiting[key] = [answer]
            self._background.start(self._fly(key, ask), self._what)
        else:
            answer.errback(TransientFailure(self._busy, f"too much asked at once: {self._what}"))
        return answer

    async def _fly(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            result: T | Failure = await ask()
        except BaseException:  # noqa: BLE001 - it is told to those who wait
            result = Failure()
        for answer in self._waiting.pop(key):
            if isinstance(result, Failure):
                answer.errback(result)
            else:
                answer.callback(result)
