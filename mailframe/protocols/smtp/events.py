"""What the server engine tells its shell, and what it asks.

A decision stops the engine until it was answered with ``send`` (or ``challenge``, or
``proceed``, as its docstring says). Everything else is only told.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply


class Pause(enum.Enum):
    """Why there is no event."""

    NEED_DATA = "need data"
    PAUSED = "paused"
    """A decision is open, or the connection is over."""
    ENOUGH = "enough"
    """Much was answered without any: send that, let others have their turn, then ask again."""


NEED_DATA = Pause.NEED_DATA
PAUSED = Pause.PAUSED
ENOUGH = Pause.ENOUGH


@dataclass(frozen=True, slots=True)
class Hello:
    """Decision: EHLO, HELO or LHLO. A positive reply gets the extensions added."""

    verb: str
    name: str


@dataclass(frozen=True, slots=True)
class AuthStart:
    """Decision: ``challenge`` to go on, ``send`` to end: 235 means logged in."""

    mechanism: str
    initial: bytes | None
    """Decoded; None when the client sent none, which an empty one is not."""


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """Decision, as AuthStart: the answer to a challenge, decoded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AuthCancelled:
    """Told: the client gave up or wrote nonsense, and was answered."""


@dataclass(frozen=True, slots=True)
class MailFrom:
    """Decision: a positive reply starts the transaction."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RcptTo:
    """Decision: a positive reply adds one to the recipients accepted."""

    recipient: Recipient


@dataclass(frozen=True, slots=True)
class BodyStart:
    """Decision: ``proceed`` to take the message, or ``send`` a refusal."""


@dataclass(frozen=True, slots=True)
class BodyChunk:
    """Told: octets of the message, dots unstuffed. ``fail_body`` may stop their coming."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """Decision: the whole message was handed over. The reply ends the transaction."""

    size: int


@dataclass(frozen=True, slots=True)
class BodyFailed:
    """Decision: it was read to its end but cannot be taken; ``reply`` says why.

    The shell gives up what it holds and sends the reply.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class Verify:
    """Decision: VRFY, or EXPN where ``expand``."""

    text: str
    address: Address | None
    """Without a domain where the client named only a local part; None if it named neither."""
    expand: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """Decision: after a 220 the shell starts TLS and then calls ``tls_started``."""


@dataclass(frozen=True, slots=True)
class TransactionDropped:
    """Told: RSET, a new HELO: the transaction so far is void."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Told, for the journal: the engine itself refused a command."""

    verb: str
    """Empty where no command could be made out."""
    reply: Reply


@dataclass(frozen=True, slots=True)
class Close:
    """Told: flush and close the connection. Nothing follows."""

    reason: str


Decision = (
    Hello
    | AuthStart
    | AuthResponse
    | MailFrom
    | RcptTo
    | BodyStart
    | BodyEnd
    | BodyFailed
    | Verify
    | StartTls
)
Event = Decision | AuthCancelled | BodyChunk | TransactionDropped | Rejected | Close
