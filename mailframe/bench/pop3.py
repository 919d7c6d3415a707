"""One POP3 client: logs in, asks for lists, fetches everything (RFC 1939)."""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.bench.client import Client, Visit
from mailframe.bench.crowd import Crowd, Host
from mailframe.bench.loop import Target

_END = b"\r\n.\r\n"
_NEWLINE, _PLUS = 0x0A, 0x2B
_LONGEST_LINE = 4096
Then = Callable[[bool], None]
"""Called with whether the answer was +OK."""


@dataclass(frozen=True, slots=True)
class Pop3Load:
    target: Target
    users: tuple[str, ...] = ()
    """Log in as one after the other; none: only be greeted."""
    password: str = ""
    stls: bool = False
    lists: tuple[str, ...] = ("STAT", "UIDL", "LIST")
    """Commands before the messages."""
    most: int | None = None
    """Messages to fetch of each mailbox; all where it is None."""
    window: int = 1
    """RETR commands under way at a time (RFC 2449 section 6.6); 1 waits for each."""


class AnswerReader(Client):
    """Takes answers apart, short ones and those that end with a dot, many at a time."""

    def __init__(self, host: Host, target: Target) -> None:
        super().__init__(host, target)
        self.line = b""
        """The status line of the last answer."""
        self._expected: deque[tuple[bool, Then]] = deque()
        self._head = b""
        self._within = False
        self._tail = b""

    def expect(self, then: Then, *, long: bool = False) -> None:
        self._expected.append((long, then))

    def received(self, data: bytearray, count: int) -> None:
        at = 0
        while at < count and self.open:
            at = self._rest(data, at, count) if self._within else self._status(data, at, count)

    def _status(self, data: bytearray, at: int, count: int) -> int:
        end = data.find(_NEWLINE, at, count) + 1
        if not end:
            self._head += data[at:count]
            if len(self._head) > _LONGEST_LINE:
                self.fail("a line does not end")
            return count
        self.line, self._head = self._head + data[at:end], b""
        if not self._expected:
            self.fail("the server speaks unasked")
            return count
        fine = self.line[0] == _PLUS
        long, then = self._expected[0]
        if long and fine:
            # An empty answer's dot comes right after the status line.
            self._within, self._tail = True, b"\r\n"
        else:
            self._expected.popleft()
            then(fine)
        return end

    def _rest(self, data: bytearray, at: int, count: int) -> int:
        """Look for the dot; it may be in two pieces."""
        if self._tail:
            joint = self._tail + data[at : min(at + 4, count)]
            found = joint.find(_END)
            if found >= 0:
                return self._ended(at + found + len(_END) - len(self._tail))
        found = data.find(_END, at, count)
        if found >= 0:
            return self._ended(found + len(_END))
        self._tail = (self._tail + data[max(at, count - 4) : count])[-4:]
        return count

    def _ended(self, at: int) -> int:
        self._within, self._tail = False, b""
        _, then = self._expected.popleft()
        then(True)
        return at


class Pop3Client(AnswerReader):
    """Is greeted, secured and logged in; ``entered`` follows, or ``lost``."""

    def __init__(self, host: Host, load: Pop3Load, number: int) -> None:
        super().__init__(host, load.target)
        self.load = load
        self._user = load.users[number % len(load.users)] if load.users else ""
        self.expect(self._greeted)

    @abc.abstractmethod
    def entered(self) -> None: ...

    def say(self, line: str, then: Then, *, long: bool = False) -> None:
        self._step = line.partition(" ")[0]
        self.expect(then, long=long)
        self.send(line.encode() + b"\r\n")

    def refuse(self) -> None:
        """Give up after -ERR, with its words."""
        self.fail(self.line.decode("utf-8", "replace").strip())

    def _greeted(self, fine: bool) -> None:
        self._step = "greeting"
        if not fine:
            self.refuse()
            return
        self.time("greeting", self._opened)
        if self.load.stls:
            self.say("STLS", self._may_shake)
        else:
            self._log_in()

    def _may_shake(self, fine: bool) -> None:
        if fine:
            self.start_tls(self.load.target)
        else:
            self.refuse()

    def secured(self) -> None:
        if self.load.stls:
            self._log_in()

    def _log_in(self) -> None:
        if self._user:
            self.say(f"USER {self._user}", self._known)
        else:
            self.entered()

    def _known(self, fine: bool) -> None:
        if fine:
            self.say(f"PASS {self.load.password}", self._let_in)
        else:
            self.refuse()

    def _let_in(self, fine: bool) -> None:
        if fine:
            self.time("login", self._opened)
            self.entered()
        else:
            self.refuse()


class Pop3Session(Visit, Pop3Client):
    """A whole visit, over when the last octet has come. The tally has ``messages``, too, and the
    times of each command."""

    def __init__(self, crowd: Crowd, load: Pop3Load, start: float, number: int) -> None:
        super().__init__(crowd, load, number)
        self.crowd = crowd
        self._start = self._asked_at = start
        self._lists = deque(load.lists)
        self._messages = self._sent = self._fetched = 0
        self.dial()

    def entered(self) -> None:
        self._asked_at = self.loop.clock()
        self.say("STAT", self._counted)

    def _counted(self, fine: bool) -> None:
        if not fine:
            self.refuse()
            return
        words = self.line.split()
        if len(words) < 2 or not words[1].isdigit():
            self.fail("that is no answer to STAT: " + self.line.decode("utf-8", "replace").strip())
            return
        self._messages = int(words[1])
        if self.load.most is not None:
            self._messages = min(self._messages, self.load.most)
        self._listed(fine)

    def _listed(self, fine: bool) -> None:
        if not fine:
            self.refuse()
            return
        self._asked_at = self.time(self._step, self._asked_at)
        while self._lists:
            command = self._lists.popleft()
            if command != "STAT":  # it was the first
                self.say(command, self._listed, long=True)
                return
        self._fetch()

    def _fetch(self) -> None:
        """Keep the window full, half of it at a time."""
        window, under_way = self.load.window, self._sent - self._fetched
        if self._fetched == self._messages:
            self._fetched_all()
        elif self._sent < self._messages and under_way <= window // 2:
            first = self._sent + 1
            self._sent = min(self._sent + window - under_way, self._messages)
            self._step = "RETR"
            for _ in range(first, self._sent + 1):
                self.expect(self._one_more, long=True)
            self.send(b"".join(b"RETR %d\r\n" % each for each in range(first, self._sent + 1)))

    def _one_more(self, fine: bool) -> None:
        if not fine:
            self.refuse()
            return
        self._fetched += 1
        self.tally.counts["messages"] += 1
        if self.load.window == 1:
            self._asked_at = self.time("RETR", self._asked_at)
        self._fetch()

    def _fetched_all(self) -> None:
        self.complete()
        self.say("QUIT", self.gone)
