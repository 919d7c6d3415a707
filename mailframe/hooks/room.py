"""So much at a time; who finds no room waits in line, for a while."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure

BUSY = Reply(451, status.SYSTEM_NOT_ACCEPTING, "Too busy, please try again later")


class Room:
    """For ``most`` of whatever it is, calls or octets; ``line`` may wait. What is more than
    ``most`` by itself has the room alone. In the order in which they came."""

    def __init__(self, clock: IReactorTime, what: str, most: int, line: int = 1_000) -> None:
        self._clock = clock
        self._what = what
        self._most = most
        self._line = line
        self._waiting: dict[Deferred[None], int] = {}
        self._is_admitting = False
        self.taken = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def enter(self, amount: int, patience: float) -> None:
        """Returns when there is room; ``leave`` gives it back. Raises TransientFailure where there
        is none for ``patience`` seconds, or too many wait already."""
        if not self._waiting and self._fits(amount):
            self.taken += amount
            return
        if len(self._waiting) >= self._line:
            raise TransientFailure(BUSY, f"{self._what}: {len(self._waiting)} are waiting already")
        turn: Deferred[None] = Deferred(self._forget)
        self._waiting[turn] = amount

        def give_up() -> None:
            self._forget(turn)
            why = f"{self._what}: none for {patience:g} s"
            turn.errback(Failure(TransientFailure(BUSY, why)))
            self._admit()  # those behind may need less

        timer = self._clock.callLater(patience, give_up)
        try:
            await turn
        finally:
            if timer.active():
                timer.cancel()

    def leave(self, amount: int) -> None:
        self.taken -= amount
        self._admit()

    def _fits(self, amount: int) -> bool:
        return not self.taken or self.taken + amount <= self._most

    def _forget(self, turn: Deferred[None]) -> None:
        self._waiting.pop(turn, None)

    def _admit(self) -> None:
        # Who is admitted may leave before this returns, and must not begin another round in it:
        # a long line would become a deep stack.
        if self._is_admitting:
            return
        self._is_admitting = True
        try:
            while self._waiting:
                turn, amount = next(iter(self._waiting.items()))
                if not self._fits(amount):
                    break
                del self._waiting[turn]
                self.taken += amount
                turn.callback(None)
        finally:
            self._is_admitting = False
