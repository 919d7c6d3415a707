"""Logging in: LOGIN and AUTHENTICATE (RFC 9051 sections 6.2.2 and 6.2.3, SASL-IR: RFC 4959).

Each step yields either octets to send or an event for the shell; BadCommand is what the tagged
response says. Whether logging in is allowed at all on this connection is the engine's to
decide, before it comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols import sasl
from mailframe.protocols.imap.events import (
    IdentityProved,
    Login,
    PasswordOffered,
    ProofWrong,
    TokenOffered,
    VerifierWanted,
)
from mailframe.protocols.imap.grammar import BadCommand, Refusal, Scanner

Answer = bytes | Login


class LoginDialogue:
    """``mechanisms`` are those to be taken on this connection; ``new_nonce`` feeds SCRAM."""

    __slots__ = ("_bindings", "_exchange", "_mechanisms", "_new_nonce")

    def __init__(
        self,
        mechanisms: frozenset[str],
        channel_bindings: Mapping[str, bytes],
        new_nonce: Callable[[], str],
    ) -> None:
        self._mechanisms = mechanisms
        self._bindings = channel_bindings
        self._new_nonce = new_nonce
        self._exchange: sasl.Exchange | None = None

    @property
    def in_exchange(self) -> bool:
        """Whether the next line answers a challenge."""
        return self._exchange is not None

    def log_in(self, octets: bytes) -> Answer:
        """``LOGIN name password``."""
        scanner = Scanner(octets)
        scanner.word()
        scanner.sp()
        # Not by the grammar, but clients quote UTF-8 here as they do elsewhere.
        name = scanner.astring_octets(lenient=True)
        scanner.sp()
        password = scanner.astring_octets(lenient=True)
        scanner.end()
        if not password:
            raise BadCommand("The password is missing")
        try:
            login = sasl.decode_login(name)
        except RemoteProtocolError as error:
            raise BadCommand(str(error).capitalize()) from None
        return PasswordOffered(login, password, "LOGIN")

    def authenticate(self, octets: bytes) -> Answer:
        """``AUTHENTICATE mechanism [initial-response]``."""
        words = octets.split(b" ")
        if len(words) not in (2, 3) or b"" in words:
            raise BadCommand("AUTHENTICATE takes a mechanism and perhaps a response")
        mechanism = words[1].decode("ascii", "replace").upper()
        if mechanism not in self._mechanisms:
            # RFC 9051 section 6.2.2
            raise Refusal("That authentication mechanism is not available")
        exchange = sasl.Exchange(mechanism, self._mechanisms, self._bindings, self._new_nonce())
        self._exchange = exchange
        return self._follow(lambda: exchange.begin(words[2] if len(words) > 2 else None))

    def answer(self, line: bytes) -> Answer:
        """A line of the client's within the exchange."""
        exchange = self._current()
        return self._follow(lambda: exchange.answer(line))

    def verifier(self, verifier: ScramVerifier) -> Answer:
        exchange = self._current()
        return self._follow(lambda: exchange.verifier(verifier))

    def give_up(self) -> None:
        """Forget an exchange, however far it has come."""
        self._exchange = None

    def _current(self) -> sasl.Exchange:
        if self._exchange is None:
            raise LocalProtocolError("there is no authentication exchange")
        return self._exchange

    def _follow(self, advance: Callable[[], sasl.Step]) -> Answer:
        mechanism = self._current().name
        try:
            step = advance()
        except RemoteProtocolError as error:
            self.give_up()
            # RFC 9051 section 6.2.2: "*" gives BAD, and so does what is no answer.
            raise BadCommand(str(error)) from None
        if isinstance(step, sasl.Challenge):
            return sasl.challenge_line(step.data)
        if isinstance(step, sasl.NeedVerifier):
            return VerifierWanted(step.login, mechanism)
        self.give_up()
        if isinstance(step, sasl.Rejected):
            return ProofWrong(step.login, mechanism, step.reason)
        if isinstance(step, sasl.CheckPassword):
            return PasswordOffered(step.login, step.password, mechanism)
        if isinstance(step, sasl.CheckToken):
            return TokenOffered(step.login, step.token, mechanism)
        return IdentityProved(step.login, mechanism)
