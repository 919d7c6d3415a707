"""How long one connection may keep the reactor before it is others' turn.

Whoever pipelines a thousand commands is served a slice of them, then everybody else, then the
next slice. Twenty connections of one address, as many as it may have by default, get less than a
tenth of a second between them; the price is one round of the reactor, some 50 microseconds, for
each slice of a client that has so much to say.
"""

from __future__ import annotations

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
