"""When the next piece of work is due: at once (a closed loop) or at a fixed rate (an open one)."""

from __future__ import annotations

import math


class Pace:
    """Gives out ``total`` starts, or starts until ``seconds`` are over, whichever is first.

    With ``rate`` (starts a second) the n-th start is due at ``begin + n / rate``, whether
    anybody is free for it or not: whoever takes it late has its lateness in the latency.
    """

    def __init__(
        self,
        begin: float,
        *,
        total: int | None = None,
        seconds: float | None = None,
        rate: float | None = None,
    ) -> None:
        if total is None and seconds is None:
            raise ValueError("a pace ends by total or by seconds")
        self._begin = begin
        self._total = math.inf if total is None else total
        self._end = math.inf if seconds is None else begin + seconds
        self._rate = rate
        self.taken = 0

    def take(self, now: float) -> float | None:
        """When the next start is, or was, due; None where none is due now."""
        if self.over(now):
            return None
        start = now
        if self._rate is not None:
            start = self._begin + self.taken / self._rate
            if start > now:
                return None
        self.taken += 1
        return start

    def stop(self) -> None:
        self._end = -math.inf

    def over(self, now: float) -> bool:
        """Nothing more will be given out."""
        return self.taken >= self._total or now >= self._end

    def due(self) -> float:
        """When to look again: when the next is due, or at the end."""
        if self._rate is not None:
            return min(self._begin + self.taken / self._rate, self._end)
        return self._begin
