"""Connections that we make, over real sockets and a reactor that the test turns."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from mailframe.runtime.dialling import Dialling, GatheringClient

MUCH = b"x" * (4 << 20)  # more than a socket takes


class Hearing(Protocol):
    def __init__(self) -> None:
        self.heard = b""
        self.ended = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.ended = True


class Place:
    """A listening socket, and a client that is connected to it."""

    def __init__(self) -> None:
        self.reactor: Any = SelectReactor()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.protocol = Hearing()
        self.connecting = self.dial(self.listening.getsockname()[1])

    def dial(self, port: int) -> Any:
        endpoint = TCP4ClientEndpoint(Dialling(self.reactor), "127.0.0.1", port)
        return connectProtocol(endpoint, self.protocol)

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(1000):
            if condition():
                return
            self.reactor.iterate(0.01)
        raise AssertionError("it does not come about")

    def connected(self) -> socket.socket:
        self.until(lambda: self.protocol.transport)
        peer, _ = self.listening.accept()
        peer.setblocking(False)
        return peer

    def close(self) -> None:
        self.listening.close()
        for descriptor in self.reactor.removeAll():
            descriptor.connectionLost(Failure(ConnectionRefusedError()))
        for descriptor in (self.reactor.waker.i, self.reactor.waker.o):
            if hasattr(descriptor, "close"):
                descriptor.close()


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.close()


def test_what_is_written_in_a_turn_leaves_at_its_end_in_one_piece(place: Place) -> None:
    peer = place.connected()
    transport: Any = place.protocol.transport
    assert isinstance(transport, GatheringClient)
    transport.write(b"MAIL\r\n")
    transport.write(b"RCPT\r\n")
    assert transport not in place.reactor.getWriters()
    place.reactor.iterate(0)
    assert peer.recv(100) == b"MAIL\r\nRCPT\r\n"
    peer.sendall(b"250 ok\r\n")
    place.until(lambda: place.protocol.heard)
    assert place.protocol.heard == b"250 ok\r\n"
    peer.close()
    place.until(lambda: place.protocol.ended)


def test_what_the_socket_does_not_take_follows(place: Place) -> None:
    peer = place.connected()
    transport: Any = place.protocol.transport
    transport.write(MUCH)
    transport.loseConnection()
    heard = 0

    def drained() -> bool:
        nonlocal heard
        with contextlib.suppress(BlockingIOError):
            heard += len(peer.recv(1 << 20))
        return heard == len(MUCH)

    place.until(drained)
    place.until(lambda: place.protocol.ended)
    peer.close()


def test_a_refusal_is_told(place: Place) -> None:
    place.connected().close()
    unused = socket.create_server(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    unused.close()
    told: list[Failure] = []
    place.dial(port).addErrback(told.append)
    place.until(lambda: told)
    assert told[0].check(ConnectionRefusedError)


def test_a_reactor_without_sockets_dials_as_it_does() -> None:
    reactor = MemoryReactorClock()
    TCP4ClientEndpoint(Dialling(reactor), "192.0.2.1", 25).connect(None)  # type: ignore[arg-type]
    assert [call[:2] for call in reactor.tcpClients] == [("192.0.2.1", 25)]
