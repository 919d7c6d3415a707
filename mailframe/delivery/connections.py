"""The connections that are open, and whose turn it is to begin a message on one.

A message takes a connection that idles. Where there is none it waits for one, or goes right
behind a message whose content is on its way, as long as that is quicker than dialling: a
line knows what dialling its hosts takes and how long their messages do. So a burst to a near
host goes over a few connections with hardly a pause, and one to a host that thinks for a long
time over each message gets as many connections as it has messages, as the queue allows.

    session = await connections.turn(way)   None: dial, and tell by ``dialled``
    connections.pass_on(way, session)       the next may begin on it
    connections.finished(way, session)      after that: all is heard, or the session has failed
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailframe.delivery.deadline import Deadline
from mailframe.delivery.session import LONGEST_WAIT, SmtpSession

Way = TypeVar("Way")

_WEIGHT = 0.2
"""Of the newest message in the average."""


class _Line:
    """The connections of one way, and who waits for one."""

    def __init__(self, patience: Deadline) -> None:
        """``patience`` is for the longest that anybody may wait."""
        self.users: dict[SmtpSession, int] = {}
        """Open sessions, with how many messages are under way on each."""
        self.idle: list[SmtpSession] = []
        self.following: list[SmtpSession] = []
        """Those where a message may be begun behind another."""
        self.waiting: deque[Deferred[SmtpSession | None]] = deque()
        self.patience = patience
        self._dialling = 0.0
        """Seconds that it took to have a session ready."""
        self._message: float | None = None
        """Seconds that a message keeps a session, on average; None: there was none yet."""

    def dialling_took(self, seconds: float) -> None:
        self._dialling = seconds

    def message_took(self, seconds: float) -> None:
        before = seconds if self._message is None else self._message
        self._message = before + _WEIGHT * (seconds - before)

    @property
    def waiting_is_quicker(self) -> bool:
        """Than dialling, for one more message."""
        if self._message is None:
            return False
        return self._message * (len(self.waiting) + 1) < self._dialling * len(self.users)

    def wait(self) -> Deferred[SmtpSession | None]:
        if not self.waiting:
            self.patience.set(LONGEST_WAIT)
        turn: Deferred[SmtpSession | None] = Deferred()
        self.waiting.append(turn)
        return turn

    def hand(self, session: SmtpSession) -> bool:
        """Whether somebody waited for it. Who did begins at once."""
        turn = self._first()
        if turn is None:
            return False
        self.users[session] += 1
        turn.callback(session)
        return True

    def wake_one(self) -> None:
        """To dial."""
        if turn := self._first():
            turn.callback(None)

    def _first(self) -> Deferred[SmtpSession | None] | None:
        while self.waiting:
            turn = self.waiting.popleft()
            if not self.waiting:
                self.patience.lift()
            if not turn.called:  # called: who waited was cancelled
                return turn
        return None


class Connections(Generic[Way]):
    """At most ``total`` idle ones, each for ``seconds``; the oldest makes room."""

    def __init__(self, clock: IReactorTime, *, seconds: float, total: int, messages: int) -> None:
        """``messages``: how many a connection may carry."""
        self._clock = clock
        self._seconds = seconds
        self._total = total
        self._messages = messages
        self._lines: dict[Way, _Line] = {}
        self._idle: dict[SmtpSession, Way] = {}

    def __len__(self) -> int:
        """How many idle."""
        return len(self._idle)

    async def turn(self, way: Way) -> SmtpSession | None:
        """A session on which to begin now; None: dial."""
        line = self._lines.get(way)
        if line is None:
            return None
        if line.idle:
            # The one that idled least, so that the others may go.
            session = line.idle.pop()
            del self._idle[session]
            session.go_on()
            line.users[session] += 1
            return session
        if not line.waiting_is_quicker:
            return None
        while line.following:
            session = line.following.pop(0)
            if self._takes_more(session):
                line.users[session] += 1
                return session
        return await line.wait()

    def dialled(self, way: Way, session: SmtpSession, seconds: float) -> None:
        """A new session, on which whoever dialled it begins."""
        line = self._lines.get(way)
        if line is None:
            patience = Deadline(self._clock, lambda: self._wake_all(way))
            line = self._lines[way] = _Line(patience)
        line.dialling_took(seconds)
        line.users[session] = 1

    def pass_on(self, way: Way, session: SmtpSession) -> None:
        """Whoever had the turn says no more on it, but may have something to hear."""
        line = self._lines[way]
        if self._takes_more(session) and not line.hand(session):
            line.following.append(session)

    def finished(self, way: Way, session: SmtpSession, seconds: float) -> None:
        """A message is done with it, ``pass_on`` came before; it had it for ``seconds``."""
        line = self._lines[way]
        line.users[session] -= 1
        line.message_took(seconds)
        if line.users[session]:
            return
        if session in line.following:
            line.following.remove(session)
        if not self._takes_more(session):
            self._forget(way, line, session)
            session.quit()
        elif not line.hand(session):
            self._keep(way, line, session)

    def close(self) -> None:
        """Say goodbye on idle ones; for the end of the process."""
        for session in list(self._idle):
            self._dismiss(session)

    def _takes_more(self, session: SmtpSession) -> bool:
        return session.may_begin and session.messages < self._messages

    def _keep(self, way: Way, line: _Line, session: SmtpSession) -> None:
        if self._total <= 0 or self._seconds <= 0:
            self._forget(way, line, session)
            session.quit()
            return
        if len(self._idle) >= self._total:
            self._dismiss(next(iter(self._idle)))
        line.idle.append(session)
        self._idle[session] = way
        session.rest(self._seconds, lambda: self._dismiss(session))

    def _dismiss(self, session: SmtpSession) -> None:
        way = self._idle.pop(session, None)
        if way is None:
            return
        line = self._lines[way]
        line.idle.remove(session)
        session.go_on()
        self._forget(way, line, session)
        session.quit()

    def _forget(self, way: Way, line: _Line, session: SmtpSession) -> None:
        del line.users[session]
        if session.is_usable:
            line.wake_one()  # one in its place
            self._forget_empty(way, line)
        else:
            self._wake_all(way)  # where one fails, others may

    def _wake_all(self, way: Way) -> None:
        line = self._lines[way]
        for _ in range(len(line.waiting)):
            line.wake_one()
        self._forget_empty(way, line)

    def _forget_empty(self, way: Way, line: _Line) -> None:
        if not line.users and not line.waiting and self._lines.get(way) is line:
            line.patience.clear()
            del self._lines[way]
