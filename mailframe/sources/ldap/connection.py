"""One connection to a directory server: requests on a transport, each with a time limit.

Several searches may be under way at once; a bind is alone (RFC 4511 section 4.2.1). Whatever
goes wrong, a refused connection, silence, nonsense, too much, a certificate that is not the
server's, is Unreachable with what it was, and the connection is over: an answer that comes too
late cannot be taken for that of the next question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mailframe.sources.ldap.errors import Refused, TooMuch, Unreachable
from mailframe.sources.ldap.servers import Server
from mailframe.sources.ldap.wire import OVERLOADED, Code, Found, Garbled, LdapWire, Outcome, Query

TlsFor = Callable[[str], IOpenSSLClientConnectionCreator]
"""Our side of TLS with a host, by its name or address."""

LARGEST_ANSWER = 32 << 20  # octets of all the answers to one request
_LONGEST_GOODBYE = 5.0  # seconds that a server has to hang up


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds: to connect (TLS is part of what comes first on it), and for one bind, one
    search (each page of it) or compare."""

    connect: float = 3
    bind: float = 5
    search: float = 5


@dataclass(slots=True)
class _Request:
    ended: Deferred[Outcome]
    timer: IDelayedCall
    most: int = 0
    found: list[Found] = field(default_factory=list)
    octets: int = 0


class LdapConnection(Protocol):
    """Use ``open_connection``."""

    def __init__(self, server: Server, clock: IReactorTime, limits: Limits) -> None:
        self.server = server
        self.opened = clock.seconds()
        self.why_over = ""
        """Empty while it can be asked."""
        self._clock = clock
        self._limits = limits
        self._wire = LdapWire()
        self._requests: dict[int, _Request] = {}
        self._leaving: IDelayedCall | None = None

    # what is asked

    async def start_tls(self, tls: TlsFor) -> None:
        """Raises Unreachable, also where the server refuses: nothing is said in the clear."""
        outcome = await self._ask(*self._request(self._wire.start_tls, self._limits.bind))
        if outcome.code != Code.SUCCESS:
            self._end(f"StartTLS refused: {outcome}")
        elif self._wire.holds_some:
            # What came before the handshake may be anybody's.
            self._end("it sent more before TLS began")
        self._need_open()
        self.begin_tls(tls)

    def begin_tls(self, tls: TlsFor) -> None:
        transport: Any = self.transport
        transport.startTLS(tls(self.server.host))

    async def bind(self, dn: str, password: bytes) -> Outcome:
        """How the server took it. Raises Unreachable, and Refused where it is overloaded."""
        if not password:
            # RFC 4513 section 5.1.2: the server would say yes to whatever name.
            raise ValueError("a bind needs a password")
        asked = self._request(lambda: self._wire.bind(dn, password), self._limits.bind)
        return _need_service(await self._ask(*asked), "a bind")

    async def search(self, query: Query) -> list[Found]:
        """Raises Unreachable, Refused, and TooMuch for more entries than ``query.most``."""
        found: list[Found] = []
        cookie = b""
        while True:
            outcome, more = await self._page(query, cookie)
            found += more
            if outcome.code == Code.SIZE_LIMIT_EXCEEDED or len(found) > query.most:
                raise TooMuch(f"more than {query.most} entries")
            if outcome.code != Code.SUCCESS:
                raise Refused(f"search of {query.base!r} for {query.filter}", outcome)
            cookie = outcome.cookie
            if not cookie:
                return found

    async def _page(self, query: Query, cookie: bytes) -> tuple[Outcome, list[Found]]:
        seconds = self._limits.search
        number, octets = self._request(
            lambda: self._wire.search(query, max(1, int(seconds)), cookie), seconds
        )
        request = self._requests[number]
        request.most = query.page or query.most + 1
        return await self._ask(number, octets), request.found

    async def compare(self, dn: str, attribute: str, value: bytes) -> Outcome:
        """As ``bind``."""
        asked = self._request(lambda: self._wire.compare(dn, attribute, value), self._limits.search)
        return _need_service(await self._ask(*asked), "a compare")

    def close(self) -> None:
        """Say goodbye; harmless in any state."""
        if self._requests:
            self._end("given up")
        elif not self.why_over:
            self.why_over = "closed"
            transport: Any = self.transport
            transport.write(self._wire.unbind())
            transport.loseConnection()
            self._leaving = self._clock.callLater(_LONGEST_GOODBYE, self._abort)

    # requests

    def _request(
        self, encoded: Callable[[], tuple[int, bytes]], seconds: float
    ) -> tuple[int, bytes]:
        self._need_open()
        number, octets = encoded()
        timer = self._clock.callLater(seconds, self._end, f"no answer within {seconds:g} s")
        self._requests[number] = _Request(Deferred(self._cancelled), timer)
        return number, octets

    async def _ask(self, number: int, octets: bytes) -> Outcome:
        transport: Any = self.transport
        ended = self._requests[number].ended
        transport.write(octets)
        return await ended

    def _need_open(self) -> None:
        if self.why_over:
            raise Unreachable(self.why_over)

    def _cancelled(self, ended: Deferred[Outcome]) -> None:
        """All that is under way on a connection belongs to one question."""
        self._end("given up", CancelledError())

    # what the transport calls

    def dataReceived(self, data: bytes) -> None:
        try:
            for number, answer in self._wire.receive(data):
                self._answered(number, answer)
        except Garbled as error:
            self._end(str(error))

    def _answered(self, number: int, answer: Found | Outcome) -> None:
        request = self._requests.get(number)
        if request is None:
            return
        if isinstance(answer, Outcome):
            del self._requests[number]
            request.timer.cancel()
            request.ended.callback(answer)
            return
        request.found.append(answer)
        request.octets += sum(len(v) + 16 for values in answer.attributes.values() for v in values)
        if len(request.found) > request.most or request.octets > LARGEST_ANSWER:
            self._end("it sent more than was asked for")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._leaving is not None and self._leaving.active():
            self._leaving.cancel()
        self._end(said_of(reason))

    def _end(self, why: str, error: Exception | None = None) -> None:
        if self.why_over:
            return
        self.why_over = why
        requests, self._requests = self._requests, {}
        self._abort()
        for request in requests.values():
            if request.timer.active():
                request.timer.cancel()
            if not request.ended.called:
                request.ended.errback(error or Unreachable(why))

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            getattr(transport, "abortConnection", transport.loseConnection)()


