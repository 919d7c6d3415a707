"""The one door for logins (``IAuthenticator``), the same object behind SMTP, POP3 and IMAP.

Asks the throttle, then the checkers through a Portal, then the realm for the avatar. Whoever
called notes the outcome in the journal: only the server knows which mechanism it was.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials, IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import LoginFailed as CredLoginFailed
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailframe.accounts.checker_chain import CheckerChain
from mailframe.accounts.logged_in import with_logout
from mailframe.accounts.names import login_key
from mailframe.accounts.passwords import SCRAM_ITERATIONS, SCRAM_SALT
from mailframe.accounts.throttle import LoginThrottle
from mailframe.core.scram import ScramVerifier
from mailframe.core.session import Session
from mailframe.errors import LoginFailed
from mailframe.interfaces import (
    IAuthenticator,
    IBearerToken,
    IMailAccount,
    IScramVerifiers,
    ITokenTerms,
    TokenTerms,
)
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.login_client import note_client

_LONGEST_LOGIN = 320  # octets counted by the throttle: no address is longer


@implementer(IAuthenticator)
class Authenticator:
    """
    checkers
        In the order they are asked.
    default_domain
        What a bare login name is taken to mean where failures are counted; the checkers
        have their own copy of it.
    secret
        32 octets that outlive the process (``Directory.secret``): from them come the SCRAM
        verifiers of users who do not exist.
    """

    def __init__(
        self,
        realm: IRealm,
        checkers: Sequence[ICredentialsChecker],
        throttle: LoginThrottle,
        *,
        secret: bytes,
        default_domain: str = "",
    ) -> None:
        chain = CheckerChain(checkers)
        self._portal = Portal(realm, [chain])
        self._scram = [checker for checker in checkers if IScramVerifiers.providedBy(checker)]
        self._throttle = throttle
        self._secret = secret
        self._default_domain = default_domain
        self.mechanisms = _mechanisms(checkers)
        self.token_terms = _token_terms(checkers)

    def login(self, credentials: ICredentials, session: Session) -> Deferred[IMailAccount]:
        return as_deferred(self._login(credentials, session))

    def scram_verifier(self, login: str, session: Session) -> Deferred[ScramVerifier]:
        return as_deferred(self._scram_verifier(login, session))

    def note_failure(self, login: str, session: Session) -> None:
        self._throttle.failed(session.peer_ip, self._counted(login))

    async def _login(self, credentials: Any, session: Session) -> IMailAccount:
        note_client(session)
        counted = self._counted(credentials.username) or _of_nobody(credentials)
        self._throttle.check(session.peer_ip, counted)
        try:
            _, avatar, logout = await self._portal.login(credentials, session, IMailAccount)
        except (LoginFailed, CredLoginFailed) as error:
            self._throttle.failed(session.peer_ip, counted)
            if isinstance(error, LoginFailed):
                raise
            raise LoginFailed(str(error) or type(error).__name__) from error
        self._throttle.succeeded(session.peer_ip, counted)
        return with_logout(avatar, logout)

    async def _scram_verifier(self, login: str, session: Session) -> ScramVerifier:
        counted = self._counted(login)
        self._throttle.check(session.peer_ip, counted)
        made_up = self._made_up(counted)
        for checker in self._scram:
            verifier: ScramVerifier | None = await result_of(checker.scram_verifier(login))
            if verifier is not None:
                return verifier
        return made_up

    def _made_up(self, name: str) -> ScramVerifier:
        """The same each time for the same name, as a real user's is."""
        seed = hmac.digest(self._secret, name.encode(), "sha512")
        keys = hmac.digest(self._secret, b"keys of " + name.encode(), "sha512")
        return ScramVerifier(seed[:SCRAM_SALT], SCRAM_ITERATIONS, keys[:32], keys[32:])

    def _counted(self, login: bytes | str) -> str:
        """The name under which failures are counted: the account, if it can name one."""
        account = login_key(login, self._default_domain)
        if account is not None:
            return account
        octets = login if isinstance(login, bytes) else login.encode(errors="replace")
        return octets[:_LONGEST_LOGIN].decode(errors="replace").casefold()


def _mechanisms(checkers: Sequence[ICredentialsChecker]) -> frozenset[str]:
    """Clients take the strongest mechanism on offer and do not fall back, so SCRAM is only
    offered when every checker of passwords has verifiers too."""
    offered: set[str] = set()
    takes_passwords = [c for c in checkers if _checks(c, IUsernamePassword)]
    if takes_passwords:
        offered |= {"PLAIN", "LOGIN"}
    if takes_passwords and all(map(IScramVerifiers.providedBy, takes_passwords)):
        offered |= {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
    if any(_checks(checker, IUsernameHashedPassword) for checker in checkers):
        offered.add("APOP")
    if any(_checks(checker, IBearerToken) for checker in checkers):
        offered |= {"OAUTHBEARER", "XOAUTH2"}
    return frozenset(offered)


def _token_terms(checkers: Sequence[ICredentialsChecker]) -> TokenTerms:
    for checker in checkers:
        if _checks(checker, IBearerToken) and ITokenTerms.providedBy(checker):
            return ITokenTerms(checker).terms
    return TokenTerms()


def _of_nobody(credentials: Any) -> str:
    """What failures are counted by where no name was given: that one token, so that nobody can
    hold up all the others who leave it to theirs to say who they are."""
    if not IBearerToken.providedBy(credentials):
        return ""
    return f"token {hashlib.sha256(credentials.token.encode()).hexdigest()[:32]}"


def _checks(checker: ICredentialsChecker, kind: Any) -> bool:
    return any(offered is kind or offered.extends(kind) for offered in checker.credentialInterfaces)
