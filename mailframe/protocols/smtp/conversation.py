"""The engine's conversation with the peer: reading what it says, by the state it is in.

The half of the SMTP server engine that looks towards the peer; ``server`` has the half that
looks towards the shell. What verbs may do to the engine is public here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from mailframe.core import status
from mailframe.core.envelope import Body as BodyType
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.lines import BadLine, LineSplitter
from mailframe.protocols.smtp import events as ev
from mailframe.protocols.smtp import grammar, verbs
from mailframe.protocols.smtp.body import Body
from mailframe.protocols.smtp.events import Decision, Event
from mailframe.protocols.smtp.grammar import refuse
from mailframe.protocols.smtp.replies import render
from mailframe.protocols.smtp.settings import ServerSettings
from mailframe.protocols.smtp.state import (
    ALLOWED,
    COMMAND_STATES,
    OUT_OF_ORDER,
    TRANSACTION_STATES,
    State,
)

_NO_ENVELOPE = Envelope(reverse_path=None)
_BODY_START = ev.BodyStart()
_TOO_MANY_ERRORS = Reply(421, status.SECURITY_OTHER, "Too many errors, closing the connection")
_NOT_SMTP = Reply(421, status.PROTOCOL_OTHER, "This is a mail server")
# A client that is refused a message or a recipient is not broken; one that hears these is.
_BAD_COMMAND = frozenset({500, 501, 502, 503, 504, 555})
_TLS_HELLO = b"\x16\x03"  # RFC 8446 section 5.1: a handshake record


class Conversation:
    # How each begins. Most stays so in most connections, and takes no room in them.
    state = State.GREETING
    envelope = _NO_ENVELOPE
    accepted = 0
    """RCPT commands accepted in this transaction; LMTP owes a reply for each."""
    transactions = 0
    """MAIL commands accepted on this connection."""
    errors = 0
    authenticated = False
    has_bindings = False
    answers_expn = False
    """Set by the shell before it answers a Hello."""
    _open: Decision | None = None
    _body: Body | None = None
    _swallow = 0
    _heard_nothing = True
    _may_be_pipelined = False
    """Whether more commands of a transaction that we ended may be on their way."""

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
        self.encrypted = encrypted
        self.can_start_tls = can_start_tls
        self._verbs = verbs.table(settings)
        self._mechanisms = tuple(sorted(mechanisms))
        self._reference = reference
        self._lines = LineSplitter()
        self._output: list[bytes] = []
        self._events: list[Event] = []

    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms that work right now."""
        if not self.encrypted and not self.settings.allow_plaintext:
            return ()
        return tuple(m for m in self._mechanisms if self.has_bindings or not m.endswith("-PLUS"))

    @property
    def has_login(self) -> bool:
        return bool(self._mechanisms)

    def begin_text(self) -> Decision:
        self._body = Body(self.settings.message_size, binary=False)
        return _BODY_START

    def begin_chunk(self, octets: int, is_last: bool) -> Decision | None:
        is_first = self._body is None
        if self._body is None:
            binary = self.envelope.body is BodyType.BINARY
            self._body = Body(self.settings.message_size, binary=binary)
        self._body.begin_chunk(octets, is_last)
        if is_first:
            return _BODY_START
        self.state = State.CHUNK
        return None

    def drop_transaction(self) -> None:
        """RSET and its like."""
        self._void()
        if self.state is not State.CONNECTED:
            self.state = State.READY

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

    # --- reading, a step at a time: False means that more input is needed ---

    def _read_command(self) -> bool:
        lines, longest = self._lines, self.settings.command_line
        if not lines.held:
            return False
        if self._heard_nothing and lines.starts_with(_TLS_HELLO):
            self._turn_away("")
            return True
        # Its CRLF counts, and may be still to come.
        if lines.held > longest - 2 and lines.starts_with(b"AUTH "):
            longest = self.settings.auth_line
        line = lines.next_line(longest)
        if line is None:
            return False
        self._heard_nothing = False
        if isinstance(line, BadLine):
            self._reject("", Reply(500, status.SYNTAX_ERROR, line.fault.value))
            return True
        self._command(line)
        return True

    def _command(self, line: bytes) -> None:
        word, _, argument = line.partition(b" ")
        name = word.decode("ascii", "replace").upper()
        verb = self._verbs.get(name)
        try:
            if verb is None:
                if name in verbs.FOREIGN:
                    self._turn_away(name)
                    return
                raise verbs.unknown(self.settings, name)
            self._check_order(name)
            result = verb.run(self, argument.strip(b" "))
        except RemoteProtocolError as error:
            self._reject(name, _reply_of(error))
            if name == "MAIL":
                self._may_be_pipelined = True
            elif name == "BDAT":
                self._after_refused_chunk(argument)
            return
        if isinstance(result, Reply):
            self._say(result)
        elif result is not None:
            self._ask(result)

    def _check_order(self, name: str) -> None:
        if name not in ("RCPT", "DATA", "BDAT"):
            self._may_be_pipelined = False
        if self.state in ALLOWED[name]:
            return
        if name in ("DATA", "BDAT") and self.state is State.MAIL:
            # RFC 2920 section 3.1: what a pipelining client hears when all were refused
            raise refuse(554, status.INVALID_COMMAND, "No valid recipients")
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

    def _ask(self, decision: Decision) -> None:
        self._open = decision
        self._events.append(decision)

    def _say(self, reply: Reply) -> None:
        if "ENHANCEDSTATUSCODES" in self.settings.without and reply.status is not None:
            reply = Reply(reply.code, None, reply.text)  # RFC 2034 section 4
        self._output.append(render(reply, reference=self._reference, utf8=self.envelope.smtputf8))

    def _reject(self, verb: str, reply: Reply) -> None:
        self._say(reply)
        self._events.append(ev.Rejected(verb, reply))
        if reply.code == 421:
            self.hang_up(reply, reply.text)
        elif reply.code in _BAD_COMMAND and not (reply.code == 503 and self._may_be_pipelined):
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


SILENT = frozenset({State.GREETING, State.TLS, State.CLOSED})
"""Nothing is read in these."""

READERS: dict[State, Callable[[Conversation], bool]] = {
    **dict.fromkeys(COMMAND_STATES, Conversation._read_command),
    State.TEXT: Conversation._read_text,
    State.CHUNK: Conversation._read_chunk,
    State.BODY_END: Conversation._finish_body,
    State.SASL: Conversation._read_sasl,
}
