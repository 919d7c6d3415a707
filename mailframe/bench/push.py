"""How long it takes until a client in IDLE hears of a new message (RFC 2177)."""

from __future__ import annotations

from collections.abc import Callable

from mailframe.bench.imap import ImapClient, ImapLoad
from mailframe.bench.loop import Loop
from mailframe.bench.pace import Pace
from mailframe.bench.tally import Tally

_PATIENCE = 30.0  # seconds for one push
_EXISTS = b" EXISTS"


class Pushing:
    """``size`` watchers in IDLE, and for each one that appends to the same mailbox. All watchers
    ready, a message is appended to one mailbox after the other, as the pace says. Each watcher
    that hears of it counts, in the time of ``push`` from when the append was sent."""

    def __init__(self, loop: Loop, tally: Tally, load: ImapLoad, size: int, pace: Pace) -> None:
        self.loop, self.tally = loop, tally
        self._load, self._size, self._pace = load, size, pace
        self._users = max(1, min(size, len(load.users)))
        self._watchers: list[list[Watcher]] = [[] for _ in range(self._users)]
        self._appenders: list[Appender] = []
        self._unready = size + self._users
        self._turn = 0
        self._deaf = 0
        self._sent = 0.0
        self._round = 0
        self.over = False

    def start(self) -> None:
        self.tally.begun = self.loop.clock()  # and anew once all are ready
        for number in range(self._size):
            watcher = Watcher(self, self._load, number)
            self._watchers[number % self._users].append(watcher)
            watcher.dial()
        for number in range(self._users):
            self._appenders.append(Appender(self, self._load, number))
            self._appenders[-1].dial()

    def working(self) -> bool:
        return not self.over

    def failed(self, step: str, why: str) -> None:
        """One connection less is no fair comparison any more: the end."""
        self.tally.fail(step, why)
        self.tally.counts["failed"] += 1
        self._end()

    def is_ready(self) -> None:
        self._unready -= 1
        if not self._unready:
            self.tally.begun = self.loop.clock()
            self._next()

    def _next(self) -> None:
        now = self.loop.clock()
        start = self._pace.take(now)
        if start is None:
            if self._pace.over(now):
                self._end()
            else:
                self.loop.at(self._pace.due(), self._next)
            return
        place = self._turn % self._users
        self._turn += 1
        self._round += 1
        self._sent = now
        self._deaf = len(self._watchers[place]) + 1
        for watcher in self._watchers[place]:
            watcher.listens = True
        self._appenders[place].add(self._appended)
        this_round = self._round
        self.loop.at(now + _PATIENCE, lambda: self._too_late(this_round))

    def _appended(self) -> None:
        self.tally.timing("append").add(self.loop.clock() - self._sent)
        self.tally.counts["messages"] += 1
        self._one_less()

    def heard(self) -> None:
        self.tally.timing("push").add(self.loop.clock() - self._sent)
        self.tally.counts["pushes"] += 1
        self._one_less()

    def _one_less(self) -> None:
        self.tally.ended = self.loop.clock()
        self._deaf -= 1
        if not self._deaf:
            self._next()

    def _too_late(self, this_round: int) -> None:
        if self._round == this_round and self._deaf and not self.over:
            self.failed("IDLE", f"{self._deaf} did not hear within {_PATIENCE:g} s")

    def _end(self) -> None:
        self.over = True
        for connection in list(self.loop.connections.values()):
            connection.close()


class Watcher(ImapClient):
    """Waits in IDLE."""

    def __init__(self, pushing: Pushing, load: ImapLoad, number: int) -> None:
        super().__init__(pushing, load, number)
        self._pushing = pushing
        self.listens = False
        self._idles = False

    def entered(self) -> None:
        self.say("SELECT", b"SELECT INBOX", self._selected)

    def _selected(self) -> None:
        self.say("IDLE", b"IDLE", lambda: self.fail("IDLE has ended"))

    def told(self, line: bytes) -> None:
        self._tail = b""
        if self._step == "IDLE" and not self._idles and line.startswith(b"+"):
            self._idles = self.may_be_silent = True
            self._pushing.is_ready()
        if self.listens and _EXISTS in line.upper():
            self.listens = False
            self._pushing.heard()

    def lost(self, why: str) -> None:
        self._pushing.failed(self._step, why)


class Appender(ImapClient):
    def __init__(self, pushing: Pushing, load: ImapLoad, number: int) -> None:
        super().__init__(pushing, load, number)
        self._pushing = pushing

    def entered(self) -> None:
        self.may_be_silent = True
        self._pushing.is_ready()

    def add(self, then: Callable[[], None]) -> None:
        self.append("APPEND", self.load.message, then)

    def lost(self, why: str) -> None:
        self._pushing.failed(self._step, why)
