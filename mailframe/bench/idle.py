"""Connections that do nothing: what does each cost the server?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mailframe.bench.imap import ImapClient, ImapLoad
from mailframe.bench.loop import Loop
from mailframe.bench.pop3 import Pop3Client, Pop3Load
from mailframe.bench.smtp import SmtpClient, SmtpLoad
from mailframe.bench.tally import Tally

_AT_A_TIME = 50  # connections that are being opened
_SETTLE = 1.0  # seconds before the memory is looked at


class Holder(Protocol):
    """An idle session: it calls ``settled`` or ``failed`` of its gathering."""

    def dial(self) -> None: ...


Make = Callable[["Gathering", int], Holder]


class Gathering:
    """Opens ``size`` idle sessions, calls ``held`` when all have settled, holds them ``seconds``
    more and closes them. The tally has ``held`` and ``failed`` ones."""

    def __init__(
        self,
        loop: Loop,
        tally: Tally,
        make: Make,
        size: int,
        seconds: float,
        held: Callable[[int], None],
    ) -> None:
        self.loop, self.tally = loop, tally
        self._make, self._size, self._seconds, self._held = make, size, seconds, held
        self._begun = self._done = 0
        self.over = False

    def start(self) -> None:
        self.tally.begun = self.loop.clock()
        self._more()

    def working(self) -> bool:
        return not self.over

    def settled(self) -> None:
        self.tally.counts["held"] += 1
        self._one_done()

    def failed(self, step: str, why: str) -> None:
        self.tally.fail(step, why)
        self.tally.counts["failed"] += 1
        self._one_done()

    def dropped(self, why: str) -> None:
        """One that was held already."""
        self.tally.fail("held", why)
        self.tally.counts["dropped"] += 1

    def _one_done(self) -> None:
        self._done += 1
        if self._done == self._size:
            self.tally.ended = self.loop.clock()
            self.loop.at(self.loop.clock() + _SETTLE, self._look)
        else:
            # Not from here: one that fails at once would begin the next within itself.
            self.loop.at(self.loop.clock(), self._more)

    def _more(self) -> None:
        while self._begun < self._size and self._begun - self._done < _AT_A_TIME:
            self._begun += 1
            self._make(self, self._begun).dial()

    def _look(self) -> None:
        self._held(self.tally.counts["held"])
        self.loop.at(self.loop.clock() + self._seconds, self._end)

    def _end(self) -> None:
        self.over = True
        for connection in list(self.loop.connections.values()):
            connection.close()


class _Settling:
    """What the three kinds have in common: in time they are settled, or lost before or after."""

    gathering: Gathering
    may_be_silent: bool
    _step: str

    def settle(self) -> None:
        self.may_be_silent = True
        self.gathering.settled()

    def lost(self, why: str) -> None:
        if self.may_be_silent:
            self.gathering.dropped(why)
        else:
            self.gathering.failed(self._step, why)


class IdleSmtp(_Settling, SmtpClient):
    """Has said EHLO, and logged in where the load says so."""

    def __init__(self, gathering: Gathering, load: SmtpLoad) -> None:
        super().__init__(gathering, load)
        self.gathering = gathering

    def ready_for_mail(self) -> None:
        self._then = self.refused
        self.settle()

    def refused(self, code: int) -> None:
        self.fail(self.text.decode("utf-8", "replace").strip() or str(code))


class IdlePop3(_Settling, Pop3Client):
    def __init__(self, gathering: Gathering, load: Pop3Load, number: int) -> None:
        super().__init__(gathering, load, number)
        self.gathering = gathering

    def entered(self) -> None:
        self.settle()


class IdleImap(_Settling, ImapClient):
    """Where it has logged in: in IDLE, with the INBOX selected."""

    def __init__(self, gathering: Gathering, load: ImapLoad, number: int) -> None:
        super().__init__(gathering, load, number)
        self.gathering = gathering

    def entered(self) -> None:
        if self._user:
            self.say("SELECT", b"SELECT INBOX", self._selected)
        else:
            self.settle()

    def _selected(self) -> None:
        self.say("IDLE", b"IDLE", lambda: self.fail("IDLE has ended"))

    def told(self, line: bytes) -> None:
        self._tail = b""
        if self._step == "IDLE" and not self.may_be_silent:
            self.settle()
