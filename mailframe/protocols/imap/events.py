"""What the IMAP engine asks of its shell, one event at a time.

An event stops the engine until it was answered, by the method of ``ImapEngine`` that its
docstring names; that keeps replies in the order of commands however much is pipelined.
Untagged responses may be sent at any time between.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from mailframe.protocols.imap.commands import AppendOptions, Command, Replaces


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """Carry it out, then ``finish(status, text, code)``. For an ``Idle`` call ``begin_idle``
    first and go on drawing: ``IdleEnds`` follows. For ``Logout`` the engine has said BYE."""

    tag: str
    command: Command


@dataclass(frozen=True, slots=True)
class IdleEnds:
    """The client said DONE: ``finish``."""

    tag: str


# ---- getting in


@dataclass(frozen=True, slots=True)
class StartTls:
    """The OK has been written. Shake hands, then ``tls_started``."""


@dataclass(frozen=True, slots=True)
class PasswordOffered:
    """Answer with ``logged_in`` or ``login_failed``; so with the next three."""

    login: str
    password: bytes = field(repr=False)
    mechanism: str
    """``LOGIN`` for the command of that name, else the SASL mechanism."""


@dataclass(frozen=True, slots=True)
class TokenOffered:
    login: str
    """Empty: whose the token is."""
    token: str = field(repr=False)
    mechanism: str


@dataclass(frozen=True, slots=True)
class IdentityProved:
    login: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class ProofWrong:
    """Only ``login_failed`` makes sense."""

    login: str
    mechanism: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerifierWanted:
    """Answer with ``verifier`` or ``login_failed``."""

    login: str
    mechanism: str


# ---- APPEND and REPLACE
#
# AppendBegins (MessageBegins (TextBegins TextChunk* TextEnds | UrlGiven)+ MessageEnds)+
# AppendEnds. At any of them the shell may ``finish`` with NO: what else belongs to the command
# is read and thrown away, or never asked for, and no further event of it comes. A fault of the
# client's within it gives AppendBroken instead of what was to come; so does nothing else.


@dataclass(frozen=True, slots=True)
class AppendBegins:
    """``proceed``, or ``finish``."""

    tag: str
    mailbox: str
    replaces: Replaces | None = None


@dataclass(frozen=True, slots=True)
class MessageBegins:
    """``proceed``, or ``finish``."""

    options: AppendOptions
    octets: int | None
    """None for a CATENATE, whose size only its parts tell."""
    binary: bool = False
    """A literal8: it may hold NUL (RFC 3516)."""
    utf8: bool = False
    """``UTF8 (~{n})`` of RFC 6855."""


@dataclass(frozen=True, slots=True)
class TextBegins:
    """So many octets want to come: ``proceed`` lets them, ``finish`` does not."""

    octets: int


@dataclass(frozen=True, slots=True)
class TextChunk:
    """``proceed`` when it is stored."""

    data: bytes


@dataclass(frozen=True, slots=True)
class TextEnds:
    """``proceed``."""


@dataclass(frozen=True, slots=True)
class UrlGiven:
    """CATENATE: the octets that this URL names come here. ``proceed``, or ``finish``
    (BADURL)."""

    url: str


@dataclass(frozen=True, slots=True)
class MessageEnds:
    """``proceed``."""


@dataclass(frozen=True, slots=True)
class AppendEnds:
    """All of it is there: commit, then ``finish``."""


@dataclass(frozen=True, slots=True)
class AppendBroken:
    """The client broke the command off, got it wrong or sent too much; BAD or NO has been
    said. Forget what came, then ``proceed``."""


# ---- the end


@dataclass(frozen=True, slots=True)
class Closing:
    """Everything was said: send what is left and hang up. Nothing is to be answered."""

    reason: str


class Status(enum.Enum):
    """How a command ended: the word of its tagged response (RFC 9051 section 7.1)."""

    OK = "OK"
    NO = "NO"
    BAD = "BAD"


class Pause(enum.Enum):
    """Instead of an event: nothing can be done now."""

    NEED_DATA = "need data"
    DECISION = "an event waits for its answer"
    OUTPUT = "much was read, or much output waits: send it first"
    CLOSED = "closed"


Login = PasswordOffered | TokenOffered | IdentityProved | ProofWrong | VerifierWanted
Appending = (
    AppendBegins
    | MessageBegins
    | TextBegins
    | TextChunk
    | TextEnds
    | UrlGiven
    | MessageEnds
    | AppendEnds
    | AppendBroken
)
Event = CommandGiven | IdleEnds | StartTls | Login | Appending | Closing
