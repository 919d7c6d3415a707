"""Letting others have the reactor in the middle of long work that sends nothing.

Work that sends is slowed by the client's taking it (``Conversation.room``); work on a worker
does not hold the reactor at all. What is left asks a ``Turn`` every now and then.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailframe.runtime.turns import SLICE


class Turn:
    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._since = clock.seconds()

    async def pause(self) -> None:
        """Returns in the reactor's next round where this turn was long enough, else at once."""
        if self._clock.seconds() - self._since < SLICE:
            return
        next_round: Deferred[None] = Deferred()
        self._clock.callLater(0, next_round.callback, None)
        await next_round
        self._since = self._clock.seconds()
