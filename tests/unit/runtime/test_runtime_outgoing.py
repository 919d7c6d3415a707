from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from mailframe.runtime.outgoing import GatheringServer, GatheringUnixServer, Outgoing

MUCH = b"x" * (8 << 20)  # more than any socket takes


class Selecting(Clock):
    """A reactor that notes which descriptors it is asked to watch."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: set[Any] = set()
        self.writing: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.reading.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.reading.discard(reader)

    def addWriter(self, writer: Any) -> None:
        self.writing.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writing.discard(writer)

    def turn(self) -> None:
        """What is due now, and not what that asks for: as reactors do, and clocks do not."""
        due, self.calls = self.calls, []
        for call in due:
            call.func(*call.args, **call.kw)


class Noting(Protocol):
    def __init__(self) -> None:
        self.lost: list[type[BaseException]] = []

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.lost.append(reason.type)


class Producer:
    """Told of by what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Wire:
    """A connection that was accepted, and the socket at its other end."""

    def __init__(self, reactor: Selecting, port: Any) -> None:
        ours, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        self.protocol = Noting()
        self.transport: Any = port.transport(
            ours, self.protocol, ("192.0.2.1", 1025), port, 0, reactor
        )
        self.protocol.makeConnection(self.transport)

    def heard(self) -> bytes:
        """What has arrived; waits for nothing."""
        try:
            return self.peer.recv(1 << 20)
        except BlockingIOError:
            return b""


class Place:
    def __init__(self) -> None:
        self.reactor = Selecting()
        self.port = tcp.Port(0, Factory(), reactor=self.reactor)
        Outgoing(self.reactor).serve(self.port)  # type: ignore[arg-type]
        self.wires: list[Wire] = []

    def wire(self) -> Wire:
        self.wires.append(Wire(self.reactor, self.port))
        return self.wires[-1]


@contextmanager
def logging() -> Iterator[list[dict[str, Any]]]:
    logged: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(logged.append)
    try:
        yield logged
    finally:
        globalLogPublisher.removeObserver(logged.append)


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    for wire in place.wires:
        wire.peer.close()
        wire.transport.connectionLost(Failure(ConnectionDone()))


def test_what_was_written_in_a_turn_leaves_at_its_end(place: Place) -> None:
    one, other = place.wire(), place.wire()
    one.transport.write(b"250 ")
    one.transport.writeSequence([b"2.0.0 ", b"Ok\r\n"])
    other.transport.write(b"220 hello\r\n")
    assert one.heard() == b""
    assert len(place.reactor.getDelayedCalls()) == 1
    place.reactor.turn()
    assert one.heard() == b"250 2.0.0 Ok\r\n"
    assert other.heard() == b"220 hello\r\n"
    assert not place.reactor.writing


def test_only_a_socket_that_is_full_is_watched(place: Place) -> None:
    wire, producer = place.wire(), Producer()
    wire.transport.registerProducer(producer, True)
    wire.transport.write(MUCH)
    place.reactor.turn()
    place.reactor.turn()
    assert producer.told == ["pause"]
    got = 0
    for _ in range(1000):
        while data := wire.heard():
            got += len(data)
        if wire.transport in place.reactor.writing:
            wire.transport.doWrite()
        place.reactor.turn()
    assert got == len(MUCH)
    assert producer.told == ["pause", "resume"]
    assert not place.reactor.writing
    wire.transport.write(b"more")
    place.reactor.turn()
    assert wire.heard() == b"more"


def test_the_last_reply_is_sent_before_the_end(place: Place) -> None:
    wire = place.wire()
    wire.transport.write(b"221 2.0.0 Bye\r\n")
    wire.transport.loseConnection()
    assert wire.protocol.lost == []
    place.reactor.turn()
    assert wire.protocol.lost == [ConnectionDone]
    assert wire.peer.recv(100) == b"221 2.0.0 Bye\r\n"
    assert wire.peer.recv(100) == b""
    assert not place.reactor.reading


