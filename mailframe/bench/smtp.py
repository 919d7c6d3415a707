"""One SMTP client that sends message after message (RFC 5321), as the load says."""

from __future__ import annotations

import abc
import base64
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.bench.crowd import Crowd, Host
from mailframe.bench.loop import Target
from mailframe.bench.mail import Messages, Recipients
from mailframe.bench.replies import ReplyReader

_START_MAIL_INPUT = 354
_CLOSING = 421


@dataclass(frozen=True, slots=True)
class SmtpLoad:
    """What the sessions of a process have in common."""

    target: Target
    messages: Messages
    recipients: Recipients
    sender: str
    hello: str = "bench.mailframe"
    reuse: bool = False
    """Send one message after the other in a connection, else one in each."""
    pipelining: bool = False
    """Send the envelope in one piece, whatever the server announces (RFC 2920)."""
    starttls: bool = False
    login: tuple[str, str] | None = None


class SmtpClient(ReplyReader):
    """Makes itself known, logs in, then hands itself to ``greeted``."""

    def __init__(self, host: Host, load: SmtpLoad) -> None:
        super().__init__(host, load.target)
        self.load = load
        self._then: Callable[[int], None] = self._greeting

    @abc.abstractmethod
    def ready_for_mail(self) -> None:
        """Known, secured, and logged in."""

    @abc.abstractmethod
    def refused(self, code: int) -> None:
        """By a reply, before ``ready_for_mail``."""

    def say(self, step: str, line: bytes, then: Callable[[int], None]) -> None:
        self._step, self._then = step, then
        self.send(line)

    def replied(self, code: int) -> None:
        self._then(code)

    def note(self, code: int) -> None:
        """Count a refusal, and what it said at the first time."""
        text = self.text.decode("utf-8", "replace").strip()
        self.tally.fail(self._step, text, code)

    def _greeting(self, code: int) -> None:
        self._step = "greeting"
        if code != 220:
            self.refused(code)
            return
        self.tally.timing("greeting").add(self.loop.clock() - self._opened)
        self._hello()

    def _hello(self) -> None:
        self.say("EHLO", b"EHLO %b\r\n" % self.load.hello.encode(), self._known)

    def _known(self, code: int) -> None:
        if code != 250:
            self.refused(code)
        elif self.load.starttls and self._tls is None:
            self.say("STARTTLS", b"STARTTLS\r\n", self._may_shake)
        elif self.load.login is not None:
            name, password = self.load.login
            secret = base64.b64encode(b"\0%b\0%b" % (name.encode(), password.encode()))
            self.say("AUTH", b"AUTH PLAIN %b\r\n" % secret, self._logged_in)
        else:
            self.ready_for_mail()

    def _may_shake(self, code: int) -> None:
        if code == 220:
            self.start_tls(self.load.target)
        else:
            self.refused(code)

    def secured(self) -> None:
        if self.load.starttls:
            self._hello()

    def _logged_in(self, code: int) -> None:
        if code == 235:
            self.ready_for_mail()
        else:
            self.refused(code)


class SmtpSession(SmtpClient):
    """Sends, and tells the tally: ``messages`` that were accepted with their ``recipients``,
    ``failed`` ones, and how long each took from when it was due until its 250."""

    def __init__(self, crowd: Crowd, load: SmtpLoad, start: float) -> None:
        super().__init__(crowd, load)
        self.crowd = crowd
        self._start = start
        self._recipients = load.recipients.next()
        self._asked = self._taken = 0
        self._mail = b"MAIL FROM:<%b>\r\n" % load.sender.encode()
        self._busy = True
        """Has a message that is not decided."""
        self.dial()

    # -- the crowd's side -------------------------------------------------------------

    def begin(self, start: float) -> None:
        self._start, self._busy = start, True
        self.may_be_silent = False
        self._recipients = self.load.recipients.next()
        self.ready_for_mail()

    def leave(self) -> None:
        self.may_be_silent = False
        self.say("QUIT", b"QUIT\r\n", self._gone)

    def lost(self, why: str) -> None:
        if self._busy or self._step != "QUIT":
            self.tally.fail(self._step, why)
        if self._busy:
            self._undelivered()
        elif self.may_be_silent:
            self.crowd.forget(self)
            return
        self.crowd.freed(failed=self._step != "QUIT")

    def refused(self, code: int) -> None:
        self.note(code)
        self._undelivered()
        self.close()
        self.crowd.freed(failed=True)

    # -- one message ------------------------------------------------------------------

    def ready_for_mail(self) -> None:
        self._asked = self._taken = 0
        if self.load.pipelining:
            envelope = b"".join((self._mail, *self._recipients, b"DATA\r\n"))
            self.say("MAIL", envelope, self._from_taken)
        else:
            self.say("MAIL", self._mail, self._from_taken)

    def _from_taken(self, code: int) -> None:
        if code != 250:
            self.note(code)
            if not self.load.pipelining:
                self._not_this_one(code)
                return
        self._step, self._then = "RCPT", self._to_taken
        if not self.load.pipelining:
            self.send(self._recipients[0])

    def _to_taken(self, code: int) -> None:
        self._asked += 1
        if code in (250, 251):
            self._taken += 1
        else:
            self.note(code)
        if self._asked < len(self._recipients):
            if not self.load.pipelining:
                self.send(self._recipients[self._asked])
            return
        self._step, self._then = "DATA", self._may_send
        if self.load.pipelining:
            return
        if self._taken:
            self.send(b"DATA\r\n")
        else:
            self._not_this_one(code)

    def _may_send(self, code: int) -> None:
        if code != _START_MAIL_INPUT:
            if self._taken:
                self.note(code)
            self._not_this_one(code)
        elif self._taken:
            content = self.load.messages.next(self._start)
            # RFC 2920 section 3.1: what follows the content may go along with it.
            ends = self.load.pipelining and not self.load.reuse
            self.say("content", content + b"QUIT\r\n" if ends else content, self._decided)
        else:
            self.say("content", b".\r\n", self._not_this_one)

    def _decided(self, code: int) -> None:
        if code != 250:
            self.note(code)
            self._not_this_one(code)
            return
        now = self.loop.clock()
        counts = self.tally.counts
        counts["messages"] += 1
        counts["recipients"] += self._taken
        self.tally.timing("message").add(now - self._start)
        self.tally.ended = now
        self._busy = False
        self._next()

    def _not_this_one(self, code: int) -> None:
        self._undelivered()
        if code == _CLOSING:
            self.close()
            self.crowd.freed(failed=True)
        elif self.load.reuse:
            self.say("RSET", b"RSET\r\n", lambda _: self._next())
        elif self.load.pipelining and self._step == "content":
            self._step, self._then = "QUIT", self._gone
        else:
            self.leave()

    def _undelivered(self) -> None:
        self._busy = False
        self.tally.counts["failed"] += 1
        self.tally.ended = self.loop.clock()

    def _next(self) -> None:
        if self.load.reuse:
            self.may_be_silent = True
            self._then = self._unasked
            self.crowd.free(self)
        elif self.load.pipelining:
            self._step, self._then = "QUIT", self._gone
        else:
            self.leave()

    def _unasked(self, code: int) -> None:
        """Words while there was nothing to do: 421, as a rule (RFC 5321 section 3.8)."""
        self._step = "waiting"
        self.note(code)
        self.close()
        self.crowd.forget(self)

    def _gone(self, code: int) -> None:
        """Whatever it said to QUIT."""
        self.close()
        self.crowd.freed()
