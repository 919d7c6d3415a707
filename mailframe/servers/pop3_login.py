"""From a login that the POP3 engine reports to an account, and from its failure to an ``-ERR``."""

from __future__ import annotations

import hashlib
import hmac

from twisted.cred.credentials import ICredentials, IUsernameHashedPassword, UsernamePassword
from zope.interface import implementer

from mailframe.core.session import Session
from mailframe.errors import LoginFailed
from mailframe.interfaces import BearerToken, IAuthenticator, IMailAccount, VerifiedIdentity
from mailframe.protocols.pop3 import (
    ApopOffered,
    IdentityProved,
    PasswordOffered,
    ProofWrong,
    ResponseCode,
    TokenOffered,
)
from mailframe.servers.login_failures import Why

Offer = PasswordOffered | ApopOffered | TokenOffered | IdentityProved
Attempt = Offer | ProofWrong


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


def _credentials(attempt: Offer) -> ICredentials:
    login = attempt.login.encode()
    if isinstance(attempt, PasswordOffered):
        return UsernamePassword(login, attempt.password)
    if isinstance(attempt, ApopOffered):
        return ApopDigest(login, attempt.timestamp, attempt.digest)
    if isinstance(attempt, TokenOffered):
        return BearerToken(login, attempt.token)
    return VerifiedIdentity(login)


CODES = {
    Why.WRONG: ResponseCode.AUTH,
    Why.IN_USE: ResponseCode.IN_USE,
    Why.TEMPORARY: ResponseCode.SYS_TEMP,
    Why.PERMANENT: ResponseCode.SYS_PERM,
    Why.OUR_BUG: ResponseCode.SYS_TEMP,
}
