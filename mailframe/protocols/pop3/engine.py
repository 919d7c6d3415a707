"""The POP3 server as a machine: octets in, events and octets out.

Feed ``receive``, then call ``next_event`` until it answers with a ``Pause``; send what
``take_output`` has, whenever. An event that needs a decision stops the engine until the
decision's method was called (see ``events``), which is what keeps replies in order however
much the client pipelines. Input that waits meanwhile is held: the shell watches ``held``
and stops reading.

The engine never raises for anything that a client sends. LocalProtocolError means that the
shell called a method that the current event does not allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError
from mailframe.protocols import sasl
from mailframe.protocols.dots import DotStuffer
from mailframe.protocols.lines import BadLine, LineSplitter
from mailframe.protocols.pop3 import replies
from mailframe.protocols.pop3.events import (
    ApopOffered,
    Closing,
    Event,
    IdentityProved,
    MessageWanted,
    PasswordOffered,
    Pause,
    ProofWrong,
    StartTls,
    TokenOffered,
    UpdateWanted,
    VerifierWanted,
)
from mailframe.protocols.pop3.language import change_language
from mailframe.protocols.pop3.login import Answer, LoginDialogue
from mailframe.protocols.pop3.maildrop import Entry, Maildrop, parse_number
from mailframe.protocols.pop3.replies import Refusal, ResponseCode
from mailframe.protocols.pop3.states import State, Trigger, after
from mailframe.protocols.pop3.top import TopCutter
from mailframe.protocols.pop3.verbs import (
    AUTH_LINE_LIMIT,
    LIMITED_WORD,
    VERBS,
    Offer,
    Verb,
    capabilities,
    line_limit,
)

# A short command can have a long answer (LIST): whoever pipelines them must take the answers.
_MUCH_OUTPUT = 64 * 1024
# And a short one a short one: after so many lines others have their turn.
_AT_ONCE = 100
# Lines of LIST and UIDL that count as one of those: some hundred microseconds.
_LISTED_AT_ONCE = 200
_LOGINS = (
    PasswordOffered,
    ApopOffered,
    TokenOffered,
    VerifierWanted,
    IdentityProved,
    ProofWrong,
)


class Pop3Engine:
    """``mechanisms`` is what the authenticator can do; what is offered depends on TLS too.

    ``timestamp`` (RFC 1939 section 7, with its angle brackets) turns APOP on; it is used only
    where logging in is allowed from the first moment. ``new_nonce`` yields a fresh, unguessable
    nonce. ``max_errors`` bad commands, or ``max_login_failures``, end the session; 0: never.
    """

    def __init__(
        self,
        hostname: str,
        mechanisms: frozenset[str],
        new_nonce: Callable[[], str],
        *,
        tls_available: bool = False,
        allow_plaintext: bool = False,
        channel_bindings: Mapping[str, bytes] | None = None,
        timestamp: str = "",
        max_errors: int = 10,
        max_login_failures: int = 3,
    ) -> None:
        """``channel_bindings``: None without TLS, a mapping (even an empty one) within."""
        self._available = mechanisms
        self._new_nonce = new_nonce
        self._tls_available = tls_available
        self._allow_plaintext = allow_plaintext
        self._secure = channel_bindings is not None
        self._max_errors = max_errors
        self._max_login_failures = max_login_failures
        self._errors = 0
        self._login_failures = 0
        self._refused: tuple[str, ResponseCode] | None = None
        """What the next line is answered with, whatever it says."""
        self._utf8 = False
        self._state = State.AUTHORIZATION
        self._input = LineSplitter()
        self._output: list[bytes] = []
        self._pending = 0
        self._undecided: Event | None = None
        self._ready: list[Event] = []
        self._maildrop = Maildrop(())
        self._listing: Iterator[str] | None = None
        """What is left of the answer under way."""
        self._stuffer: DotStuffer | None = None
        self._cutter: TopCutter | None = None
        if not self._may_log_in or "APOP" not in mechanisms:
            timestamp = ""
        self._login = self._new_dialogue(channel_bindings or {}, timestamp.encode())
        self._say(replies.ok(f"{hostname} POP3 server ready {timestamp}".rstrip()))

    # What the shell may look at

    @property
    def state(self) -> State:
        return self._state

    @property
    def held(self) -> int:
        """Octets of input that wait."""
        return self._input.held

    def take_output(self) -> bytes:
        output = b"".join(self._output)
        self._output.clear()
        self._pending = 0
        return output

    # Input

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        # RFC 2595 section 4: nothing that came in clear may be heard once TLS was agreed.
        if self._state is not State.CLOSED and not isinstance(self._undecided, StartTls):
            self._input.feed(data)

    def next_event(self) -> Event | Pause:
        carried_out = 0
        while not self._ready:
            if self._undecided is not None:
                return Pause.DECISION
            if self._state is State.CLOSED:
                return Pause.CLOSED
            if self._pending >= _MUCH_OUTPUT or carried_out >= _AT_ONCE:
                return Pause.OUTPUT
            carried_out += 1
            if self._listing is not None:
                self._list_more(self._listing)
            elif not self._next_line():
                return Pause.NEED_DATA
        event = self._ready.pop(0)
        if not isinstance(event, Closing):
            self._undecided = event
        return event

    def _next_line(self) -> bool:
        """Carry out one line; False when there is none."""
        if not self._input.held:
            return False
        limit = AUTH_LINE_LIMIT
        if not self._login.in_exchange:
            limit = line_limit(self._input.peek(LIMITED_WORD))
        line = self._input.next_line(limit)
        if line is None:
            return False
        try:
            self._obey(line)
        except Refusal as refusal:
            self._refuse(refusal)
        return True

    def _obey(self, line: bytes | BadLine) -> None:
        if self._refused is not None:
            # RFC 7628 section 3.2.3: a refused token fails at the client's next word.
            (text, code), self._refused = self._refused, None
            self._fail_login(text, code)
            return
        if isinstance(line, BadLine):
            self._login.give_up()
            raise Refusal(line.fault.value)
        if self._login.in_exchange:
            self._answer(self._login.answer(line))
            return
        word, _, rest = line.partition(b" ")
        name = word.upper()
        verb = VERBS.get(name)
        if verb is None:
            raise Refusal("Unknown command")
        if self._state not in verb.states:
            raise Refusal(f"Not in the {self._state.value} state")
        _ACTIONS[name](self, _arguments(verb, rest))

    def _refuse(self, refusal: Refusal) -> None:
        self._say(replies.err(refusal.text, refusal.code))
        self._errors += refusal.counts
        if self._max_errors and self._errors >= self._max_errors:
            self._say(replies.err("Too many bad commands"))
            self._close(Trigger.GIVEN_UP, "too many bad commands")

    def _say(self, octets: bytes) -> None:
        self._output.append(octets)
        self._pending += len(octets)

    def _answer(self, answer: Answer) -> None:
        if isinstance(answer, bytes):
            self._say(answer)
        else:
            self._ready.append(answer)

    def _close(self, trigger: Trigger, reason: str) -> None:
        self._state = after(self._state, trigger)
        self._input.clear()
        self._ready.append(Closing(reason))

    # Commands that hold in both states

    def _capa(self, arguments: list[bytes]) -> None:
        self._say(replies.listing("Capability list follows", capabilities(self._offer())))

    def _lang(self, arguments: list[bytes]) -> None:
        self._say(change_language(arguments[0] if arguments else None))

    def _quit(self, arguments: list[bytes]) -> None:
        if self._state is State.AUTHORIZATION:
            self._say(replies.ok("Bye"))
            self._close(Trigger.QUIT, "quit")
            return
        # Without the client nobody deletes: only this event ever removes anything.
        self._state = after(self._state, Trigger.QUIT)
        self._input.clear()
        self._ready.append(UpdateWanted(self._maildrop.deleted_uids()))

    # AUTHORIZATION

    @property
    def _may_log_in(self) -> bool:
        return self._secure or self._allow_plaintext

    @property
    def _takes_passwords(self) -> bool:
        return self._may_log_in and bool(self._available & {"PLAIN", "LOGIN"})

    def _new_dialogue(self, bindings: Mapping[str, bytes], timestamp: bytes) -> LoginDialogue:
        offered = self._available & sasl.SERVER_MECHANISMS if self._may_log_in else frozenset()
        if not bindings:
            offered -= {"SCRAM-SHA-256-PLUS"}
        self._offered = tuple(name for name in sasl.SERVER_PREFERENCE if name in offered)
        return LoginDialogue(frozenset(offered), bindings, self._new_nonce, timestamp)

    def _offer(self) -> Offer:
        return Offer(
            state=self._state,
            stls=self._tls_available and not self._secure and not self._utf8,
            password=self._takes_passwords,
            sasl=self._offered,
        )

    def _check_may_log_in(self, possible: bool) -> None:
        if not self._may_log_in:
            raise Refusal("Use STLS first: logging in needs an encrypted connection")
        if not possible:
            raise Refusal("That way of logging in is not available")

    def _stls(self, arguments: list[bytes]) -> None:
        if self._secure:
            raise Refusal("TLS is active already")
        if not self._tls_available:
            raise Refusal("TLS is not available")
        # RFC 6856 section 2.1: UTF8 comes after STLS.
        if self._utf8:
            raise Refusal("STLS comes before UTF8")
        self._say(replies.ok("Begin TLS negotiation"))
        self._input.clear()
        self._ready.append(StartTls())

    def _user(self, arguments: list[bytes]) -> None:
        self._check_may_log_in(self._takes_passwords)
        self._answer(self._login.user(arguments[0]))

    def _pass(self, arguments: list[bytes]) -> None:
        self._check_may_log_in(self._takes_passwords)
        self._answer(self._login.password(arguments[0]))

    def _apop(self, arguments: list[bytes]) -> None:
        self._check_may_log_in(True)
        self._answer(self._login.apop(arguments[0]))

    def _auth(self, arguments: list[bytes]) -> None:
        if not arguments:
            # Not in RFC 5034, but what clients older than CAPA ask.
            self._say(replies.listing("Mechanisms follow", self._offered))
            return
        self._check_may_log_in(bool(self._offered))
        initial = arguments[1] if len(arguments) > 1 else None
        self._answer(self._login.auth(arguments[0], initial))

    def _utf8_mode(self, arguments: list[bytes]) -> None:
        self._utf8 = True
        self._say(replies.ok("UTF8 mode"))

    # TRANSACTION

    def _stat(self, arguments: list[bytes]) -> None:
        self._say(b"+OK %d %d\r\n" % (self._maildrop.count, self._maildrop.octets))

    def _list(self, arguments: list[bytes]) -> None:
        self._list_each(arguments, lambda entry: entry.size)

    def _uidl(self, arguments: list[bytes]) -> None:
        self._list_each(arguments, lambda entry: entry.uid)

    def _list_each(self, arguments: list[bytes], fact: Callable[[Entry], object]) -> None:
        if arguments:
            number, entry = self._maildrop.entry(arguments[0])
            self._say(replies.ok(f"{number} {fact(entry)}"))
            return
        self._say(replies.ok(f"{self._maildrop.count} messages"))
        self._listing = (f"{number} {fact(entry)}" for number, entry in self._maildrop.entries())

    def _list_more(self, listing: Iterator[str]) -> None:
        """A hundred thousand messages take a tenth of a second and megabytes: piece by piece, as
        the client takes them."""
        lines = list(islice(listing, _LISTED_AT_ONCE))
        self._say(replies.lines(lines))
        if len(lines) < _LISTED_AT_ONCE:
            self._listing = None
            self._say(replies.END)

    def _retr(self, arguments: list[bytes]) -> None:
        number, entry = self._maildrop.entry(arguments[0])
        self._ready.append(MessageWanted(number, entry.uid, None))

    def _top(self, arguments: list[bytes]) -> None:
        body_lines = parse_number(arguments[1])
        number, entry = self._maildrop.entry(arguments[0])
        self._ready.append(MessageWanted(number, entry.uid, body_lines))

    def _dele(self, arguments: list[bytes]) -> None:
        number = self._maildrop.delete(arguments[0])
        self._say(replies.ok(f"Message {number} marked as deleted"))

    def _rset(self, arguments: list[bytes]) -> None:
        self._maildrop.reset()
        self._say(replies.ok(f"{self._maildrop.count} messages"))

    def _noop(self, arguments: list[bytes]) -> None:
        self._say(b"+OK\r\n")

    # Decisions

    def _decide(self, *kinds: type[Event]) -> Event:
        event = self._undecided
        if not isinstance(event, kinds):
            raise LocalProtocolError(f"the current event is {event!r}")
        self._undecided = None
        return event

    def tls_started(self, channel_bindings: Mapping[str, bytes]) -> None:
        """The handshake is done. What the client said in clear is forgotten."""
        self._decide(StartTls)
        self._secure = True
        self._login = self._new_dialogue(channel_bindings, b"")

    def verifier(self, verifier: ScramVerifier) -> None:
        self._decide(VerifierWanted)
        try:
            self._answer(self._login.verifier(verifier))
        except Refusal as refusal:
            self._refuse(refusal)

    def logged_in(self, entries: Sequence[Entry]) -> None:
        """The maildrop is open and locked; ``entries`` number from 1."""
        self._decide(PasswordOffered, ApopOffered, TokenOffered, IdentityProved)
        self._maildrop = Maildrop(entries)
        self._state = after(self._state, Trigger.LOGGED_IN)
        self._say(replies.ok(f"Logged in, {self._maildrop.count} messages"))

    def login_failed(self, text: str, code: ResponseCode, last_words: bytes = b"") -> None:
        """No entry; ``text`` is for the client. ``last_words`` are said before as one more
        challenge, and whatever comes back gets the ``-ERR``."""
        self._decide(*_LOGINS)
        self._login.give_up()
        if last_words:
            self._refused = text, code
            self._say(sasl.challenge_line(last_words))
        else:
            self._fail_login(text, code)

    def _fail_login(self, text: str, code: ResponseCode) -> None:
        self._say(replies.err(text, code))
        self._login_failures += 1
        if self._max_login_failures and self._login_failures >= self._max_login_failures:
            self._close(Trigger.GIVEN_UP, "too many failed logins")

    def begin_message(self, octets: int) -> None:
        """The message can be read and has so many octets; for the reply's text."""
        event = self._undecided
        if not isinstance(event, MessageWanted) or self._stuffer is not None:
            raise LocalProtocolError(f"the current event is {event!r}")
        self._stuffer = DotStuffer()
        self._cutter = None if event.body_lines is None else TopCutter(event.body_lines)
        self._say(b"+OK\r\n" if self._cutter else b"+OK %d octets\r\n" % octets)

    def message_chunk(self, chunk: bytes) -> bool:
        """More of the message in wire format. False when the rest is not wanted (TOP)."""
        if self._stuffer is None:
            raise LocalProtocolError("no message has begun")
        if self._cutter is not None:
            chunk = self._cutter.feed(chunk)
        self._say(self._stuffer.feed(chunk))
        return self._cutter is None or not self._cutter.done

    def end_message(self) -> None:
        if self._stuffer is None:
            raise LocalProtocolError("no message has begun")
        self._say(self._stuffer.finish())
        self._stuffer = self._cutter = None
        self._decide(MessageWanted)

    def whole_message(self, content: bytes) -> None:
        """``begin_message``, ``message_chunk`` and ``end_message`` of one that is in memory."""
        event = self._decide(MessageWanted)
        assert isinstance(event, MessageWanted)
        stuffer = DotStuffer()
        head = b"+OK %d octets\r\n" % len(content)
        if event.body_lines is not None:
            head, content = b"+OK\r\n", TopCutter(event.body_lines).feed(content)
        text, end = stuffer.feed(content), stuffer.finish()
        self._output += (head, text, end)
        self._pending += len(head) + len(text) + len(end)

    def message_unavailable(self, text: str) -> None:
        """Instead of ``begin_message``: this one cannot be had just now."""
        if self._stuffer is not None:
            raise LocalProtocolError("the message has begun: only closing tells the truth now")
        self._decide(MessageWanted)
        self._say(replies.err(text, ResponseCode.SYS_TEMP))

    def updated(self, left: int) -> None:
        """The UPDATE state is done; ``left`` marked messages could not be removed."""
        self._decide(UpdateWanted)
        if left:
            # RFC 1939 section 6
            text = f"{left} deleted messages not removed"
            self._say(replies.err(text, ResponseCode.SYS_TEMP))
        else:
            self._say(replies.ok("Bye"))
        self._close(Trigger.UPDATED, "quit")

    def shut_down(self) -> None:
        """The server stops: take leave. Without effect while an event is under way, so ask
        again then."""
        is_idle = self._undecided is None and not self._ready and self._listing is None
        if is_idle and self._state is not State.CLOSED:
            self._say(replies.err("The server is shutting down", ResponseCode.SYS_TEMP))
            self._close(Trigger.GIVEN_UP, "server shuts down")


def _arguments(verb: Verb, rest: bytes) -> list[bytes]:
    if verb.arguments is None:
        return [rest]
    words = rest.rstrip(b" ")
    arguments = words.split(b" ") if words else []
    if len(arguments) not in verb.arguments or b"" in arguments:
        raise Refusal("Wrong number of arguments")
    return arguments


_ACTIONS: dict[bytes, Callable[[Pop3Engine, list[bytes]], None]] = {
    b"CAPA": Pop3Engine._capa,
    b"STLS": Pop3Engine._stls,
    b"AUTH": Pop3Engine._auth,
    b"USER": Pop3Engine._user,
    b"PASS": Pop3Engine._pass,
    b"APOP": Pop3Engine._apop,
    b"UTF8": Pop3Engine._utf8_mode,
    b"LANG": Pop3Engine._lang,
    b"STAT": Pop3Engine._stat,
    b"LIST": Pop3Engine._list,
    b"UIDL": Pop3Engine._uidl,
    b"RETR": Pop3Engine._retr,
    b"TOP": Pop3Engine._top,
    b"DELE": Pop3Engine._dele,
    b"RSET": Pop3Engine._rset,
    b"NOOP": Pop3Engine._noop,
    b"QUIT": Pop3Engine._quit,
}
