"""From a login that the POP3 engine reports to an account, and from an error to an ``-ERR``."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from twisted.cred.credentials import ICredentials, IUsernameHashedPassword, UsernamePassword
from zope.interface import implementer

from mailframe.core.session import Session
from mailframe.errors import (
    INTERNAL_ERROR,
    Failure,
    LoginFailed,
    LoginThrottled,
    MailboxBusy,
    PermanentFailure,
)
from mailframe.interfaces import IAuthenticator, IMailAccount, VerifiedIdentity
from mailframe.protocols.pop3 import (
    ApopOffered,
    IdentityProved,
    PasswordOffered,
    ProofWrong,
    ResponseCode,
)

Attempt = PasswordOffered | ApopOffered | IdentityProved | ProofWrong


@implementer(IUsernameHashedPassword)
class ApopDigest:
    """What APOP sends (RFC 1939 section 7), for checkers that know the clear password."""

    def __init__(self, username: bytes, timestamp: bytes, digest: bytes) -> None:
        self.username = username
        self._timestamp = timestamp
        self._digest = digest

    def checkPassword(self, password: bytes) -> bool:
        secret = self._timestamp + password
        expected = hashlib.md5(secret, usedforsecurity=False).hexdigest().encode()
        return hmac.compare_digest(expected, self._digest)


async def authenticate(
    attempt: Attempt, authenticator: IAuthenticator, session: Session
) -> IMailAccount:
    """The account. Raises what ``IAuthenticator.login`` does."""
    if isinstance(attempt, ProofWrong):
        authenticator.note_failure(attempt.login, session)
        raise LoginFailed(attempt.reason)
    return await authenticator.login(_credentials(attempt), session)


def _credentials(attempt: PasswordOffered | ApopOffered | IdentityProved) -> ICredentials:
    login = attempt.login.encode()
    if isinstance(attempt, PasswordOffered):
        return UsernamePassword(login, attempt.password)
    if isinstance(attempt, ApopOffered):
        return ApopDigest(login, attempt.timestamp, attempt.digest)
    return VerifiedIdentity(login)


@dataclass(frozen=True, slots=True)
class NoEntry:
    """What a failed login means: for the client, and for the journal."""

    text: str
    code: ResponseCode
    reason: str
    expected: bool = True
    """False: our own fault, to be logged with its traceback."""


def no_entry(error: Exception) -> NoEntry:
    if isinstance(error, LoginFailed):
        return NoEntry("Wrong login or password", ResponseCode.AUTH, error.detail or "wrong")
    if isinstance(error, LoginThrottled):
        return NoEntry(error.reply.text, ResponseCode.SYS_TEMP, "throttled")
    if isinstance(error, MailboxBusy):
        text = "Another session has this mailbox open"
        return NoEntry(text, ResponseCode.IN_USE, "mailbox in use")
    if isinstance(error, Failure):
        permanent = isinstance(error, PermanentFailure)
        code = ResponseCode.SYS_PERM if permanent else ResponseCode.SYS_TEMP
        return NoEntry(_one_line(error.reply.text), code, str(error))
    return NoEntry(INTERNAL_ERROR.text, ResponseCode.SYS_TEMP, "internal error", expected=False)


def _one_line(text: str) -> str:
    """A Reply may have several lines; a POP3 reply has one."""
    return text.replace("\n", " ")
