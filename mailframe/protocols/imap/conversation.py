"""The engine's half that looks towards the client: reading commands, and what is said to them.

``engine`` has the half that looks towards the shell. One step of reading at a time; which one
it is depends on where the client is: within a message of an APPEND, within the literal of a
command, in IDLE, answering a SASL challenge, or at the beginning of a command.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from mailframe.protocols import sasl
from mailframe.protocols.imap import capabilities as caps
from mailframe.protocols.imap.appending import Appending
from mailframe.protocols.imap.commands import Compress, Logout
from mailframe.protocols.imap.events import (
    AppendBroken,
    Closing,
    CommandGiven,
    Event,
    IdleEnds,
    StartTls,
    Status,
)
from mailframe.protocols.imap.grammar import BadCommand, Refusal
from mailframe.protocols.imap.input import (
    Assembly,
    CommandInput,
    Line,
    Literal,
    SpoiltLine,
    tag_of,
)
from mailframe.protocols.imap.login import Answer, LoginDialogue
from mailframe.protocols.imap.parse import parse_command
from mailframe.protocols.imap.replies import tagged, untagged
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.protocols.imap.states import State, check_verb
from mailframe.protocols.imap.uid_only import uses_numbers

# RFC 7888 section 5
_LITERAL_MINUS = 4096
_CONTINUE = b"+ OK\r\n"
NOTHING: frozenset[str] = frozenset()
"""One for all conversations, of which there may be thousands that idle."""


@functools.lru_cache(maxsize=64)
def _offered(available: frozenset[str], is_bound: bool) -> tuple[frozenset[str], tuple[str, ...]]:
    """The mechanisms, and in the order in which clients should think of them; ``is_bound``: to
    TLS, so that they can be bound to it."""
    offered = available & sasl.SERVER_MECHANISMS
    if not is_bound:
        offered -= {"SCRAM-SHA-256-PLUS"}
    return offered, tuple(name for name in sasl.SERVER_PREFERENCE if name in offered)


class Conversation:
    __slots__ = (
        "_allow_plaintext",
        "_append",
        "_append_limit",
        "_assembly",
        "_available",
        "_bindings",
        "_compressed",
        "_deaf",
        "_enabled",
        "_errors",
        "_first_powers",
        "_idle_fault",
        "_idling",
        "_input",
        "_limits",
        "_login",
        "_login_failures",
        "_mechanisms",
        "_new_nonce",
        "_output",
        "_pending",
        "_powers",
        "_ready",
        "_refused",
        "_secure",
        "_state",
        "_tag",
        "_tls_available",
        "_undecided",
    )

    def __init__(
        self,
        mechanisms: frozenset[str],
        new_nonce: Callable[[], str],
        *,
        tls_available: bool,
        allow_plaintext: bool,
        channel_bindings: Mapping[str, bytes] | None,
        powers: frozenset[str],
        limits: EngineLimits,
        append_limit: int,
    ) -> None:
        self._available = mechanisms
        self._new_nonce = new_nonce
        self._tls_available = tls_available
        self._allow_plaintext = allow_plaintext
        self._powers = self._first_powers = powers
        self._limits = limits
        self._append_limit = append_limit
        self._state = State.NOT_AUTHENTICATED
        self._enabled = NOTHING
        self._compressed = False
        self._errors = 0
        self._login_failures = 0
        self._refused: tuple[str, str] | None = None
        self._input = CommandInput()
        self._deaf = False
        self._output: list[bytes] = []
        self._pending = 0
        self._ready: list[Event] = []  # a deque that is empty takes 700 octets
        self._undecided: Event | None = None
        self._tag = ""
        self._assembly: Assembly | None = None
        self._append: Appending | None = None
        self._idling = False
        self._idle_fault: BadCommand | None = None
        self._be_secure(channel_bindings)

    # What is offered

    def _be_secure(self, channel_bindings: Mapping[str, bytes] | None) -> None:
        """None: there is no TLS."""
        self._secure = channel_bindings is not None
        self._bindings = channel_bindings or {}
        self._meet_anew()

    def _meet_anew(self) -> None:
        available = self._available if self._may_log_in else NOTHING
        offered, self._mechanisms = _offered(available, bool(self._bindings))
        self._login = LoginDialogue(offered, self._bindings, self._new_nonce)

    @property
    def _may_log_in(self) -> bool:
        return self._secure or self._allow_plaintext

    @property
    def _takes_passwords(self) -> bool:
        return self._may_log_in and bool(self._available & {"PLAIN", "LOGIN"})

    @property
    def _utf8(self) -> bool:
        # RFC 6855 section 3; RFC 9051 section 5.1
        return not self._enabled.isdisjoint(("UTF8=ACCEPT", "IMAP4REV2"))

    def _capabilities(self) -> tuple[str, ...]:
        return caps.capabilities(
            caps.Offer(
                state=self._state,
                start_tls=self._tls_available and not self._secure,
                password=self._takes_passwords,
                mechanisms=self._mechanisms,
                powers=self._powers,
                compressed=self._compressed,
                literal_minus=self._limits.literal_minus,
                append_limit=self._append_limit,
                message_limit=self._limits.messages,
            )
        )

    def _capability_code(self) -> str:
        return f"CAPABILITY {' '.join(self._capabilities())}"

    # Saying

    def _say(self, octets: bytes) -> None:
        self._output.append(octets)
        self._pending += len(octets)

    def _conclude(self, status: Status, text: str, code: str = "") -> None:
        """The tagged response of the command under way. Too many BAD ones end it all."""
        self._say(tagged(self._tag, status, text, code))
        self._tag = ""
        if status is not Status.BAD:
            # In a row: a client that lives for weeks may err now and then.
            self._errors = 0
            return
        self._errors += 1
        if self._limits.errors and self._errors >= self._limits.errors:
            self._take_leave("Too many bad commands")

    def _refuse(self, refusal: BadCommand, literal: Literal | None = None) -> None:
        """``literal``: what was announced and will not be read."""
        self._assembly = None
        self._conclude(refusal.status, refusal.text, refusal.code)
        self._let_go(literal)

    def _let_go(self, literal: Literal | None) -> None:
        """RFC 7888 section 4: a literal that comes unasked is thrown away, or the connection
        is; the choice is by its size."""
        longest = max(self._limits.discarded, self._append_limit)
        if literal is None or literal.synchronizing or literal.octets <= longest:
            self._input.drop_literal(literal)
        elif self._state is not State.LOGOUT:
            self._take_leave("A literal of that size cannot even be thrown away")

    def _take_leave(self, text: str) -> None:
        self._say(untagged("BYE", text))
        self._close(text)

    def _close(self, reason: str) -> None:
        self._state = State.LOGOUT
        self._input.clear()
        self._append = self._assembly = None
        self._idling = False
        self._ready.append(Closing(reason))

    # Reading, a step at a time: False means that more input is needed

    def _read(self) -> bool:
        if self._append is not None:
            return self._read_message(self._append)
        if self._assembly is not None and self._assembly.literal is not None:
            return self._read_literal(self._assembly, self._assembly.literal)
        line = self._input.next_line(self._line_limit())
        if line is None:
            return False
        try:
            self._hear(line)
        except BadCommand as refusal:
            self._refuse(refusal, line.literal if isinstance(line, Line) else None)
        return True

    def _line_limit(self) -> int:
        limits = self._limits
        if self._state is State.NOT_AUTHENTICATED:
            return limits.line_before_login
        if self._assembly is None:
            return limits.line
        return min(limits.line, limits.command - len(self._assembly.octets))

    def _hear(self, line: Line | SpoiltLine) -> None:
        if self._idling:
            self._end_idle(line)
        elif self._refused is not None:
            # RFC 7628 section 3.2.3: a refused token fails at the client's next word.
            (text, code), self._refused = self._refused, None
            self._fail_login(text, code)
        elif self._login.in_exchange:
            self._hear_response(line)
        elif isinstance(line, SpoiltLine):
            self._tag = self._tag or tag_of(line.beginning)
            raise BadCommand(line.fault.value)
        elif self._assembly is not None:
            self._continue(self._assembly, line)
        else:
            self._begin(line)

    def _fail_login(self, text: str, code: str) -> None:
        self._conclude(Status.NO, text, code)
        self._login_failures += 1
        if self._limits.login_failures and self._login_failures >= self._limits.login_failures:
            self._take_leave("Too many failed logins")

    def _end_idle(self, line: Line | SpoiltLine) -> None:
        self._idling = False
        # RFC 9051 section 6.3.13
        if isinstance(line, SpoiltLine) or line.octets.upper() != b"DONE":
            self._idle_fault = BadCommand("DONE ends IDLE, and nothing else does")
        self._ready.append(IdleEnds(self._tag))
        if isinstance(line, Line):
            self._let_go(line.literal)

    def _hear_response(self, line: Line | SpoiltLine) -> None:
        if isinstance(line, SpoiltLine):
            self._login.give_up()
            raise BadCommand(line.fault.value)
        self._answer(self._login.answer(line.octets))

    def _begin(self, line: Line) -> None:
        self._tag = tag_of(line.octets)
        if not self._tag:
            raise BadCommand("A command begins with a tag")
        rest = line.octets[len(self._tag) + 1 :]
        words = rest.upper().split(b" ", 2)
        check_verb(words[0], self._state, self._powers)
        if words[0] in (b"APPEND", b"REPLACE") or words[:2] == [b"UID", b"REPLACE"]:
            self._append = Appending(
                self._tag, line, len(self._tag) + 1, self._input, self._limits,
                append_limit=self._append_limit, uid_only="UIDONLY" in self._enabled,
                utf8=self._utf8,
            )  # fmt: skip
            return
        self._assembly = Assembly(words[0], bytearray())
        self._continue(self._assembly, Line(rest, line.literal))

    def _continue(self, assembly: Assembly, line: Line) -> None:
        assembly.octets += line.octets
        literal = line.literal
        if literal is None:
            self._assembly = None
            self._obey(assembly.verb, bytes(assembly.octets))
            return
        self._check_literal(literal, len(assembly.octets))
        assembly.octets += b"\r\n"
        assembly.literal = literal
        if literal.synchronizing:
            self._say(_CONTINUE)

    def _check_literal(self, literal: Literal, before: int) -> None:
        limits = self._limits
        if self._state is State.NOT_AUTHENTICATED:
            fits = literal.octets <= limits.literal_before_login
            fits = fits and before + literal.octets <= limits.line_before_login
        else:
            fits = before + literal.octets <= limits.command
        if not fits:
            raise BadCommand("The literal is too long", "TOOBIG")
        if limits.literal_minus and not literal.synchronizing and literal.octets > _LITERAL_MINUS:
            raise BadCommand("Wait for the go-ahead with a literal of that size", "TOOBIG")

    def _read_literal(self, assembly: Assembly, literal: Literal) -> bool:
        octets = self._input.take_all(literal.octets)
        if octets is None:
            return False
        assembly.octets += octets
        assembly.literal = None
        # RFC 9051 section 9, CHAR8; RFC 3516 section 4.1
        if not literal.binary and b"\0" in octets:
            self._input.drop_line()
            self._refuse(BadCommand("NUL is allowed in a literal8 only"))
        return True

    def _read_message(self, append: Appending) -> bool:
        try:
            step = next(append.steps)
        except BadCommand as refusal:
            self._break_off(append, refusal)
            return True
        if step is None:
            return False
        if isinstance(step, bytes):
            self._say(step)
        else:
            self._ready.append(step)
        return True

    def _break_off(self, append: Appending, refusal: BadCommand) -> None:
        self._append = None
        if append.begun:
            self._ready.append(AppendBroken())
        self._refuse(refusal, append.drop_rest())

    # Commands

    def _obey(self, verb: bytes, octets: bytes) -> None:
        action = _ACTIONS.get(verb)
        if action is not None:
            action(self, octets)
        else:
            self._pass_on(octets)

    def _pass_on(self, octets: bytes) -> None:
        one_charset = "UTF8=ACCEPT" in self._enabled
        _, command = parse_command(octets, utf8=self._utf8, charsets=not one_charset)
        if "UIDONLY" in self._enabled and uses_numbers(command):
            # RFC 9586 section 3
            raise BadCommand("Message numbers are not used here", "UIDREQUIRED")
        if isinstance(command, Compress) and self._compressed:
            # RFC 4978 section 3
            raise Refusal("Compressed already", "COMPRESSIONACTIVE")
        if isinstance(command, Logout):
            self._say(untagged("BYE", "Logging out"))
        self._ready.append(CommandGiven(self._tag, command))

    def _capability(self, octets: bytes) -> None:
        _alone(octets)
        self._say(f"* {self._capability_code()}\r\n".encode())
        self._conclude(Status.OK, "Capabilities listed")

    def _start_tls(self, octets: bytes) -> None:
        _alone(octets)
        if self._secure:
            raise BadCommand("TLS is active already")
        if not self._tls_available:
            raise BadCommand("TLS is not available")
        self._conclude(Status.OK, "Begin the TLS negotiation")
        # RFC 9051 section 11.1, CVE-2011-0411: nothing that came in clear is heard any more.
        self._input.clear()
        self._deaf = True
        self._ready.append(StartTls())

    def _log_in(self, octets: bytes) -> None:
        self._check_may_log_in(self._takes_passwords)
        self._answer(self._login.log_in(octets))

    def _authenticate(self, octets: bytes) -> None:
        self._check_may_log_in(bool(self._mechanisms))
        self._answer(self._login.authenticate(octets))

    def _check_may_log_in(self, possible: bool) -> None:
        if not self._may_log_in:
            # RFC 5530 section 3
            raise Refusal("Use STARTTLS first", "PRIVACYREQUIRED")
        if not possible:
            raise Refusal("That way of logging in is not available")

    def _answer(self, answer: Answer) -> None:
        if isinstance(answer, bytes):
            self._say(answer)
        else:
            self._ready.append(answer)


def _alone(octets: bytes) -> None:
    if b" " in octets:
        raise BadCommand("That command has no arguments")


_ACTIONS: dict[bytes, Callable[[Conversation, bytes], None]] = {
    b"CAPABILITY": Conversation._capability,
    b"STARTTLS": Conversation._start_tls,
    b"LOGIN": Conversation._log_in,
    b"AUTHENTICATE": Conversation._authenticate,
}
