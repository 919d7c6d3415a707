"""Checks access tokens: a ``twisted.cred`` checker of IBearerToken.

Signed tokens are proved here (``signed``), others by asking the issuer (``opaque``), as far as
either is set up. The account is the one that the token names, and a client that names another
one is refused. Whether the account exists is the realm's to say.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.errors import LoginFailed
from mailframe.interfaces import IBearerToken, ITokenTerms, TokenTerms
from mailframe.runtime.aio import as_deferred
from mailframe.sources.oauth.claims import Wanted, account
from mailframe.sources.oauth.issuer_keys import IssuerKeys
from mailframe.sources.oauth.opaque import OpaqueTokens
from mailframe.sources.oauth.signed import header_of, proved_claims

_NO_TOKEN = "mailframe-check"


@dataclass(frozen=True, slots=True)
class Signed:
    """How signed tokens are proved."""

    keys: IssuerKeys
    algorithms: Collection[str]


@implementer(ICredentialsChecker, ITokenTerms)
class TokenChecker:
    """``name`` as the configuration calls it. Without ``opaque`` only signed tokens are taken, and
    without ``signed`` all are asked about."""

    credentialInterfaces = (IBearerToken,)

    def __init__(
        self,
        name: str,
        wanted: Wanted,
        *,
        terms: TokenTerms,
        clock: IReactorTime,
        signed: Signed | None = None,
        opaque: OpaqueTokens | None = None,
    ) -> None:
        self.name = name
        self.terms = terms
        self._wanted = wanted
        self._clock = clock
        self._signed = signed
        self._opaque = opaque

    def __repr__(self) -> str:
        return f"<{self.name}>"

    async def look(self) -> None:
        """Whether the issuer answers. Raises TransientFailure; why not is its detail."""
        if self._signed is not None:
            await self._signed.keys.fitting("", min(self._signed.algorithms))
        if self._opaque is not None:
            with suppress(LoginFailed):  # which is an answer
                await self._opaque.account(_NO_TOKEN)

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[bytes | tuple[()]]:
        return as_deferred(self._avatar_id(credentials))

    async def _avatar_id(self, credentials: Any) -> bytes:
        found = await self._account(credentials.token)
        named = credentials.username.decode()
        if named and self._wanted.account_of(named) != found:
            raise LoginFailed("the token is another user's")
        return found.encode()

    async def _account(self, token: str) -> str:
        header = header_of(token) if self._signed is not None else None
        if self._signed is not None and header is not None:
            claims = await proved_claims(
                token,
                header,
                self._signed.keys,
                self._wanted,
                self._signed.algorithms,
                self._clock.seconds(),
            )
            return account(claims, self._wanted)
        if self._opaque is None:
            raise LoginFailed("the token is not a signed one")
        return await self._opaque.account(token)
