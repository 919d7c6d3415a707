"""Accounts that a web service knows (``IPasswordSource``).

A question is a JSON object in a POST: about a password ``login``, ``password``, ``protocol``,
``ip`` and ``tls``; about an address ``address``, ``local_part`` and ``domain`` (or ``?address=`` in
a GET). 200 and a JSON object is an answer, with the fields of ``fields``; 404 (and 204) is nobody,
and of a password 401 and 403 say no as well. Everything else is trouble of the service's: another
URL is asked, and where there is none, it is a TransientFailure. Redirections are not followed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import Entry, IPasswordSource
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.http_exchange import json_object
from mailframe.runtime.login_client import login_client
from mailframe.sources.fields import Unusable, entry_of
from mailframe.sources.http.asking import ask
from mailframe.sources.rotation import CANNOT_ASK, Rotation, ServerDown, UnusableAnswer
from mailframe.sources.timed_calls import Places

_NOBODY = frozenset({404, 204})
_REFUSED = frozenset({401, 403, *_NOBODY})
_BUSY = frozenset({429, 502, 503, 504})  # whatever was asked


@dataclass(frozen=True, slots=True)
class WebService:
    """Where one kind of question is asked."""

    url: str

    @property
    def label(self) -> str:
        """Without what comes behind ``?``, where people put keys."""
        return self.url.partition("?")[0]


@implementer(IPasswordSource)
class HttpSource:
    """
    check, find
        Where to ask; empty: such questions are never asked.
    secret
        Name and value of a header field that both know.
    """

    log = Logger()
    depends_on_client = True
    """The service is told protocol and address, and may decide by them."""

    def __init__(
        self,
        name: str,
        agent: IAgent,
        clock: IReactorTime,
        *,
        domains: Collection[str],
        default_domain: str = "",
        check: Sequence[WebService],
        find: Sequence[WebService],
        find_method: str = "POST",
        secret: tuple[str, str] | None = None,
        connections: int = 16,
        timeout: float = 5.0,
    ) -> None:
        self.name = name
        self.domains = frozenset(domains)
        self._default_domain = default_domain
        self._agent = agent
        self._clock = clock
        self._check = Rotation(name, check, clock)
        self._find = Rotation(name, find, clock)
        self._find_method = find_method
        self._secret = secret
        self._places = {place.url: Places(connections) for place in (*check, *find)}
        self._timeout = timeout

    async def find(self, address: Address) -> Entry | None:
        if not self._find.servers:
            return None
        text = f"{address.local_part}@{address.domain}"
        asked = {"address": text, "local_part": address.local_part, "domain": address.domain}

        async def question(place: WebService) -> Entry | None:
            said = await self._found(place, asked)
            if said is None:
                return None
            return self._entry(place, said, address)

        return await self._find.ask(question)

    async def check(self, login: str, password: bytes) -> str:
        if not self._check.servers or not password:
            raise LoginFailed("no such question is asked")
        try:
            text = password.decode()
        except UnicodeDecodeError:
            raise LoginFailed("the password is not UTF-8") from None
        client = login_client()
        asked = {
            "login": login,
            "password": text,
            "protocol": client.protocol,
            "ip": client.ip,
            "tls": client.is_encrypted,
        }

        async def question(place: WebService) -> Entry | None:
            code, body = await self._exchange(place, b"POST", place.url, asked)
            if code in _REFUSED:
                return None
            return self._entry(place, self._object(code, body), self._typed(login))

        entry = await self._check.ask(question)
        if entry is None or not entry.is_enabled:
            raise LoginFailed("refused by the service")
        return entry.account

    async def _found(self, place: WebService, asked: Mapping[str, str]) -> dict[str, Any] | None:
        if self._find_method == "GET":
            mark = "&" if urlsplit(place.url).query else "?"
            url = f"{place.url}{mark}address={quote(asked['address'], safe='')}"
            code, body = await self._exchange(place, b"GET", url, None)
        else:
            code, body = await self._exchange(place, b"POST", place.url, asked)
        return None if code in _NOBODY else self._object(code, body)

    async def _exchange(
        self, place: WebService, method: bytes, url: str, asked: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        places = self._places[place.url]
        await places.take()
        try:
            asking = as_deferred(ask(self._agent, method, url, self._headers(asked), asked))
            return await asking.addTimeout(self._timeout, self._clock)
        except TimeoutError:
            places.note_failure()
            raise ServerDown(f"no answer within {self._timeout:g} s") from None
        except UnusableAnswer:
            raise
        except ServerDown:
            places.note_failure()
            raise
        finally:
            places.leave()

    def _headers(self, asked: Mapping[str, Any] | None) -> Headers:
        headers = Headers({"Accept": ["application/json"], "User-Agent": ["mailframe"]})
        if asked is not None:
            headers.addRawHeader("Content-Type", "application/json")
        if self._secret is not None:
            headers.addRawHeader(*self._secret)
        return headers

    def _object(self, code: int, body: bytes) -> dict[str, Any]:
        if code in _BUSY:
            raise ServerDown(f"HTTP {code}")
        if code != 200:
            raise UnusableAnswer(f"HTTP {code}")
        try:
            return json_object(body)
        except ValueError as error:
            raise UnusableAnswer(str(error)) from None

    def _entry(self, place: WebService, said: Mapping[str, Any], address: Address) -> Entry:
        try:
            return entry_of(said, address)
        except Unusable as error:
            self.log.error(
                "{name}: {url} says what cannot be used: {error}",
                name=self.name,
                url=place.label,
                error=str(error),
            )
            raise TransientFailure(CANNOT_ASK, f"{self.name}: {error}") from error

    def _typed(self, login: str) -> Address:
        """Who it is where the answer does not say."""
        local_part, at, domain = login.rpartition("@")
        return Address(local_part, domain) if at else Address(login, self._default_domain)
