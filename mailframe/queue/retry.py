"""When a recipient is tried again, warned about, given up. Pure arithmetic in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# Messages that were deferred together must not come back together for ever.
_JITTER = 0.1


class RetrySchedule:
    """``retry`` are the waits after the 1st, 2nd ... attempt; the last one repeats.

    RFC 5321 section 4.5.4.1 wants at least 30 minutes in the long run and 4 to 5 days.
    """

    def __init__(
        self,
        retry: Sequence[int],
        expire: int,
        warn_after: int,
        random: Callable[[], float],
    ) -> None:
        """``expire`` and ``warn_after`` count from the arrival; ``warn_after`` 0 never warns.
        ``random`` yields numbers of [0, 1)."""
        if not retry or min(retry) <= 0:
            raise ValueError("the retry schedule needs waits of at least a second")
        self._waits = tuple(retry)
        self._expire = expire
        self._warn_after = warn_after
        self._random = random

    def wait(self, attempts: int) -> float:
        """Seconds to wait after the attempt that was number ``attempts`` (from 1)."""
        base = self._waits[min(attempts, len(self._waits)) - 1]
        return base * (1 + _JITTER * self._random())

    def next_at(self, now: float, attempts: int, arrived: float) -> float:
        """When to try again; the last try is at the expiry, however long the wait."""
        due = now + self.wait(attempts)
        expiry = self.expires_at(arrived)
        return min(due, expiry) if now < expiry else due

    def expires_at(self, arrived: float) -> float:
        return arrived + self._expire

    def is_expired(self, now: float, arrived: float) -> bool:
        return now >= self.expires_at(arrived)

    def wants_warning(self, now: float, arrived: float) -> bool:
        return self._warn_after > 0 and now >= arrived + self._warn_after

    @property
    def longest_wait(self) -> float:
        return max(self._waits) * (1 + _JITTER)

    @property
    def first_wait(self) -> int:
        return self._waits[0]
