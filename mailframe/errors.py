"""Every error that crosses a room's border.

TransientFailure, PermanentFailure
    Carry the ``Reply`` for the peer. Raised by resolvers, policies, realms, spools.
RemoteProtocolError, LocalProtocolError
    Raised by engines: the peer broke the protocol, or our own code misused the engine.
ConfigError
    Stops the start with exit status 78.

Anything else that escapes is our bug, and our bug is never the sender's bounce: shells turn
it into ``451 4.3.0`` (POP3 ``-ERR [SYS/TEMP]``) and log the traceback under the id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailframe.core import status
from mailframe.core.folders import FolderReason
from mailframe.core.reply import Reply

INTERNAL_ERROR = Reply(451, status.SYSTEM_OTHER, "Internal error, please try again later")
"""What a peer hears of our own bugs, whatever they are."""


class MailframeError(Exception):
    """Root of all of ours; raise one that is derived from it."""


class Failure(MailframeError):
    """Something could not be done for a peer; ``reply`` is what it is told.

    ``detail`` is for the journal only: texts for peers stay generic.
    """

    def __init__(self, reply: Reply, detail: str = "") -> None:
        super().__init__(f"{reply} ({detail})" if detail else str(reply))
        self.reply = reply
        """For the peer."""
        self.detail = detail
        """For the journal; empty for nothing more to say."""


class TransientFailure(Failure):
    """4yz: may succeed later. ``TransientFailure(Reply(451, Status(4, 3), "Try again later"), "ldap
    is down")``."""


class OutcomeUnknown(TransientFailure):
    """It failed, as far as anybody knows, and may have happened nevertheless."""


class PermanentFailure(Failure):
    """5yz: will not succeed. What is refused by mistake so is lost to its sender: where in doubt,
    raise TransientFailure."""


class LoginFailed(PermanentFailure):
    """The credentials are wrong. Says the same whether or not the user exists."""

    def __init__(self, detail: str = "") -> None:
        reply = Reply(535, status.BAD_CREDENTIALS, "Authentication credentials invalid")
        super().__init__(reply, detail)


class LoginThrottled(TransientFailure):
    """Too many failures from this address or for this account; nothing was checked."""

    def __init__(self, detail: str = "") -> None:
        reply = Reply(454, status.SECURITY_OTHER, "Too many failed logins, try again later")
        super().__init__(reply, detail)


class MailboxBusy(MailframeError):
    """Another session holds the exclusive lock (POP3: ``-ERR [IN-USE]``)."""


class FolderRefused(MailframeError):
    """A folder operation cannot be done, whoever asks again (IMAP: ``NO [reason]``).

    The text is for the client: generic, without paths. ``code``: a response code that says more
    than the reason's own (``METADATA TOOMANY``)."""

    def __init__(self, reason: FolderReason, text: str, code: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        """Why, for programs."""
        self.code = code or reason.value
        """What stands in the brackets of ``NO [...]``."""


class MessageGone(MailframeError):
    """The message was there when the mailbox was listed and has vanished or is unreadable."""


class ProtocolError(MailframeError):
    """Root of what engines raise."""


class LocalProtocolError(ProtocolError):
    """Our own code called the engine in a state that does not allow the call."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol. ``reply``, where given, is what it should be told."""

    def __init__(self, message: str, reply: Reply | None = None) -> None:
        super().__init__(message)
        self.reply = reply
        """None: there is nothing to say to it."""


class DnsError(MailframeError):
    """Root of resolver errors; an empty answer for a type is not an error."""


class DnsTemporary(DnsError):
    """SERVFAIL, timeout, no server: ask again later."""


class NoSuchDomain(DnsError):
    """NXDOMAIN: the name does not exist for any type."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong, and where."""

    path: str
    """File the setting was read from, or ``environment``."""
    line: int
    """1-based; 0 where a line makes no sense (environment, missing key)."""
    key: str
    """Dotted path, ``listen.pop3.endpoint``."""
    message: str
    """What is wrong, with a ``did you mean`` hint where one helps."""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}  {self.key}  {self.message}"


class ConfigError(MailframeError):
    """The configuration cannot be used. Holds every problem, not only the first."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        """All of them."""