def _need_service(outcome: Outcome, what: str) -> Outcome:
    if outcome.code in OVERLOADED:
        raise Refused(what, outcome)
    return outcome


class _Dialler(Factory):
    noisy = False

    def __init__(self, connection: LdapConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> LdapConnection:
        return self._connection


async def open_connection(
    server: Server, reactor: Any, limits: Limits, *, tls: TlsFor | None, start_tls: bool
) -> LdapConnection:
    """``start_tls``: whether ``ldap:`` goes on with TLS. Raises Unreachable."""
    connection = LdapConnection(server, reactor, limits)
    endpoint = HostnameEndpoint(reactor, server.host, server.port, timeout=limits.connect)
    try:
        await endpoint.connect(_Dialler(connection))
    except (CancelledError, ConnectingCancelledError):
        raise CancelledError from None
    except Exception as error:
        raise Unreachable(said_of(Failure(error))) from error
    transport: Any = connection.transport
    if hasattr(transport, "setTcpKeepAlive"):
        transport.setTcpKeepAlive(True)
        transport.setTcpNoDelay(True)
    if tls is not None and server.is_tls:
        connection.begin_tls(tls)
    elif tls is not None and start_tls:
        await connection.start_tls(tls)
    return connection


def said_of(reason: Failure) -> str:
    """Why a connection failed, for the log."""
    error = reason.value
    if isinstance(error, VerificationError):
        return "TLS: the certificate is for another name"
    if isinstance(error, SSL.Error):
        words = error.args[0] if error.args else ()
        said = [one[-1] for one in words if one] if isinstance(words, list) else []
        return f"TLS: {', '.join(map(str, said)) or 'the handshake failed'}"
    return f"{type(error).__name__}: {error}".rstrip(": ")[:200]
