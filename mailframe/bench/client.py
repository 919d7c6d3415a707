"""What the clients of all protocols have: whom they tell, where they stand, and since when."""

from __future__ import annotations

from mailframe.bench.crowd import Crowd, Host
from mailframe.bench.loop import Connection, Target


class Client(Connection):
    """A connection that counts itself. ``_step`` is what it waits for, as reports name it."""

    def __init__(self, host: Host, target: Target) -> None:
        super().__init__(host.loop)
        self.tally = host.tally
        self.tally.counts["connections"] += 1
        self.target = target
        self._step = "connect"
        self._opened = host.loop.clock()

    def dial(self) -> None:
        """``lost`` where not even that is possible."""
        try:
            self.connect(self.target)
        except OSError as error:
            self.lost(error.strerror or str(error))

    def time(self, name: str, since: float) -> float:
        """Note how long it took; returns the clock."""
        now = self.loop.clock()
        self.tally.timing(name).add(now - since)
        self.tally.ended = now
        return now


class Visit(Client):
    """A session with a connection of its own, due at ``start``. Mixed into a client that calls
    ``complete`` or is ``lost``. The tally has ``sessions``, those that ``failed``, and the time
    of each ``session`` from when it was due."""

    crowd: Crowd
    _start: float

    def complete(self) -> None:
        """Everything was done; what remains is to say good-bye."""
        self.tally.counts["sessions"] += 1
        self.time("session", self._start)

    def lost(self, why: str) -> None:
        self.tally.fail(self._step, why)
        self.tally.counts["failed"] += 1
        self.tally.ended = self.loop.clock()
        self.crowd.freed(failed=True)

    def gone(self, *_: object) -> None:
        """The good-bye was answered."""
        self.close()
        self.crowd.freed()
