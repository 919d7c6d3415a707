"""What the engine asks of the shell, and what it expects in return.

Every event but ``Closing`` stops the engine (``Pause.DECISION``) until the named method is
called.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Pause(enum.Enum):
    """Why ``next_event`` has no event."""

    NEED_DATA = "feed more input"
    DECISION = "the last event waits for its decision"
    OUTPUT = "much was answered: take it, and come again when the client has taken it too"
    CLOSED = "it is over"


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send the pending output, do the handshake, then call ``tls_started``."""


@dataclass(frozen=True, slots=True)
class PasswordOffered:
    """By USER and PASS, or AUTH. Check it, then call ``logged_in`` or ``login_failed``."""

    login: str
    password: bytes = field(repr=False)
    mechanism: str
    """``USER``, ``PLAIN`` or ``LOGIN``, for the journal."""


@dataclass(frozen=True, slots=True)
class ApopOffered:
    """``digest`` claims to be the hexadecimal MD5 of ``timestamp`` and the password (RFC 1939
    section 7). Check it, then call ``logged_in`` or ``login_failed``."""

    login: str
    timestamp: bytes
    digest: bytes
    mechanism: str = "APOP"


@dataclass(frozen=True, slots=True)
class TokenOffered:
    """Check the access token, then call ``logged_in`` or ``login_failed``."""

    login: str
    """Empty: whose the token is."""
    token: str = field(repr=False)
    mechanism: str


@dataclass(frozen=True, slots=True)
class VerifierWanted:
    """Look up the SCRAM verifier, then call ``verifier`` (or ``login_failed``)."""

    login: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class IdentityProved:
    """The mechanism has proved the login: call ``logged_in`` or ``login_failed``."""

    login: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class ProofWrong:
    """The mechanism has found the proof wrong by itself: count it, call ``login_failed``."""

    login: str
    mechanism: str
    reason: str
    """For the journal."""


@dataclass(frozen=True, slots=True)
class MessageWanted:
    """RETR or TOP: call ``begin_message``, ``message_chunk`` as often as it takes and
    ``end_message``; or ``whole_message``, or ``message_unavailable``, instead of all of these."""

    number: int
    uid: str
    body_lines: int | None
    """None for RETR."""


@dataclass(frozen=True, slots=True)
class UpdateWanted:
    """QUIT: remove these for good, release the maildrop, then call ``updated``."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """Send the pending output and close the connection. Always the last event."""

    reason: str
    """For the journal: ``quit``, or what the engine had enough of."""


Login = PasswordOffered | ApopOffered | TokenOffered | VerifierWanted | IdentityProved | ProofWrong
Event = StartTls | Login | MessageWanted | UpdateWanted | Closing
