"""JSON over HTTPS: one request, one answer, within a time and a size.

The server's certificate is verified against the system's authorities, or those of one file.
Redirects are not followed: the configuration, or the issuer's own document, names the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import TimeoutError
from twisted.web.http_headers import Headers

from mailframe.runtime.aio import as_deferred
from mailframe.runtime.http_exchange import NoAnswer, Octets, agent_for, exchange, json_object

# A set of keys has some kilobytes, and so has what is known of a token.
_LARGEST_ANSWER = 256 << 10


class Unavailable(Exception):
    """No usable answer; the text says why, for the log."""


class Fetcher:
    """``timeout`` in seconds for all of a request. ``authorities`` as of ``VerifiedHttps``."""

    def __init__(self, reactor: Any, *, timeout: float, authorities: bytes | None = None) -> None:
        self._clock = reactor
        self._timeout = timeout
        self._agent = agent_for(reactor, timeout, authorities)

    async def get(self, url: str) -> dict[str, Any]:
        """The object there. Raises Unavailable for anything else."""
        code, answer = await self.ask(b"GET", url)
        if code != 200:
            raise Unavailable(f"HTTP {code}")
        return answer

    async def ask(
        self,
        method: bytes,
        url: str,
        form: Mapping[str, str] | None = None,
        authorization: str = "",
    ) -> tuple[int, dict[str, Any]]:
        """The status and the object; that is empty where the status is not 200. Raises Unavailable
        where there is no answer, or one that is no JSON object."""
        headers = Headers({b"Accept": [b"application/json"], b"User-Agent": [b"mailframe"]})
        body = None
        if form is not None:
            headers.addRawHeader(b"Content-Type", b"application/x-www-form-urlencoded")
            body = Octets(urlencode(form).encode("ascii"))
        if authorization:
            headers.addRawHeader(b"Authorization", authorization.encode("ascii"))
        asking = as_deferred(
            exchange(
                self._agent, method, url.encode("ascii"), headers, body, largest=_LARGEST_ANSWER
            )
        )
        try:
            code, octets = await asking.addTimeout(self._timeout, self._clock)
            return code, json_object(octets) if code == 200 else {}
        except TimeoutError:
            raise Unavailable(f"no answer within {self._timeout:g} s") from None
        except (NoAnswer, ValueError) as error:
            raise Unavailable(str(error)) from None
