"""How many attempts a destination may have at once. No clock, no I/O.

As Postfix does it: begin with a few, one more for each success up to the limit, half as many
after a failure to talk to it. After ``_FAILURES_TO_DIE`` such failures in a row it counts as
dead: nothing is sent there for a while, then a single attempt probes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mailframe.core.reply import Reply
from mailframe.queue.agenda import Line
from mailframe.queue.pace import Pace

_START = 5
_FAILURES_TO_DIE = 3
_LONGEST_REST = 3600.0


class Pool:
    """All attempts of one kind together; some of the room is kept for fresh mail."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Retries talk to hosts that were in trouble: they must not fill every place.
        self._most_retries = most - most // 5
        self.running = 0
        self.parked = Line()

    def room(self, fresh: bool) -> int:
        return max(0, (self._most if fresh else self._most_retries) - self.running)


class Destination:
    """One (courier, next hop)."""

    def __init__(
        self, most: int, rest: float, per_minute: int = 0, *, begin_with: int = _START
    ) -> None:
        """``most`` attempts at once, ``begin_with`` at first; ``per_minute`` as for ``Pace``;
        dead for ``rest`` seconds at first, doubling; 0: never."""
        self._most = most
        self._first_rest = rest
        self._rest = rest
        self._failures = 0
        self.limit = min(begin_with, most)
        self.running = 0
        self.dead_until = 0.0
        self.pace = Pace(per_minute)
        self.reply: Reply | None = None
        """What its last failure said."""
        self.parked = Line()
        """Lanes with mail for it that wait for room."""
        self.waiting: deque[Callable[[float], None]] = deque()
        """Starts, given the time, of attempts whose recipients are leased already: taken for
        another way."""

    @property
    def room(self) -> int:
        return max(0, self.limit - self.running)

    @property
    def is_idle(self) -> bool:
        """Nothing runs, nothing waits, nothing was learned that matters."""
        matters = self._failures and self._first_rest
        return not (self.running or self.parked or self.waiting or matters)

    @property
    def is_well(self) -> bool:
        """The last attempt could talk to it, or there was none yet."""
        return not self._failures

    def clock_jumped(self, seconds: float) -> None:
        self.dead_until += seconds
        self.pace.clock_jumped(seconds)

    def is_dead(self, now: float) -> bool:
        return now < self.dead_until

    def succeeded(self) -> None:
        self.limit = min(self.limit + 1, self._most)
        self._failures = 0
        self._rest = self._first_rest
        self.dead_until = 0.0
        self.reply = None

    def failed(self, now: float, reply: Reply) -> None:
        self.limit = max(1, self.limit // 2)
        self._failures += 1
        self.reply = reply
        if self._first_rest and self._failures >= _FAILURES_TO_DIE and not self.is_dead(now):
            self.limit = 1
            self.dead_until = now + self._rest
            self._rest = min(2 * self._rest, _LONGEST_REST)
