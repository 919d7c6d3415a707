"""The issuer's keys: fetched when they are needed, remembered, and fetched anew when they rotate.

Nobody waits for a renewal while there are keys: those older than ``refresh`` are renewed in the
background. A key that is not known is looked for at the issuer, yet not more often than once in
``retry`` seconds, whatever tokens come in. Where the issuer is down, known keys go on for
``stale`` seconds from when it was last heard.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReactorTime

from mailframe.errors import TransientFailure
from mailframe.runtime.aio import Background
from mailframe.sources.flights import Flights
from mailframe.sources.oauth.fetching import Fetcher, Unavailable
from mailframe.sources.oauth.keys import Key, read_keys
from mailframe.sources.oauth.trouble import CANNOT_LOG_IN, Reachability
from mailframe.sources.oauth.urls import configuration_url, is_https

_AFTER_FAILURE = 5.0  # seconds: an issuer that is back should not be noticed much later
_MOST_TRIED = 8  # keys for a token that names none


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """Seconds."""

    refresh: float = 3600.0
    retry: float = 30.0
    stale: float = 86_400.0


class IssuerKeys:
    """``jwks_uri``: where they are; empty: as the issuer's configuration document says.
    ``algorithms``: those that signatures may have."""

    def __init__(
        self,
        issuer: str,
        jwks_uri: str,
        *,
        algorithms: Collection[str],
        fetcher: Fetcher,
        clock: IReactorTime,
        times: KeyTimes,
    ) -> None:
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._algorithms = algorithms
        self._fetcher = fetcher
        self._clock = clock
        self._times = times
        self._keys: tuple[Key, ...] = ()
        self._fetched = -math.inf
        self._tried = -math.inf
        self._pause = 0.0
        self._flights: Flights[None] = Flights(f"keys of {issuer}", most=1, busy=CANNOT_LOG_IN)
        self._background = Background()
        self._reach = Reachability(f"the issuer {issuer}")

    async def fitting(self, id: str, algorithm: str) -> tuple[Key, ...]:
        """Those that may have made a signature; none where the issuer has no such key. Raises
        TransientFailure where that cannot be known."""
        age = self._clock.seconds() - self._fetched
        is_usable = self._is_usable
        if is_usable and age > self._times.refresh and self._may_ask:
            self._background.start(self._renew(), f"keys of {self._issuer}")
        found = self._known(id, algorithm) if is_usable else ()
        if found:
            return found
        if self._may_ask or len(self._flights):
            await self._flights.join("keys", self._ask)
        if self._reach.is_down or not self._is_usable:
            why = self._reach.why or "they are too old"
            raise TransientFailure(CANNOT_LOG_IN, f"the issuer's keys cannot be fetched: {why}")
        return self._known(id, algorithm)

    @property
    def _is_usable(self) -> bool:
        # A clock that was set back makes what is known as good as unknown.
        return 0 <= self._clock.seconds() - self._fetched <= self._times.stale

    @property
    def _may_ask(self) -> bool:
        return not 0 <= self._clock.seconds() - self._tried < self._pause

    def _known(self, id: str, algorithm: str) -> tuple[Key, ...]:
        fitting = [key for key in self._keys if algorithm in key.algorithms]
        if id:
            fitting = [key for key in fitting if key.id == id]
        return tuple(fitting[:_MOST_TRIED])

    async def _renew(self) -> None:
        await self._flights.join("keys", self._ask)

    async def _ask(self) -> None:
        # Before anything is heard, so that an unforeseen error does not make us ask all the time.
        self._tried, self._pause = self._clock.seconds(), min(self._times.retry, _AFTER_FAILURE)
        try:
            self._keys = await self._fetch()
        except (Unavailable, ValueError) as error:
            self._reach.failed(error)
            return
        self._fetched = self._tried = self._clock.seconds()
        self._pause = self._times.retry
        self._reach.answered()

    async def _fetch(self) -> tuple[Key, ...]:
        url = self._jwks_uri or await self._announced()
        keys = read_keys(await self._fetcher.get(url), self._algorithms)
        if not keys:
            raise Unavailable(f"{url} has no key for {', '.join(sorted(self._algorithms))}")
        return keys

    async def _announced(self) -> str:
        document = await self._fetcher.get(configuration_url(self._issuer))
        # OpenID Connect Discovery 1.0 section 4.3: the two must be the same, to the letter.
        if document.get("issuer") != self._issuer:
            raise Unavailable(f"it calls itself {_shown(document.get('issuer'))}")
        url = document.get("jwks_uri")
        if not is_https(url):
            raise Unavailable(f"its jwks_uri is {_shown(url)}")
        return str(url)


def _shown(value: Any) -> str:
    return ascii(value)[:200]
