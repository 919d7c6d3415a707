"""Checks logins against the directory: a ``twisted.cred`` checker with two more powers.

Keeps SCRAM verifiers, and takes identities that SCRAM has proved. Disabled users fail like
unknown ones. Who logs in again with a password that was right a while ago waits for nothing. An
outdated hash, or one without a SCRAM verifier, is renewed at a right login.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailframe.accounts.directory import Directory
from mailframe.accounts.names import login_key
from mailframe.accounts.passwords import SCRAM_SALT, Checked, Passwords
from mailframe.accounts.records import User
from mailframe.core.scram import ScramVerifier
from mailframe.errors import LoginFailed
from mailframe.interfaces import IScramVerifiers, IVerifiedIdentity
from mailframe.runtime.aio import as_deferred


@implementer(ICredentialsChecker, IScramVerifiers)
class DirectoryChecker:
    """``default_domain`` completes a bare login name; empty: such logins fail."""

    credentialInterfaces = (IUsernamePassword, IVerifiedIdentity)

    def __init__(
        self, directory: Directory, passwords: Passwords, *, default_domain: str = ""
    ) -> None:
        self._directory = directory
        self._passwords = passwords
        self._default_domain = default_domain

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[bytes | tuple[()]]:
        return as_deferred(self._avatar_id(credentials))

    async def _avatar_id(self, credentials: Any) -> bytes:
        if IVerifiedIdentity.providedBy(credentials):
            user = await self._proved(credentials.username)
        else:
            user = await self._checked(credentials.username, credentials.password)
        return user.name.encode()

    async def scram_verifier(self, login: str) -> ScramVerifier | None:
        user = await self._enabled(login)
        return user.scram if user is not None else None

    async def _enabled(self, login: bytes | str) -> User | None:
        # The file is asked in any case: how long a failure takes must not tell who is known here.
        # A name that cannot be is looked up all the same: the question costs time too.
        return _if_enabled(await self._directory.user_anew(self._account(login)))

    def _account(self, login: bytes | str) -> str:
        """Empty for what names none."""
        return login_key(login, self._default_domain) or ""

    async def _proved(self, login: bytes) -> User:
        user = await self._enabled(login)
        if user is None:
            raise LoginFailed("the user is gone or disabled")
        return user

    async def _checked(self, login: bytes, password: bytes) -> User:
        user = _if_enabled(self._directory.recalled_user(self._account(login)))
        if (
            user is not None
            and user.scram is not None
            and self._passwords.remembers(user.name, user.password, password)
        ):
            return user
        user = await self._enabled(login)
        name, stored = (user.name, user.password) if user is not None else ("", None)
        checked = await self._passwords.check(name, stored, password)
        if user is None or not checked.right:
            raise LoginFailed("no such user in the directory" if user is None else "wrong password")
        await self._renew(user, password, checked)
        return user

    async def _renew(self, user: User, password: bytes, checked: Checked) -> None:
        if checked.renewed is None and user.scram is not None:
            return
        salt = self._directory.fresh_salt(SCRAM_SALT)
        verifier = await self._passwords.scram_verifier(password, salt)
        await self._directory.renew(user, checked.renewed or user.password, verifier)


def _if_enabled(user: User | None) -> User | None:
    return user if user is not None and not user.disabled else None
