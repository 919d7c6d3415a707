"""The IMAP server as a machine: octets in, events and octets out.

Feed ``receive``, then call ``next_event`` until it answers with a ``Pause``; send what
``take_output`` has, whenever. An event that needs a decision stops the engine until the
decision's method was called (see ``events``): the commands of a client that pipelines are
carried out one after the other and answered in order, which settles the ambiguities of
RFC 9051 section 5.5 once and for all. Input that waits meanwhile is held: the shell watches
``held`` and stops reading.

CAPABILITY, STARTTLS, LOGIN, AUTHENTICATE and everything that is wrong is answered here; the
rest becomes an event. The engine never raises for anything that a client sends.
LocalProtocolError means that the shell called a method that the current event does not allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError
from mailframe.protocols import sasl
from mailframe.protocols.imap.commands import Idle, Logout
from mailframe.protocols.imap.conversation import NOTHING, Conversation
from mailframe.protocols.imap.events import (
    AppendBegins,
    AppendBroken,
    AppendEnds,
    Closing,
    CommandGiven,
    Event,
    IdentityProved,
    IdleEnds,
    MessageBegins,
    MessageEnds,
    PasswordOffered,
    Pause,
    ProofWrong,
    StartTls,
    Status,
    TextBegins,
    TextChunk,
    TextEnds,
    TokenOffered,
    UrlGiven,
    VerifierWanted,
)
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.protocols.imap.replies import untagged
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.protocols.imap.states import State

# A short command can have a long answer: whoever pipelines them must take the answers.
_MUCH_OUTPUT = 64 * 1024
# So many lines and literals are read for one event; then others have their turn.
_AT_ONCE = 100
_DEFAULTS = EngineLimits()
_LOGINS = (PasswordOffered, TokenOffered, VerifierWanted, IdentityProved, ProofWrong)
_ON_THE_WAY = (
    AppendBegins,
    MessageBegins,
    TextBegins,
    TextChunk,
    TextEnds,
    UrlGiven,
    MessageEnds,
)


class ImapEngine(Conversation):
    """``mechanisms`` is what the authenticator can do; what is offered depends on TLS too.

    ``new_nonce`` yields a fresh, unguessable nonce. ``powers``: see ``capabilities``; those of
    an account come with ``logged_in``. ``append_limit``: octets of a message, 0: any.
    """

    __slots__ = ()

    def __init__(
        self,
        hostname: str,
        mechanisms: frozenset[str],
        new_nonce: Callable[[], str],
        *,
        tls_available: bool = False,
        allow_plaintext: bool = False,
        channel_bindings: Mapping[str, bytes] | None = None,
        powers: frozenset[str] = frozenset(),
        limits: EngineLimits = _DEFAULTS,
        append_limit: int = 0,
    ) -> None:
        """``channel_bindings``: None without TLS, a mapping (even an empty one) within."""
        super().__init__(
            mechanisms,
            new_nonce,
            tls_available=tls_available,
            allow_plaintext=allow_plaintext,
            channel_bindings=channel_bindings,
            powers=powers,
            limits=limits,
            append_limit=append_limit,
        )
        self._say(untagged("OK", f"{hostname} IMAP server ready", self._capability_code()))

    # What the shell may look at

    @property
    def state(self) -> State:
        return self._state

    @property
    def held(self) -> int:
        """Octets of input that wait, for a decision or for output to be taken. The beginning
        of a command whose end has not come does not count: reading must go on for that."""
        waits = self._undecided is not None or self._ready or self._pending >= _MUCH_OUTPUT
        return len(self._input) if waits else 0

    @property
    def utf8(self) -> bool:
        """Names and strings are UTF-8, in both directions."""
        return self._utf8

    @property
    def enabled(self) -> frozenset[str]:
        """What ``enable`` was told, in upper case."""
        return self._enabled

    @property
    def idling(self) -> bool:
        """Between ``begin_idle`` and ``IdleEnds``."""
        return self._idling

    def capabilities(self) -> tuple[str, ...]:
        """What is offered now."""
        return self._capabilities()

    def take_output(self) -> bytes:
        output = b"".join(self._output)
        self._output.clear()
        self._pending = 0
        return output

    # Input

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        if self._state is not State.LOGOUT and not self._deaf:
            self._input.feed(data)

    def next_event(self) -> Event | Pause:
        read = 0
        while True:
            if self._undecided is not None:
                return Pause.DECISION
            if self._ready:
                break
            if self._state is State.LOGOUT:
                return Pause.CLOSED
            if self._pending >= _MUCH_OUTPUT or read >= _AT_ONCE:
                return Pause.OUTPUT
            read += 1
            if not self._read():
                return Pause.NEED_DATA
        event = self._ready.pop(0)
        if not isinstance(event, Closing):
            self._undecided = event
        return event

    # Answers

    def send(self, octets: bytes) -> None:
        """Untagged responses, complete lines. Silently nothing once it is over."""
        if self._state is not State.LOGOUT:
            self._say(octets)

    def finish(self, status: Status, text: str, code: str = "") -> None:
        """The tagged response of the command under way; ``code`` without brackets."""
        event = self._decide(CommandGiven, IdleEnds, AppendEnds, *_ON_THE_WAY)
        if isinstance(event, IdleEnds) and self._idle_fault is not None:
            fault, self._idle_fault = self._idle_fault, None
            status, text, code = fault.status, fault.text, fault.code
        append, self._append = self._append, None
        self._conclude(status, text, code)
        if append is not None:
            self._let_go(append.drop_rest())
        if isinstance(event, CommandGiven) and isinstance(event.command, Logout):
            self._close("logout")

    def proceed(self) -> None:
        """On with the APPEND."""
        self._decide(AppendBroken, *_ON_THE_WAY)

    def begin_idle(self) -> None:
        """The client may be told things from now on until it says DONE."""
        event = self._undecided
        if not isinstance(event, CommandGiven) or not isinstance(event.command, Idle):
            raise LocalProtocolError(f"the current event is {event!r}")
        self._undecided = None
        self._idling = True
        self._say(b"+ idling\r\n")

    def enable(self, names: Iterable[str]) -> None:
        """After ENABLE, or a command that enables by itself (RFC 7162 section 3.1)."""
        self._enabled |= frozenset(name.upper() for name in names)

    def folder_opened(self) -> None:
        """SELECT or EXAMINE has succeeded."""
        if self._state not in (State.AUTHENTICATED, State.SELECTED):
            raise LocalProtocolError(f"nothing is selected in the {self._state.value} state")
        self._state = State.SELECTED

    def folder_closed(self) -> None:
        """Nothing is selected any more."""
        if self._state is State.SELECTED:
            self._state = State.AUTHENTICATED

    def compressed(self) -> None:
        """What comes next is decompressed before it comes here."""
        self._compressed = True

    # Logging in

    def tls_started(self, channel_bindings: Mapping[str, bytes]) -> None:
        """The handshake is done. What the client said in clear is forgotten."""
        self._decide(StartTls)
        self._deaf = False
        self._be_secure(channel_bindings)

    def verifier(self, verifier: ScramVerifier) -> None:
        self._decide(VerifierWanted)
        try:
            self._answer(self._login.verifier(verifier))
        except BadCommand as refusal:
            self._refuse(refusal)

    def logged_in(self, powers: frozenset[str], text: str = "Logged in") -> None:
        """``powers``: of this account."""
        self._decide(PasswordOffered, TokenOffered, IdentityProved)
        self._powers = powers
        self._state = State.AUTHENTICATED
        self._conclude(Status.OK, text, self._capability_code())

    def login_failed(
        self, text: str, code: str = "AUTHENTICATIONFAILED", last_words: bytes = b""
    ) -> None:
        """No entry; ``text`` is for the client, ``code`` one of RFC 5530's. ``last_words`` are
        said before as one more challenge, and whatever comes back gets the NO."""
        self._decide(*_LOGINS)
        self._login.give_up()
        if last_words:
            self._refused = text, code
            self._say(sasl.challenge_line(last_words))
        else:
            self._fail_login(text, code)

    def unauthenticated(self) -> None:
        """UNAUTHENTICATE (RFC 8437 section 4): all is as after the greeting, but for TLS and
        compression. Call it before ``finish``."""
        self._state = State.NOT_AUTHENTICATED
        self._powers = self._first_powers
        self._enabled = NOTHING
        self._meet_anew()

    # The end

    def shut_down(self, text: str) -> None:
        """Take leave: the server stops, or the client said nothing for too long. Without effect
        while an event is under way, so ask again then."""
        if self._undecided is None and not self._ready and self._state is not State.LOGOUT:
            self._take_leave(text)

    def _decide(self, *kinds: type[Event]) -> Event:
        event = self._undecided
        if not isinstance(event, kinds):
            raise LocalProtocolError(f"the current event is {event!r}")
        self._undecided = None
        return event
