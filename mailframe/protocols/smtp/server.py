"""The SMTP and LMTP server engine: bytes in, events out; decisions in, bytes out.

::

    engine.greet(Reply(220, ...))
    engine.receive(data)
    while (event := engine.next_event()) not in (NEED_DATA, PAUSED): ...
    transport.write(engine.output())

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
from collections import deque
from collections.abc import Callable, Collection

from mailframe.core import status
from mailframe.core.envelope import Body as BodyType
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.lines import BadLine, Fault, LineSplitter
from mailframe.protocols.smtp import events as ev
from mailframe.protocols.smtp import grammar, verbs
from mailframe.protocols.smtp.body import Body
from mailframe.protocols.smtp.events import NEED_DATA, PAUSED, Decision, Event, Pause
from mailframe.protocols.smtp.grammar import refuse
from mailframe.protocols.smtp.replies import render, render_lines
from mailframe.protocols.smtp.settings import ServerSettings
from mailframe.protocols.smtp.state import (
    ALLOWED,
    COMMAND_STATES,
    OUT_OF_ORDER,
    TRANSACTION_STATES,
    State,
)

_NO_ENVELOPE = Envelope(reverse_path=None)
_TOO_MANY_ERRORS = Reply(421, status.SECURITY_OTHER, "Too many errors, closing the connection")
_NOT_SMTP = Reply(421, status.PROTOCOL_OTHER, "This is a mail server")
_TLS_HELLO = b"\x16\x03"  # RFC 8446 section 5.1: a handshake record


class SmtpServer:
    def __init__(
        self,
        settings: ServerSettings,
        *,
        reference: str = "",
        mechanisms: Collection[str] = (),
        can_start_tls: bool = False,
        encrypted: bool = False,
    ) -> None:
        """``reference`` ends every refusal; ``mechanisms`` are what logins can use, those
        ending in ``-PLUS`` only where ``tls_started`` said that channel bindings are known.
        ``encrypted``: TLS was there before the first octet."""
        self.settings = settings
        self.state = State.GREETING
        self.envelope = _NO_ENVELOPE
        self.accepted = 0
        """RCPT commands accepted in this transaction; LMTP owes a reply for each."""
        self.transactions = 0
        """MAIL commands accepted on this connection."""
        self.errors = 0
        self.authenticated = False
        self.encrypted = encrypted
        self.has_bindings = False
        self.can_start_tls = can_start_tls
        self.answers_expn: bool = False
        """Set by the shell before it answers a Hello."""
        self._mechanisms = tuple(sorted(mechanisms))
        self._reference = reference
        self._lines = LineSplitter()
        self._output: list[bytes] = []
        self._events: deque[Event] = deque()
        self._open: Decision | None = None
        self._body: Body | None = None
        self._swallow = 0
        self._heard_nothing = True
        self._excused = False
        self._refused_mail = False

    # --- what the shell calls -----------------------------------------------------------

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
        return len(self._lines)

    def output(self) -> bytes:
        """What there is to send; call it after each round of events."""
        if not self._output:
            return b""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def next_event(self) -> Event | Pause:
        while True:
            if self._events:
                return self._events.popleft()
            if self._open is not None or self.state in _SILENT:
                return PAUSED
            if self._swallow:
                if not self._swallow_chunk():
                    return NEED_DATA
            elif not _READERS[self.state](self):
                return NEED_DATA

    @property
    def is_idle(self) -> bool:
        """Between commands with nothing decided or received: fit for a farewell."""
        return self._open is None and self.state in COMMAND_STATES and not self.held

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
            self._say(Reply(354, None, "End data with <CR><LF>.<CR><LF>"))
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

    def hang_up(self, reply: Reply, reason: str) -> Reply:
        """Close after what is returned has been said; what was received is forgotten."""
        self._void()
        self._lines.clear()
        self.state = State.CLOSED
        self._open = None
        self._events.append(ev.Close(reason))
        return reply

    def say_goodbye(self, reply: Reply, reason: str) -> None:
        """421 at any time: shutdown, timeout."""
        if self.state is not State.CLOSED:
            self._say(self.hang_up(reply, reason))

    # --- what verbs call ----------------------------------------------------------------

    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms that work right now."""
        if not self.encrypted and not self.settings.allow_plaintext:
            return ()
        return tuple(m for m in self._mechanisms if self.has_bindings or not m.endswith("-PLUS"))

    @property
    def has_login(self) -> bool:
        return bool(self._mechanisms)

    def excuse_next_error(self) -> None:
        """The refusal that follows is no sign of a broken client."""
        self._excused = True

    def begin_text(self) -> Decision:
        self._body = Body(self.settings.message_size, binary=False)
        return ev.BodyStart()

    def begin_chunk(self, octets: int, is_last: bool) -> Decision | None:
        is_first = self._body is None
        if self._body is None:
            binary = self.envelope.body is BodyType.BINARY
            self._body = Body(self.settings.message_size, binary=binary)
        self._body.begin_chunk(octets, is_last)
        if is_first:
            return ev.BodyStart()
        self.state = State.CHUNK
        return None

    def drop_transaction(self) -> None:
        """RSET and its like."""
        self._void()
        if self.state is not State.CONNECTED:
            self.state = State.READY

    # --- reading ------------------------------------------------------------------------

    def _read_command(self) -> bool:
        if self._heard_nothing and self._lines.starts_with(_TLS_HELLO):
            self._turn_away("")
            return True
        in_auth = self._lines.starts_with(b"AUTH ")
        line = self._lines.next_line(
            self.settings.auth_line if in_auth else self.settings.command_line
        )
        if line is None:
            return False
        self._heard_nothing = False
        if isinstance(line, BadLine):
            self._reject("", _spoilt_line(line.fault))
            return True
        self._command(line)
        return True

    def _command(self, line: bytes) -> None:
        word, _, argument = line.partition(b" ")
        name = word.decode("ascii", "replace").upper()
        if name in verbs.FOREIGN:
            self._turn_away(name)
            return
        try:
            verb = verbs.find(self, name)
            self._check_order(name, argument)
            result = verb.run(self, argument.strip(b" "))
        except RemoteProtocolError as error:
            self._reject(name, _reply_of(error))
            if name == "BDAT":
                self._after_refused_chunk(argument)
            return
        if isinstance(result, Reply):
            self._say(result)
        elif result is not None:
            self._ask(result)

    def _check_order(self, name: str, argument: bytes) -> None:
        if name not in ("RCPT", "DATA", "BDAT"):
            self._refused_mail = False
        if self.state in ALLOWED[name]:
            return
        if name in ("DATA", "BDAT") and self.state is State.MAIL:
            # RFC 2920 section 3.1: what a pipelining client hears when all were refused
            self._excused = True
            raise refuse(554, status.INVALID_COMMAND, "No valid recipients")
        # A client that pipelines cannot know that its MAIL was refused.
        self._excused = self._refused_mail
        text = OUT_OF_ORDER.get((name, self.state), "Bad sequence of commands")
        raise refuse(503, status.INVALID_COMMAND, text)

    def _read_text(self) -> bool:
        data = self._lines.take()
        if not data:
            return False
        body = self._current_body()
        content, rest = body.text(data)
        if rest is not None:
            self._lines.put_back(rest)
            self.state = State.BODY_END
        if content:
            self._events.append(ev.BodyChunk(content))
        return True

    def _read_chunk(self) -> bool:
        body = self._current_body()
        if body.remaining:
            data = self._lines.take(body.remaining)
            if not data:
                return False
            if content := body.chunk(data):
                self._events.append(ev.BodyChunk(content))
        if not body.remaining:
            self.state = State.BODY_END
        return True

    def _finish_body(self) -> bool:
        """At the end of DATA or of a chunk, once every BodyChunk has been taken."""
        body = self._current_body()
        if body.chunked and body.is_last:
            body.finish_chunks()
        if body.failure is not None:
            self._ask(ev.BodyFailed(body.failure))
        elif body.is_last:
            self._ask(ev.BodyEnd(body.size))
        else:
            self._say(Reply(250, status.OTHER, f"{body.size} octets so far"))
            self.state = State.CHUNKING
        return True

    def _read_sasl(self) -> bool:
        line = self._lines.next_line(self.settings.auth_line)
        if line is None:
            return False
        try:
            if isinstance(line, BadLine):
                raise refuse(500, status.LINE_TOO_LONG, line.fault.value)
            # RFC 4954 section 4
            if line == b"*":
                raise refuse(501, status.SECURITY_OTHER, "Authentication cancelled")
            self._ask(ev.AuthResponse(verbs.sasl_octets(line)))
        except RemoteProtocolError as error:
            self.state = State.READY
            self._events.append(ev.AuthCancelled())
            self._reject("AUTH", _reply_of(error))
        return True

    def _swallow_chunk(self) -> bool:
        data = self._lines.take(self._swallow)
        self._swallow -= len(data)
        return bool(data)

    # --- after a decision ---------------------------------------------------------------

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
            self._output.append(render_lines(250, [reply.text, *verbs.keywords(self)]))

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
        self._refused_mail = not reply.is_positive
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
        else:
            self._body = None
            self._say(reply)

    def _after_body(self, decision: Decision, reply: Reply) -> None:
        body = self._current_body()
        # RFC 2033 section 4.2: LMTP owes one reply per accepted recipient at the end
        for _ in range(self.accepted if self.settings.lmtp and body.is_last else 1):
            self._say(reply)
        self._end_transaction()

    def _after_verify(self, decision: ev.Verify, reply: Reply) -> None:
        self._say(reply)

    def _after_starttls(self, decision: ev.StartTls, reply: Reply) -> None:
        self._say(reply)
        if reply.is_positive:
            self._void()
            self._lines.clear()
            self.state = State.TLS

    # --- small steps --------------------------------------------------------------------

    def _ask(self, decision: Decision) -> None:
        self._open = decision
        self._events.append(decision)

    def _decided(self) -> Decision:
        decision = self._open
        if decision is None or self._events:
            raise LocalProtocolError("there is nothing to decide")
        self._open = None
        return decision

    def _say(self, reply: Reply) -> None:
        self._output.append(render(reply, reference=self._reference, utf8=self.envelope.smtputf8))

    def _reject(self, verb: str, reply: Reply) -> None:
        self._say(reply)
        self._events.append(ev.Rejected(verb, reply))
        if reply.code == 421:
            self.hang_up(reply, reply.text)
        elif self._excused:
            self._excused = False
        else:
            self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.settings.errors and self.errors >= self.settings.errors:
            self._events.append(ev.Rejected("", _TOO_MANY_ERRORS))
            self.say_goodbye(_TOO_MANY_ERRORS, "too many errors")

    def _turn_away(self, verb: str) -> None:
        self._say(_NOT_SMTP)
        self._events.append(ev.Rejected(verb, _NOT_SMTP))
        self.hang_up(_NOT_SMTP, "not a mail client")

    def _after_refused_chunk(self, argument: bytes) -> None:
        """Its octets come all the same; not knowing how many, we cannot go on."""
        if self.state is State.CLOSED:
            return
        try:
            octets, _ = grammar.chunk(argument.strip(b" "))
        except RemoteProtocolError:
            self.hang_up(verbs.GOODBYE, "malformed BDAT")
        else:
            self._swallow = octets

    def _current_body(self) -> Body:
        assert self._body is not None
        return self._body

    def _void(self) -> None:
        if self.state in TRANSACTION_STATES:
            self._events.append(ev.TransactionDropped())
        self._forget_transaction()

    def _end_transaction(self) -> None:
        self._forget_transaction()
        self.state = State.READY

    def _forget_transaction(self) -> None:
        self.envelope, self.accepted, self._body = _NO_ENVELOPE, 0, None


def _reply_of(error: RemoteProtocolError) -> Reply:
    """Errors of the grammar always bring theirs."""
    return error.reply or Reply(500, status.SYNTAX_ERROR, "Syntax error")


def _spoilt_line(fault: Fault) -> Reply:
    return Reply(500, status.SYNTAX_ERROR, fault.value)


_SILENT = frozenset({State.GREETING, State.TLS, State.CLOSED})

_READERS: dict[State, Callable[[SmtpServer], bool]] = {
    **dict.fromkeys(COMMAND_STATES, SmtpServer._read_command),
    State.TEXT: SmtpServer._read_text,
    State.CHUNK: SmtpServer._read_chunk,
    State.BODY_END: SmtpServer._finish_body,
    State.SASL: SmtpServer._read_sasl,
}

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