def test_a_write_to_a_peer_that_is_gone_fails_by_the_end_of_the_turn(place: Place) -> None:
    wire = place.wire()
    wire.peer.close()
    wire.transport.write(b"250 2.0.0 Ok\r\n")
    assert wire.protocol.lost == []
    place.reactor.turn()
    assert wire.protocol.lost == [ConnectionLost]


def test_an_aborted_connection_sends_nothing(place: Place) -> None:
    wire = place.wire()
    wire.transport.write(b"250 2.0.0 Ok\r\n")
    wire.transport.abortConnection()
    place.reactor.turn()
    assert wire.protocol.lost == [ConnectionAborted]
    assert not place.reactor.writing
    assert wire.peer.recv(100) == b""


def test_a_connection_that_is_lost_within_the_turn_is_left_alone(place: Place) -> None:
    wire = place.wire()
    wire.transport.write(b"250 2.0.0 Ok\r\n")
    wire.transport.connectionLost(Failure(ConnectionDone()))
    with logging() as logged:
        place.reactor.turn()
    assert logged == []
    assert wire.protocol.lost == [ConnectionDone]


# At once


def test_who_has_said_all_does_not_wait_for_the_end_of_the_turn(place: Place) -> None:
    wire = place.wire()
    wire.transport.write_now(b"+OK\r\n")
    assert wire.heard() == b"+OK\r\n"
    assert not place.reactor.getDelayedCalls()
    assert not place.reactor.writing
    wire.transport.write(b"more")
    place.reactor.turn()
    assert wire.heard() == b"more"


def test_at_once_does_not_overtake(place: Place) -> None:
    wire = place.wire()
    wire.transport.write(b"first ")
    wire.transport.write_now(b"second")
    place.reactor.turn()
    assert wire.heard() == b"first second"


def test_much_waits_for_the_end_of_the_turn(place: Place) -> None:
    wire, producer = place.wire(), Producer()
    wire.transport.registerProducer(producer, True)
    wire.transport.write_now(b"x" * (1 << 16 | 1))
    assert wire.heard() == b""
    assert producer.told == ["pause"]
    wire.transport.write_now(b"")
    place.reactor.turn()
    assert wire.heard() == b"x" * (1 << 16 | 1)


def test_what_a_full_socket_does_not_take_at_once_is_sent_later(place: Place) -> None:
    wire = place.wire()
    sent = got = 0
    while wire.transport not in place.reactor.writing:
        wire.transport.write_now(b"x" * (1 << 15))
        sent += 1 << 15
    while data := wire.heard():
        got += len(data)
    wire.transport.write_now(b"y")
    assert wire.transport in place.reactor.writing, "until the kernel tells that there is room"
    for _ in range(1000):
        while data := wire.heard():
            got += len(data)
        if wire.transport in place.reactor.writing:
            wire.transport.doWrite()
        place.reactor.turn()
    assert got == sent + 1
    assert not place.reactor.writing


def test_at_once_to_a_peer_that_is_gone_fails_by_the_end_of_the_turn(place: Place) -> None:
    wire = place.wire()
    wire.peer.close()
    wire.transport.write_now(b"+OK\r\n")
    assert wire.protocol.lost == []
    wire.transport.write_now(b"+OK\r\n")
    place.reactor.turn()
    assert wire.protocol.lost == [ConnectionLost]


def test_at_once_after_the_end_is_nothing(place: Place) -> None:
    wire = place.wire()
    wire.transport.connectionLost(Failure(ConnectionDone()))
    with logging() as logged:
        wire.transport.write_now(b"+OK\r\n")
        place.reactor.turn()
    assert logged == []
    assert wire.protocol.lost == [ConnectionDone]


def test_a_producer_is_asked_once_a_turn(place: Place) -> None:
    """So that no connection keeps the others from theirs."""
    wire = place.wire()
    asked: list[int] = []

    class Endless(Producer):
        def resumeProducing(self) -> None:
            asked.append(1)
            wire.transport.write(b"line\r\n")

    wire.transport.registerProducer(Endless(), False)
    for turn in range(1, 5):
        assert len(asked) == turn
        place.reactor.turn()
    wire.transport.unregisterProducer()


