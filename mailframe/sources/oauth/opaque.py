"""Access tokens that say nothing themselves: the issuer is asked about each.

By introspection (RFC 7662), or by what Google has instead (``tokeninfo``). What was found out is
remembered until the token is over, for ``cache_seconds`` at most; a refusal for some seconds. Many
logins with the same token ask once, and the questions under way at a time are bounded.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode

from twisted.internet.interfaces import IReactorTime

from mailframe.errors import LoginFailed, TransientFailure
from mailframe.sources.flights import Flights
from mailframe.sources.oauth.claims import (
    Wanted,
    account,
    check_kind,
    check_origin,
    check_purpose,
    expiry,
)
from mailframe.sources.oauth.fetching import Fetcher, Unavailable
from mailframe.sources.oauth.trouble import CANNOT_LOG_IN, Reachability

_REFUSED_SECONDS = 10.0
_MOST_AT_ONCE = 50
_SURELY_NO = (400, 401)  # what Google says to a token that is none
_NUMBERS = ("exp", "iat", "nbf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Where and how to ask."""

    url: str
    kind: Literal["rfc7662", "tokeninfo"] = "rfc7662"
    client_id: str = ""
    client_secret: str = ""
    authentication: Literal["basic", "post"] = "basic"
    """How the client proves who it is; without an id it does not."""


@dataclass(frozen=True, slots=True)
class _Known:
    account: str
    """Empty: the token is no good."""
    until: float
    reason: str = ""


class OpaqueTokens:
    """``cache_seconds`` 0: nothing is remembered; ``cache_entries``: tokens at most."""

    def __init__(
        self,
        place: Introspection,
        wanted: Wanted,
        *,
        fetcher: Fetcher,
        clock: IReactorTime,
        cache_seconds: float = 300.0,
        cache_entries: int = 10_000,
    ) -> None:
        self._place = place
        self._wanted = wanted
        self._fetcher = fetcher
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._cache_entries = cache_entries
        self._cache: OrderedDict[bytes, _Known] = OrderedDict()
        self._flights: Flights[_Known] = Flights(
            "what tokens are", most=_MOST_AT_ONCE, busy=CANNOT_LOG_IN
        )
        self._reach = Reachability(place.url)

    async def account(self, token: str) -> str:
        """Whose it is. Raises LoginFailed, and TransientFailure where nobody can tell."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._cache.get(digest)
        if known is None or self._clock.seconds() >= known.until:
            known = await self._flights.join(digest, lambda: self._find_out(token, digest))
        if not known.account:
            raise LoginFailed(known.reason)
        return known.account

    async def _find_out(self, token: str, digest: bytes) -> _Known:
        try:
            claims = await self._ask(token)
        except Unavailable as error:
            self._reach.failed(error)
            raise TransientFailure(CANNOT_LOG_IN, f"the issuer cannot be asked: {error}") from None
        self._reach.answered()
        now = self._clock.seconds()
        try:
            known = self._judged(claims, now)
        except LoginFailed as error:
            pause = min(_REFUSED_SECONDS, self._cache_seconds)
            known = _Known("", now + pause, error.detail)
        self._remember(digest, known)
        return known

    def _judged(self, claims: Mapping[str, Any] | None, now: float) -> _Known:
        if claims is None:
            raise LoginFailed("the issuer knows no such token")
        check_kind(claims)
        check_origin(claims, self._wanted, must_name=False)
        check_purpose(claims, self._wanted)
        until = expiry(claims, self._wanted, now)
        return _Known(account(claims, self._wanted), min(until, now + self._cache_seconds))

    def _remember(self, digest: bytes, known: _Known) -> None:
        if not self._cache_seconds:
            return
        self._cache[digest] = known
        self._cache.move_to_end(digest)
        while len(self._cache) > self._cache_entries:
            self._cache.popitem(last=False)

    async def _ask(self, token: str) -> Mapping[str, Any] | None:
        """What the issuer says of it; None: nothing. Raises Unavailable."""
        if self._place.kind == "tokeninfo":
            return await self._ask_for_info(token)
        form = {"token": token, "token_type_hint": "access_token"}
        authorization = ""
        if self._place.client_id and self._place.authentication == "basic":
            authorization = _basic(self._place.client_id, self._place.client_secret)
        elif self._place.client_id:
            form["client_id"] = self._place.client_id
            form["client_secret"] = self._place.client_secret
        code, answer = await self._fetcher.ask(b"POST", self._place.url, form, authorization)
        # RFC 7662 section 2.3: a token that is no good is no error, so an error is about us.
        if code != 200:
            raise Unavailable(f"HTTP {code}")
        active = answer.get("active")
        if not isinstance(active, bool):
            raise Unavailable("the answer does not say whether the token is active")
        return answer if active else None

    async def _ask_for_info(self, token: str) -> Mapping[str, Any] | None:
        mark = "&" if "?" in self._place.url else "?"
        url = f"{self._place.url}{mark}{urlencode({'access_token': token})}"
        code, answer = await self._fetcher.ask(b"GET", url)
        if code in _SURELY_NO:
            return None
        if code != 200:
            raise Unavailable(f"HTTP {code}")
        return {name: _plain(name, value) for name, value in answer.items()}


def _plain(name: str, value: Any) -> Any:
    """Google writes numbers and truth values as text."""
    if name in _NUMBERS and isinstance(value, str) and value.isdecimal() and len(value) < 16:
        return int(value)
    if name == "email_verified" and isinstance(value, str):
        return value == "true"
    return value


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749 section 2.3.1: both are encoded as in a form first."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
