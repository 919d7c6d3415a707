"""One HTTP request and its answer, for whoever asks a service: bounded, verified, nothing followed.

A connection is made for each request: one that was kept may be gone when it is used next, and a
question that is sent twice may count twice. Redirections are not followed: the configuration names
the place. How long it may take is the caller's to say (``Deferred.addTimeout``); what is cancelled
is hung up.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from mailframe.runtime.https import VerifiedHttps, hang_up


class NoAnswer(Exception):
    """There was none, or it broke off; the text says why, for the log."""


class TooLarge(NoAnswer):
    """There was one, of more octets than are taken."""


def agent_for(reactor: Any, timeout: float, authorities: bytes | None = None) -> IAgent:
    """``timeout`` in seconds for connecting; ``authorities`` as of ``VerifiedHttps``. Raises
    ValueError for PEM without a certificate."""
    pool = HTTPConnectionPool(reactor, persistent=False)
    pool.retryAutomatically = False
    policy = VerifiedHttps(authorities)
    return Agent(reactor, contextFactory=policy, connectTimeout=timeout, pool=pool)


async def exchange(
    agent: IAgent,
    method: bytes,
    url: bytes,
    headers: Headers,
    body: IBodyProducer | None,
    *,
    largest: int,
) -> tuple[int, bytes]:
    """HTTP status and body, of ``largest`` octets at most. Raises NoAnswer and TooLarge."""
    try:
        response = await agent.request(method, url, headers, body)
        return response.code, await _read(response, largest)
    except ResponseFailed as error:
        if any(reason.check(CancelledError) for reason in error.reasons):
            raise CancelledError from None
        raise NoAnswer(f"no answer: {error.reasons[0].getErrorMessage()}") from None
    except ConnectingCancelledError:  # by the time limit, while it connects
        raise CancelledError from None
    except (ConnectError, OSError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from None


def json_object(body: bytes) -> dict[str, Any]:
    """Raises ValueError for what is none; the text is for the log."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


async def _read(response: IResponse, largest: int) -> bytes:
    reader = _Reader(largest)
    response.deliverBody(reader)
    return await reader.whole


class _Reader(Protocol):
    """The body of an answer, up to a size."""

    def __init__(self, largest: int) -> None:
        self.whole: Deferred[bytes] = Deferred(self._cancelled)
        self._largest = largest
        self._held = bytearray()

    def dataReceived(self, data: bytes) -> None:
        if self.whole.called:
            return
        self._held += data
        if len(self._held) > self._largest:
            self.whole.errback(TooLarge(f"an answer of more than {self._largest} octets"))
            hang_up(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone):
            self.whole.callback(bytes(self._held))
        else:
            self.whole.errback(NoAnswer(f"the answer broke off: {reason.getErrorMessage()}"))

    def _cancelled(self, _: Deferred[bytes]) -> None:
        hang_up(self.transport)


@implementer(IBodyProducer)
class Octets:
    """The body of a request: a few octets, sent at once."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is sent."""

    def resumeProducing(self) -> None:
        """All is sent."""

    def stopProducing(self) -> None:
        """All is sent."""
