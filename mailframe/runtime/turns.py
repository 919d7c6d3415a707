"""How long one thing may keep the reactor before it is others' turn.

Whoever pipelines a thousand commands is served a slice of them, then everybody else, then the
next slice. Twenty connections of one address, as many as it may have by default, get less than a
tenth of a second between them; the price is one round of the reactor, some 50 microseconds, for
each slice of a client that has so much to say.

``Slice`` is for whoever has a queue of its own, ``InTurn`` for many small things that come of
themselves and all at once, such as the answers to five hundred questions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

SLICE = 0.003  # seconds
_MOST = 500
"""Things done in a slice, for clocks that stand still within a turn, as simulated ones do."""


class Slice:
    """Begins when it is made."""

    __slots__ = ("_clock", "_end", "_left")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._end = clock.seconds() + SLICE
        self._left = _MOST

    def is_over(self) -> bool:
        """To be asked once after each thing done."""
        self._left -= 1
        return self._left <= 0 or self._clock.seconds() > self._end


class InTurn:
    """Calls that take a slice of every turn of the reactor between them. They are made in the
    order in which they came, at once while there is room in this turn; at least one a turn."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._slice: Slice | None = None
        """Of this turn; None: nothing has been done in it."""
        self._is_full = False

    def run(self, call: Callable[[], None]) -> None:
        """``call`` must not raise."""
        if self._slice is None:
            self._begin()
        if self._is_full or self._waiting:
            self._waiting.append(call)
            return
        self._do(call)

    def _begin(self) -> None:
        self._slice, self._is_full = Slice(self._clock), False
        self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._slice = None
        if not self._waiting:
            return
        self._begin()
        while self._waiting and not self._is_full:
            self._do(self._waiting.popleft())

    def _do(self, call: Callable[[], None]) -> None:
        assert self._slice is not None
        call()
        self._is_full = self._is_full or self._slice.is_over()
