"""Errands of one courier that wait for company, and when a group of them begins.

A group costs hardly more than a single message does. And while one is under way, the message
that comes in next waits for the same disk and the same interpreter: its sender is the one who
has somebody waiting. So a group begins when nothing has come in for a moment, or when many
wait, or when the first has waited long enough; beside another one of the same courier only when
many wait. Where nothing comes in, nobody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mailframe.queue.errand import Errand

GROUP = 256
"""Messages in one group at most: more cost no less each, and what came of them is a longer turn."""
_GROUP_OCTETS = 2 * 1024 * 1024
MANY = 1024
"""Messages that may wait while others come in."""
_MANY_OCTETS = 8 * 1024 * 1024
_GROUPS = 2  # under way at once: one is written while the other waits for the disk
LULL = 0.01
"""Seconds: a client that sends one message after the other is back much sooner."""
PATIENCE = 1.0
"""Seconds: what comes in a burst is taken first, and delivered when it is over. Who watches a
mailbox waits so much longer at most, and only while mail pours in."""


class Intake:
    """When a message was last seen coming in."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.heard_at = float("-inf")
        """Seconds since the epoch."""

    def heard(self) -> None:
        """One is being written down, or just was."""
        self.heard_at = self._clock.seconds()


class Gathering:
    """The errands of one courier."""

    def __init__(
        self, intake: Intake, clock: IReactorTime, begin: Callable[[list[Errand]], None]
    ) -> None:
        """``begin`` is given a group to deliver; ``ended`` follows when it is delivered."""
        self._intake = intake
        self._clock = clock
        self._begin = begin
        self._waiting: deque[Errand] = deque()
        self._octets = 0
        self._since = 0.0
        """When the first of those who wait came."""
        self._under_way = 0
        self._is_beginning = False
        self._is_hurried = False
        self._timer: IDelayedCall | None = None

    def add(self, errand: Errand) -> None:
        """``go_on`` follows when all are there that come together."""
        if not self._waiting:
            self._since = self._clock.seconds()
        self._waiting.append(errand)
        self._octets += errand.octets

    def ended(self) -> None:
        """A group that was begun; ``go_on`` follows."""
        self._under_way -= 1

    def hurry(self) -> None:
        """From now on nobody waits for company."""
        self._is_hurried = True
        self._stop_timer()
        self.go_on()

    def go_on(self) -> None:
        """Begin groups if it is time; else come back when it is."""
        # Not within itself, where a group ends while it is begun: the loop sees to the next.
        while not self._is_beginning and self._may_begin():
            now = self._clock.seconds()
            due = self._due(now)
            if due > now:
                if self._timer is None:
                    self._timer = self._clock.callLater(due - now, self._look)
                return
            self._stop_timer()
            self._under_way += 1
            self._is_beginning = True
            try:
                self._begin(self._take())
            finally:
                self._is_beginning = False

    def _may_begin(self) -> bool:
        if self._under_way:
            return self._are_many and self._under_way < _GROUPS
        return bool(self._waiting)

    @property
    def _are_many(self) -> bool:
        return len(self._waiting) >= MANY or self._octets >= _MANY_OCTETS

    def _look(self) -> None:
        self._timer = None
        self.go_on()

    def _due(self, now: float) -> float:
        """When a group begins if nothing more comes."""
        heard_at = self._intake.heard_at
        if (
            self._is_hurried
            or self._are_many
            or max(heard_at, self._since) > now  # the clock was set back
        ):
            return now
        return min(heard_at + LULL, self._since + PATIENCE)

    def _take(self) -> list[Errand]:
        """The first of them, one at least."""
        group: list[Errand] = []
        octets = 0
        while self._waiting and len(group) < GROUP and octets < _GROUP_OCTETS:
            octets += self._waiting[0].octets
            group.append(self._waiting.popleft())
        self._octets -= octets
        return group

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
