"""A credentials checker over a source: asks it whether a password is right.

It is asked about logins at its own domains (``login_domains`` where it names others for that, as
a directory whose logins are not mail addresses does) and about logins that are no address, such as
``ann`` or ``OFFICE\\ann``. What no login can be is refused here: too long, not UTF-8, control
characters, an empty password, which some servers take for no question at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailframe.accounts.names import domain_key
from mailframe.accounts.passwords import MAX_PASSWORD
from mailframe.accounts.sources import CANNOT_LOG_IN, Sources, holds
from mailframe.core.address import AddressError
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import IPasswordSource
from mailframe.runtime.aio import as_deferred

_LONGEST_LOGIN = 320  # octets; 64 + 1 + 255 is the longest address RFC 5321 can spell


@implementer(ICredentialsChecker)
class SourceChecker:
    """Passwords of users whom ``source`` (an ``IPasswordSource``) knows. Make one in what
    ``app.provides(ICredentialsChecker)`` decorates, beside the source itself.

    LoginFailed for a wrong password and for who is nobody, with the same reply; TransientFailure
    (454 4.7.0 and its like) while the source cannot be asked."""

    credentialInterfaces = (IUsernamePassword,)
    """Passwords in clear, as ``PLAIN`` and ``LOGIN`` bring them."""

    def __init__(self, source: IPasswordSource) -> None:
        self._source = source
        self._sources = Sources([source])

    def __repr__(self) -> str:
        return f"<{self._source.name}>"

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[bytes | tuple[()]]:
        """The canonical name of the account."""
        return as_deferred(self._check(credentials))

    async def _check(self, credentials: Any) -> bytes:
        login, password = credentials.username, credentials.password
        text = login_text(login)
        if text is None or not password or len(password) > MAX_PASSWORD or b"\0" in password:
            raise LoginFailed(f"{self._source.name} is not asked about such a login")
        try:
            return (await self._account(text, password)).encode()
        except TransientFailure as error:
            raise TransientFailure(CANNOT_LOG_IN, error.detail) from error

    async def _account(self, login: str, password: bytes) -> str:
        if not await self._is_for(login):
            raise LoginFailed(f"{self._source.name} has other domains")
        account: str = await self._source.check(login, password)
        return await self._sources.name_of(self._source, account)

    async def _is_for(self, login: str) -> bool:
        _, at, domain = login.rpartition("@")
        if not at:
            return True
        try:
            name = domain_key(domain)
        except AddressError:
            return False
        others: Collection[str] = getattr(self._source, "login_domains", ())
        return name in others or await holds(self._source, name)


def login_text(login: bytes | str) -> str | None:
    """What was typed; None for what no login can be."""
    try:
        text = login.decode() if isinstance(login, bytes) else login
        octets = len(text.encode())
    except UnicodeError:
        return None
    return text if 0 < octets <= _LONGEST_LOGIN and text.isprintable() else None
