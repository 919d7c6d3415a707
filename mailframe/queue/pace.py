"""How fast attempts at one destination may follow each other. No clock of its own.

A leaky bucket that holds a second's worth, one attempt at least: a limit of 600 a minute is
ten each second, one of 6 a minute is one every ten seconds, never six at once.
"""

from __future__ import annotations

_BURST_SECONDS = 1.0
_ROUNDING = 1e-3  # in attempts: times are floats, and a wait must end when it is over


class Pace:
    """``per_minute`` attempts, 0 for any number; times are seconds of one clock."""

    def __init__(self, per_minute: int) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._burst = max(_BURST_SECONDS, self._interval)
        self._full_until = 0.0
        self.reserved = 0
        """Attempts that are about to begin."""

    def began(self, now: float) -> None:
        self._full_until = max(self._full_until, now) + self._interval

    def clock_jumped(self, seconds: float) -> None:
        self._full_until += seconds

    def allowed(self, now: float, most: int) -> int:
        """How many of ``most`` attempts may begin now."""
        if not self._interval:
            return most
        room = (self._burst - self._owed(now)) / self._interval
        return min(most, max(0, int(room + _ROUNDING)))

    def wait(self, now: float) -> float:
        """Seconds until the next one may begin; 0: now."""
        if self.allowed(now, 1):
            return 0.0
        return self._owed(now) + self._interval - self._burst

    def is_owed(self, now: float) -> bool:
        """Whether what began lately still counts."""
        return self._full_until > now

    def _owed(self, now: float) -> float:
        return max(0.0, self._full_until - now) + self.reserved * self._interval
