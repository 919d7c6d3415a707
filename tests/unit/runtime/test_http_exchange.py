"""One HTTP request and its answer."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from mailframe.runtime.aio import as_deferred
from mailframe.runtime.http_exchange import NoAnswer, Octets, TooLarge, exchange, json_object

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


class Line:
    """A server that we play ourselves, and one request to it."""

    def __init__(self, error: Exception | None = None, body: bytes | None = None) -> None:
        self._error = error
        self.transport = StringTransport()
        self.protocol: Any = Protocol()
        pool = HTTPConnectionPool(None, persistent=False)  # type: ignore[no-untyped-call]
        factory = type("Factory", (), {"endpointForURI": lambda _, uri: self})()
        agent = Agent.usingEndpointFactory(None, factory, pool)  # type: ignore[no-untyped-call]
        said = Octets(body) if body is not None else None
        self.ended: list[Any] = []
        self.asking = as_deferred(
            exchange(agent, b"POST", b"https://one.test/", Headers(), said, largest=10)
        )
        self.asking.addBoth(self.ended.append)

    def connect(self, factory: Any) -> Deferred[Any]:
        connected: Deferred[Any] = Deferred()
        if self._error is not None:
            connected.errback(self._error)
            return connected
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        connected.callback(self.protocol)
        return connected

    @property
    def error(self) -> BaseException:
        (failure,) = self.ended
        assert isinstance(failure, Failure)
        assert failure.value is not None
        return failure.value


def test_status_and_body() -> None:
    line = Line(body=b"a=1")
    assert line.transport.value().endswith(b"\r\n\r\na=1")
    assert line.ended == []
    line.protocol.dataReceived(HEAD % 10 + b"0123456789")
    assert line.ended == [(200, b"0123456789")]


def test_an_answer_that_is_too_large_is_read_no_further() -> None:
    line = Line()
    line.protocol.dataReceived(HEAD % 1000 + b"01234567890")
    assert isinstance(line.error, TooLarge)
    assert line.transport.disconnected


def test_an_answer_that_breaks_off() -> None:
    line = Line()
    line.protocol.dataReceived(HEAD % 10 + b"0123")
    line.protocol.connectionLost(Failure(ConnectionDone()))
    assert type(line.error) is NoAnswer
    assert "broke off" in str(line.error)


@pytest.mark.parametrize("error", [ConnectError(), ConnectionRefusedError("refused")])
def test_nobody_there(error: Exception) -> None:
    assert type(Line(error).error) is NoAnswer


def test_what_is_cancelled_is_hung_up() -> None:
    line = Line()
    line.protocol.dataReceived(HEAD % 10 + b"0123")
    line.asking.cancel()
    assert line.transport.disconnected
    assert len(line.ended) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"\xff", b"[" * 200_000])
def test_what_is_no_object(body: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        json_object(body)


def test_an_object() -> None:
    assert json_object(b' {"a": [1]}') == {"a": [1]}
