"""The SMTP and LMTP server engine: bytes in, events out; decisions in, bytes out.

::

    engine.greet(Reply(220, ...))
    engine.receive(data)
    while (event := engine.next_event()) not in (NEED_DATA, PAUSED, ENOUGH): ...
    transport.write(engine.take_output())

A decision stops it until ``send`` (``challenge``, ``proceed``), so that replies leave in the
order of the commands however the client pipelines. The same bytes in any split give the
same events, but for how a message is cut into BodyChunks and how much of a message that
fails has come out before it did.

What the peer does wrong is answered here, told by ``Rejected`` and counted; one bad command
too many closes with 421. The peer's bytes never make it raise. The shell calling it at the
wrong time raises LocalProtocolError. It holds at most what was fed to it and not yet read:
stop feeding while it is paused.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from mailframe.core.reply import Reply
from mailframe.errors import LocalProtocolError
from mailframe.protocols.smtp import events as ev
from mailframe.protocols.smtp import verbs
from mailframe.protocols.smtp.conversation import READERS, SILENT, Conversation
from mailframe.protocols.smtp.events import ENOUGH, NEED_DATA, PAUSED, Decision, Event, Pause
from mailframe.protocols.smtp.replies import render_lines
from mailframe.protocols.smtp.state import State

_GO_AHEAD = Reply(354, None, "End data with <CR><LF>.<CR><LF>")
_AT_ONCE = 100
"""So many commands, at 10 microseconds or so, are answered before others have their turn."""


class SmtpServer(Conversation):
    def greet(self, reply: Reply) -> None:
        """Once, first of all. Anything but 220 closes the connection."""
        if self.state is not State.GREETING:
            raise LocalProtocolError("greeted already")
        if reply.code == 220:
            self._say(reply)
            self.state = State.CONNECTED
        else:
            self.hang_up(reply, "not greeted")
            self._say(reply)

    def receive(self, data: bytes) -> None:
        """Octets from the peer. What comes between 220 to STARTTLS and TLS is thrown away."""
        # RFC 3207 section 4.2; CVE-2011-0411
        if self.state not in (State.TLS, State.CLOSED):
            self._lines.feed(data)

    @property
    def held(self) -> int:
        """Octets received and not yet read."""
        return self._lines.held

    def take_output(self) -> bytes:
        """What there is to send; call it after each round of events."""
        if not self._output:
            return b""
        output, self._output = self._output, []
        return output[0] if len(output) == 1 else b"".join(output)

    def next_event(self) -> Event | Pause:
        for _ in range(_AT_ONCE):
            if self._events:
                return self._events.pop(0)
            if self._open is not None or self.state in SILENT:
                return PAUSED
            if self._swallow:
                if not self._swallow_chunk():
                    return NEED_DATA
            elif not READERS[self.state](self):
                return NEED_DATA
        return ENOUGH

    @property
    def in_body(self) -> bool:
        """Whether a message is coming in or waits for its reply."""
        return self._body is not None

    def send(self, reply: Reply) -> None:
        """Answer the open decision."""
        decision = self._decided()
        _AFTER[type(decision)](self, decision, reply)

    def challenge(self, data: bytes) -> None:
        """Go on with AUTH; ``data`` is not encoded yet."""
        if not isinstance(self._decided(), ev.AuthStart | ev.AuthResponse):
            raise LocalProtocolError("no AUTH is going on")
        self._output.append(b"334 " + base64.b64encode(data) + b"\r\n")
        self.state = State.SASL

    def proceed(self) -> None:
        """Take the message that BodyStart announced."""
        if not isinstance(self._decided(), ev.BodyStart) or self._body is None:
            raise LocalProtocolError("no message was announced")
        if self._body.chunked:
            self.state = State.CHUNK
        else:
            self._say(_GO_AHEAD)
            self.state = State.TEXT

    def fail_body(self, reply: Reply) -> None:
        """The message cannot be taken: read it to its end, then ask by BodyFailed."""
        if self._body is None or self._open is not None:
            raise LocalProtocolError("no message is coming in")
        self._body.refuse(reply)

    def tls_started(self, *, has_bindings: bool) -> None:
        """The handshake is done: forget all that was said in the clear."""
        # RFC 3207 section 4.2
        self._lines.clear()
        self.encrypted = True
        self.has_bindings = has_bindings
        self.authenticated = False
        if self.state is State.TLS:
            self.state = State.CONNECTED

    # --- after a decision ---

    def _decided(self) -> Decision:
        decision = self._open
        if decision is None or self._events:
            raise LocalProtocolError("there is nothing to decide")
        self._open = None
        return decision

    def _after_hello(self, decision: ev.Hello, reply: Reply) -> None:
        if not reply.is_positive:
            self._say(reply)
            return
        # RFC 5321 section 4.1.4: EHLO clears the state as RSET does
        self._void()
        self.state = State.READY
        if decision.verb == "HELO":
            self._say(reply)
        else:
            self._output.append(self._hello_answer(reply.text))

    def _hello_answer(self, hostname: str) -> bytes:
        facts = (
            hostname,
            self.encrypted,
            self.has_bindings,
            self.authenticated,
            self.can_start_tls,
            self.answers_expn,
            self._mechanisms,
        )
        known = self.settings.hello_answers
        if facts not in known:
            known[facts] = render_lines(250, [hostname, *verbs.keywords(self)])
        return known[facts]

    def _after_auth(self, decision: Decision, reply: Reply) -> None:
        self.state = State.READY
        if reply.is_positive:
            self.authenticated = True
            self._say(reply)
        else:
            self._say(reply)
            self._count_error()

    def _after_mail(self, decision: ev.MailFrom, reply: Reply) -> None:
        self._say(reply)
        self._may_be_pipelined = not reply.is_positive
        if reply.is_positive:
            self.envelope, self.accepted = decision.envelope, 0
            self.transactions += 1
            self.state = State.MAIL

    def _after_rcpt(self, decision: ev.RcptTo, reply: Reply) -> None:
        self._say(reply)
        if reply.is_positive:
            self.accepted += 1
            self.state = State.RCPT

    def _after_body_start(self, decision: ev.BodyStart, reply: Reply) -> None:
        """Refused before it began."""
        body = self._current_body()
        if body.chunked:
            # RFC 3030 section 2: the chunk is on its way whatever we say, and after it the
            # client must RSET.
            self._swallow = body.remaining
            self._say(reply)
            self._end_transaction()
            self._may_be_pipelined = True
        else:
            self._body = None
            self._say(reply)

    def _after_body(self, decision: Decision, reply: Reply) -> None:
        body = self._current_body()
        # RFC 2033 section 4.2: LMTP owes one reply per accepted recipient at the end
        for _ in range(self.accepted if self.settings.lmtp and body.is_last else 1):
            self._say(reply)
        self._may_be_pipelined = not body.is_last
        self._end_transaction()

    def _after_verify(self, decision: ev.Verify, reply: Reply) -> None:
        self._say(reply)

    def _after_starttls(self, decision: ev.StartTls, reply: Reply) -> None:
        self._say(reply)
        if reply.is_positive:
            self._void()
            self._lines.clear()
            self.state = State.TLS


_AFTER: dict[type, Callable[..., None]] = {
    ev.Hello: SmtpServer._after_hello,
    ev.AuthStart: SmtpServer._after_auth,
    ev.AuthResponse: SmtpServer._after_auth,
    ev.MailFrom: SmtpServer._after_mail,
    ev.RcptTo: SmtpServer._after_rcpt,
    ev.BodyStart: SmtpServer._after_body_start,
    ev.BodyEnd: SmtpServer._after_body,
    ev.BodyFailed: SmtpServer._after_body,
    ev.Verify: SmtpServer._after_verify,
    ev.StartTls: SmtpServer._after_starttls,
}
