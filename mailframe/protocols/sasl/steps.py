"""What a mechanism answers to each message, and the contracts of both sides.

A server mechanism is driven by ``step`` until it yields something other than a challenge. It
raises RemoteProtocolError for messages that break its grammar (SMTP 501, POP3 ``-ERR``) and
LocalProtocolError when it is driven past its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mailframe.core.scram import ScramVerifier
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.sasl.saslprep import SaslprepError, saslprep

# RFC 4616 section 2 wants at least 255 octets for each field; more than this only feeds hashes.
MAX_FIELD = 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this and feed the answer to ``step``; may be empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """The mechanism is done: have this password checked."""

    login: str
    """Prepared by SASLprep."""
    password: bytes = field(repr=False)
    """As it came: UTF-8 by RFC 4616, but hashes of other systems are of the octets."""
    authzid: str
    """Whom the client wants to act as; empty means the login itself. Never without a check:
    see ``acts_for_another``."""


@dataclass(frozen=True, slots=True)
class CheckToken:
    """The mechanism is done: have this access token checked. Where it is refused, the client is
    told so by one more challenge, ``token_refusal``."""

    login: str
    """Prepared by SASLprep; empty where the client leaves it to the token to say who it is. A
    token of somebody else than this is refused."""
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NeedVerifier:
    """Look up the login's verifier and hand it to ``ServerMechanism.verifier``."""

    login: str


@dataclass(frozen=True, slots=True)
class Proved:
    """The client has proved that it knows the password of ``login``."""

    login: str
    authzid: str
    final: bytes
    """Non-empty: send it as one last challenge, and expect an empty answer."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The proof is wrong. ``reason`` is for the journal, not for the peer."""

    login: str
    reason: str


Step = Challenge | CheckPassword | CheckToken | NeedVerifier | Proved | Rejected


def acts_for_another(step: CheckPassword | Proved) -> bool:
    """Whether the client asks for somebody else's identity, which no server here grants."""
    return step.authzid not in ("", step.login)


class ServerMechanism(Protocol):
    def step(self, response: bytes | None) -> Step:
        """Feed the decoded initial response (None: there was none), then each answer."""

    def verifier(self, verifier: ScramVerifier) -> Step:
        """The answer to NeedVerifier; LocalProtocolError at any other time."""


class ClientMechanism(Protocol):
    def initial(self) -> bytes | None:
        """The initial response; None where the server has to speak first. It may as well be
        sent as the answer to an empty first challenge."""

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a decoded challenge (or to data that came with success, whose answer
        is empty). Raises RemoteProtocolError for a server that lies or breaks the grammar."""

    def verify_done(self) -> None:
        """Call at success. Raises RemoteProtocolError when the server has not proved that it
        knows the user, though the mechanism demands it."""


def decode_login(octets: bytes) -> str:
    """UTF-8 and SASLprep; RemoteProtocolError for what can be no login."""
    try:
        login = saslprep(octets.decode("utf-8"))
    except (UnicodeDecodeError, SaslprepError):
        raise RemoteProtocolError("the login is not text that a login may be") from None
    if not login:
        raise RemoteProtocolError("the login is empty")
    return login
