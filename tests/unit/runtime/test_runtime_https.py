"""Ending an answer that nobody wants any more."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IResponse

from mailframe.runtime.https import hang_up
from tests.unit.accounts.house import now


class Endpoint:
    """Connects at once to ``line``."""

    def __init__(self, line: StringTransport) -> None:
        self._line = line

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self._line)
        connected: Deferred[Any] = Deferred()
        connected.callback(self.protocol)
        return connected


def test_an_answer_is_ended_at_once_and_not_by_a_farewell() -> None:
    line = StringTransport()
    endpoint = Endpoint(line)
    pool = HTTPConnectionPool(None, persistent=False)  # type: ignore[no-untyped-call]
    factory = type("Factory", (), {"endpointForURI": lambda self, uri: endpoint})()
    agent = Agent.usingEndpointFactory(None, factory, pool)  # type: ignore[no-untyped-call]
    asking = agent.request(b"GET", b"https://one.test/")
    endpoint.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    response: IResponse = now(asking)
    reader = Protocol()
    response.deliverBody(reader)
    hang_up(reader.transport)
    assert line.disconnected  # and not only disconnecting


def test_there_may_be_nothing_to_end() -> None:
    hang_up(None)
