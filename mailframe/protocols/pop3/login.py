"""Logging in: USER and PASS, APOP, AUTH (RFC 1939 sections 5 and 7, RFC 5034).

Each step yields either octets to send or an event for the shell. Whether logging in is
allowed at all on this connection is the engine's to decide, before it comes here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols import sasl
from mailframe.protocols.pop3.events import (
    ApopOffered,
    IdentityProved,
    Login,
    PasswordOffered,
    ProofWrong,
    TokenOffered,
    VerifierWanted,
)
from mailframe.protocols.pop3.replies import Refusal, ok

Answer = bytes | Login

_DIGEST = re.compile(rb"[0-9a-f]{32}")


class LoginDialogue:
    """``mechanisms`` are those to be taken on this connection; ``new_nonce`` feeds SCRAM."""

    def __init__(
        self,
        mechanisms: frozenset[str],
        channel_bindings: Mapping[str, bytes],
        new_nonce: Callable[[], str],
        timestamp: bytes,
    ) -> None:
        self._mechanisms = mechanisms
        self._bindings = channel_bindings
        self._new_nonce = new_nonce
        self._timestamp = timestamp
        self._user: str | None = None
        self._exchange: sasl.Exchange | None = None

    @property
    def in_exchange(self) -> bool:
        """Whether the next line answers a challenge."""
        return self._exchange is not None

    def user(self, argument: bytes) -> Answer:
        self._user = None
        self._user = _login(argument)
        # RFC 1939 section 7 lets the server say yes to names that do not exist.
        return ok("Send the password")

    def password(self, argument: bytes) -> Answer:
        login, self._user = self._user, None
        if login is None:
            raise Refusal("PASS follows USER")
        if not argument:
            raise Refusal("The password is missing")
        return PasswordOffered(login, argument, "USER")

    def apop(self, argument: bytes) -> Answer:
        if not self._timestamp:
            raise Refusal("APOP is not available")
        # The name may hold spaces (a quoted local-part), the digest may not.
        name, _, digest = argument.rpartition(b" ")
        if not _DIGEST.fullmatch(digest.lower()):
            raise Refusal("The digest is malformed")
        return ApopOffered(_login(name), self._timestamp, digest.lower())

    def auth(self, name: bytes, initial: bytes | None) -> Answer:
        self._user = None
        mechanism = name.decode("ascii", "replace").upper()
        if mechanism not in self._mechanisms:
            raise Refusal("That authentication mechanism is not available")
        exchange = sasl.Exchange(mechanism, self._mechanisms, self._bindings, self._new_nonce())
        self._exchange = exchange
        return self._follow(lambda: exchange.begin(initial))

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
            raise Refusal(str(error)) from None
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


def _login(argument: bytes) -> str:
    """RFC 6856 section 2.2: UTF-8, by SASLprep."""
    try:
        return sasl.decode_login(argument)
    except RemoteProtocolError as error:
        raise Refusal(str(error).capitalize()) from None
