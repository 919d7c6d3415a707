"""So many sessions at a time: whoever is free takes what is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from mailframe.bench.loop import Loop
from mailframe.bench.pace import Pace
from mailframe.bench.tally import Tally

_PAUSE = 0.05  # seconds before a place whose connection failed is used again
_IN_VAIN = 100  # failures in a row, or one of each place where there are more, and it is given up
_MOST_AT_A_GO = 50  # connections that are begun before the loop looks round


class Host(Protocol):
    """What a session needs to know of whoever has it."""

    loop: Loop
    tally: Tally


class Session(Protocol):
    """What the crowd does with one that is kept for several pieces of work."""

    def begin(self, start: float) -> None:
        """Do the next piece of work, which was due at ``start``."""

    def leave(self) -> None:
        """There is nothing more to do."""


Make = Callable[["Crowd", float], object]
"""Opens a session for the piece of work that was due then. Whatever becomes of it, the session
calls ``free`` or ``freed`` once it is over."""


class Crowd:
    def __init__(self, loop: Loop, pace: Pace, tally: Tally, size: int, make: Make) -> None:
        self.loop, self.pace, self.tally = loop, pace, tally
        self._make = make
        self._kept: deque[Session] = deque()
        self._places = size
        self._size = size
        self._waits = False
        self._failed = 0

    def start(self) -> None:
        self.tally.begun = self.loop.clock()
        self._fill()

    def working(self) -> bool:
        """Something is under way, or still to come."""
        return self._places + len(self._kept) < self._size or not self.pace.over(self.loop.clock())

    def free(self, session: Session) -> None:
        """It has done its piece, and its connection can be used again."""
        self._failed = 0
        clock = self.loop.clock
        start = self.pace.take(clock())
        if start is not None:
            session.begin(start)
        elif self.pace.over(clock()):
            self._dismiss()
            session.leave()
        else:
            self._kept.append(session)
            self._wait()

    def freed(self, *, failed: bool = False) -> None:
        """A session is gone, and its place can be used."""
        if failed:
            self._failed += 1
            if self._failed >= max(_IN_VAIN, self._size):
                self.pace.stop()
            self.loop.at(self.loop.clock() + _PAUSE, self._one_more)
        else:
            self._failed = 0
            self._one_more()

    def forget(self, session: Session) -> None:
        """One that waited for work has lost its connection."""
        self._kept.remove(session)
        self._one_more()

    def _one_more(self) -> None:
        self._places += 1
        self._fill()

    def _fill(self) -> None:
        """Give work that is due to sessions that wait, and to new ones in free places."""
        clock = self.loop.clock
        for _ in range(_MOST_AT_A_GO):
            if not self._kept and not self._places:
                return
            start = self.pace.take(clock())
            if start is None:
                break
            if self._kept:
                self._kept.popleft().begin(start)
            else:
                self._places -= 1
                self._make(self, start)
        if self.pace.over(clock()):
            self._dismiss()
        else:
            self._wait()

    def _wait(self) -> None:
        """Look again when something is due."""
        if not self._waits:
            self._waits = True
            self.loop.at(self.pace.due(), self._due)

    def _due(self) -> None:
        self._waits = False
        self._fill()

    def _dismiss(self) -> None:
        while self._kept:
            self._kept.popleft().leave()
