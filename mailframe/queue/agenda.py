"""Which lanes are due, in which order. No time of its own, no database.

A lane (``records.lane_of``) is in exactly one place: scheduled for later, in line because
it is due, or parked in the line of a destination that may not be called now.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator


class Line:
    """First come, first served; lanes with fresh mail before the others. No doubles."""

    def __init__(self) -> None:
        self._fresh: deque[str] = deque()
        self._rest: deque[str] = deque()
        self._members: dict[str, bool] = {}  # lane -> whether it stands in the fresh line

    def push(self, lane: str, fresh: bool) -> None:
        known = self._members.get(lane)
        if known is None or (fresh and not known):
            # Moving up leaves a stale entry in the other line, which ``pop`` skips.
            self._members[lane] = fresh
            (self._fresh if fresh else self._rest).append(lane)

    def pop(self) -> tuple[str, bool] | None:
        for fresh, line in ((True, self._fresh), (False, self._rest)):
            while line:
                lane = line.popleft()
                if self._members.get(lane) is fresh:
                    del self._members[lane]
                    return lane, fresh
        return None

    def drain(self) -> Iterator[tuple[str, bool]]:
        while entry := self.pop():
            yield entry

    def __len__(self) -> int:
        return len(self._members)


class Agenda:
    """Lanes that are due (``line``), and those that will be."""

    def __init__(self) -> None:
        self.line = Line()
        self._later: list[tuple[float, str]] = []
        self._times: dict[str, float] = {}

    def at(self, time: float, lane: str) -> None:
        """See to ``lane`` at ``time``, or earlier if that was agreed before."""
        known = self._times.get(lane)
        if known is None or time < known:
            self._times[lane] = time
            heapq.heappush(self._later, (time, lane))

    def advance(self, now: float) -> None:
        """Put in line what is due."""
        while self._later and self._later[0][0] <= now:
            time, lane = heapq.heappop(self._later)
            if self._times.get(lane) == time:
                del self._times[lane]
                self.line.push(lane, fresh=False)

    def forget_later(self) -> None:
        """All that is not due yet; ``at`` will be told of it again."""
        self._later.clear()
        self._times.clear()

    def next_time(self) -> float | None:
        return self._later[0][0] if self._later else None