def test_a_producer_that_fails_ends_its_connection_and_no_other(place: Place) -> None:
    class Broken(Producer):
        def resumeProducing(self) -> None:
            if self.told:
                raise RuntimeError("planned")
            self.told.append("resume")

    broken, whole = place.wire(), place.wire()
    broken.transport.registerProducer(Broken(), False)
    broken.transport.write(b"x")
    whole.transport.write(b"y")
    with logging() as logged:
        place.reactor.turn()
    assert broken.protocol.lost == [RuntimeError]
    assert whole.heard() == b"y"
    assert len(logged) == 1


def test_a_protocol_that_fails_at_its_end_keeps_nobody_from_sending(place: Place) -> None:
    class Broken(Protocol):
        def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
            raise RuntimeError("planned")

    broken, whole = place.wire(), place.wire()
    broken.transport.protocol = Broken()
    broken.peer.close()
    broken.transport.write(b"x")
    whole.transport.write(b"y")
    with logging() as logged:
        place.reactor.turn()
    assert whole.heard() == b"y"
    assert len(logged) == 1
    broken.transport.protocol = broken.protocol


def test_ports_of_other_kinds_are_left_alone() -> None:
    class OfAPlugin(tcp.Port):
        pass

    outgoing, reactor = Outgoing(Clock()), Selecting()
    plugin = OfAPlugin(0, Factory(), reactor=reactor)
    outgoing.serve(plugin)
    assert plugin.transport is tcp.Server
    local = unix.Port("socket", Factory(), reactor=reactor)
    outgoing.serve(local)
    assert local.transport is GatheringUnixServer


def test_a_connection_says_who_it_is(place: Place) -> None:
    transport = place.wire().transport
    assert isinstance(transport, GatheringServer)
    assert transport.logPrefix() == "Noting"
    assert repr(transport) == "<Noting #0 of 192.0.2.1>"
    assert transport.getPeer().host == "192.0.2.1"


# --- what connections have from their port --------------------------------------------------


class Accepted:
    """A port that listens at ``interface``, and one who came to 127.0.0.1."""

    def __init__(self, interface: str) -> None:
        self.reactor = Selecting()
        self.protocol = Noting()
        factory = Factory.forProtocol(lambda: self.protocol)  # type: ignore[arg-type]
        self.port = tcp.Port(0, factory, interface=interface, reactor=self.reactor)
        self.port.startListening()
        Outgoing(self.reactor).serve(self.port)  # type: ignore[arg-type]
        self.peer = socket.create_connection(("127.0.0.1", self.port.getHost().port))  # type: ignore[no-untyped-call]
        self.peer.settimeout(5)
        self.port.doRead()
        self.transport: Any = self.protocol.transport


@pytest.fixture(params=["127.0.0.1", ""], ids=["one address", "every address"])
def accepted(request: pytest.FixtureRequest) -> Iterator[Accepted]:
    made = Accepted(request.param)
    yield made
    made.peer.close()
    if made.protocol.transport is not None and not made.protocol.lost:
        made.transport.connectionLost(Failure(ConnectionDone()))
    made.port.stopListening()
    made.reactor.turn()


def test_it_knows_its_own_address(accepted: Accepted) -> None:
    host = accepted.transport.getHost()
    assert (host.host, host.port) == accepted.peer.getpeername()


def test_small_pieces_wait_for_no_acknowledgement(accepted: Accepted) -> None:
    accepted.transport.setTcpNoDelay(True)
    assert accepted.transport.getTcpNoDelay()
    accepted.transport.setTcpNoDelay(False)
    assert not accepted.transport.getTcpNoDelay()


def test_the_peer_reads_all_and_then_the_end(accepted: Accepted) -> None:
    accepted.transport.write(b"bye")
    accepted.transport.loseConnection()
    accepted.reactor.turn()
    assert accepted.protocol.lost == [ConnectionDone]
    assert accepted.peer.recv(10) == b"bye"
    assert accepted.peer.recv(10) == b""
