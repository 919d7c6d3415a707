"""TCP in the simulation: Twisted's transports on simulated sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
    serverFromString,
)
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IPullProducer,
    IPushProducer,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.task import LoopingCall, deferLater
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.testing.network import EPOCH, Host, SimNetwork
from tests.unit.testing.talkers import HalfTalker, Talker, Talkers, result_of


@pytest.fixture
def network() -> Iterator[SimNetwork]:
    network = SimNetwork(1)
    yield network
    network.close()


@pytest.fixture
def client(network: SimNetwork) -> Host:
    return network.host("client", "10.0.0.1", "2001:db8::1")


@pytest.fixture
def server(network: SimNetwork) -> Host:
    return network.host("server", "10.0.0.2", "2001:db8::2")


def listen(host: Host, factory: Talkers, endpoint: str = "tcp:25:interface=10.0.0.2") -> Any:
    return result_of(serverFromString(host.reactor, endpoint).listen(factory))


def connect(network: SimNetwork, host: Host, talker: Talker, **options: Any) -> Any:
    endpoint = TCP4ClientEndpoint(host.reactor, "10.0.0.2", 25, **options)
    return connectProtocol(endpoint, talker)


def pair(
    network: SimNetwork, client: Host, server: Host, kind: type[Talker] = Talker
) -> tuple[Any, Any]:
    factory = Talkers(kind)
    listen(server, factory)
    near = kind()
    connect(network, client, near)
    assert network.run_until(lambda: factory.made and near.wire, 5)
    return near, factory.made[0]


def test_a_reactor_has_the_interfaces(client: Host) -> None:
    for interface in (IReactorTime, IReactorTCP, IReactorUDP):
        verifyObject(interface, client.reactor)
    with pytest.raises(NotImplementedError, match="child processes"):
        client.reactor.spawnProcess()


def test_endpoints_meet(network: SimNetwork, client: Host, server: Host) -> None:
    factory = Talkers(greeting=b"220 hello\r\n")
    port = listen(server, factory)
    near = Talker(b"EHLO\r\n")
    connect(network, client, near)
    network.run(1)
    [far] = factory.made
    assert (near.heard, far.heard) == (b"220 hello\r\n", b"EHLO\r\n")
    assert port.getHost() == IPv4Address("TCP", "10.0.0.2", 25)
    assert near.wire.getPeer() == IPv4Address("TCP", "10.0.0.2", 25)
    assert far.wire.getPeer() == near.wire.getHost()
    assert far.wire.getPeer().host == "10.0.0.1"
    assert ITCPTransport.providedBy(far.wire)
    assert IHalfCloseableDescriptor.providedBy(far.wire)
    assert not ITLSTransport.providedBy(far.wire)
    far.wire.setTcpNoDelay(True)
    assert far.wire.getTcpNoDelay()
    with pytest.raises(NotImplementedError):
        near.wire.startTLS(None)


def test_ipv6_names_and_unix_sockets(network: SimNetwork, client: Host, server: Host) -> None:
    network.names["server.example"] = ["10.0.0.2"]
    factory = Talkers(greeting=b"hello")
    listen(server, factory)
    server.reactor.listenTCP(26, factory, interface="2001:db8::2")
    server.reactor.listenUNIX("/run/x.sock", factory)
    talkers = [Talker(), Talker(), Talker(), Talker()]
    connectProtocol(TCP6ClientEndpoint(client.reactor, "2001:db8::2", 26), talkers[0])
    connectProtocol(HostnameEndpoint(client.reactor, "server.example", 25), talkers[1])
    connectProtocol(UNIXClientEndpoint(server.reactor, "/run/x.sock"), talkers[2])
    failed = connectProtocol(UNIXClientEndpoint(client.reactor, "/run/x.sock"), talkers[3])
    network.run(2)
    assert [talker.heard for talker in talkers] == [b"hello"] * 3 + [b""]
    assert isinstance(result_of(failed), ConnectionRefusedError)


def test_loopback_is_the_host_itself(network: SimNetwork, client: Host) -> None:
    factory = Talkers(greeting=b"me")
    client.reactor.listenTCP(25, factory)
    near = Talker()
    connectProtocol(TCP4ClientEndpoint(client.reactor, "127.0.0.1", 25), near)
    network.run(1)
    assert near.heard == b"me"
    assert factory.made[0].wire.getPeer().host == "127.0.0.1"


def test_an_address_can_be_taken_once(client: Host, server: Host) -> None:
    listen(server, Talkers())
    with pytest.raises(CannotListenError):
        server.reactor.listenTCP(25, Talkers(), interface="10.0.0.2")
    with pytest.raises(CannotListenError):
        server.reactor.listenTCP(25, Talkers(), interface="10.0.0.1")


def test_any_split_is_met_and_order_is_kept(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server)
    data = bytes(range(256)) * 4
    sizes = set()
    for _ in range(60):
        far.pieces.clear()
        near.wire.write(data)
        network.run(1)
        assert far.heard == data
        sizes.add(len(far.pieces))
    assert sizes >= {1, 2, 3, 4, 5}


def test_a_reader_that_pauses_makes_the_writer_wait(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server)
    producer = Endless(near.wire)
    near.wire.registerProducer(producer, True)
    far.wire.pauseProducing()
    network.run(5)
    assert producer.is_paused
    assert producer.sent < 400_000
    assert far.heard == b""
    stuck = producer.sent
    far.wire.resumeProducing()
    network.run(1)
    assert producer.sent > 4 * stuck
    producer.end()
    network.run(5)
    assert len(far.heard) == producer.sent


@implementer(IPushProducer)
class Endless:
    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.sent = 0
        self.is_paused = self.is_over = False
        wire.reactor.callLater(0, self.resumeProducing)

    def end(self) -> None:
        self.is_over = True
        self.wire.unregisterProducer()

    def pauseProducing(self) -> None:
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.is_paused = False
        while not (self.is_paused or self.is_over):
            self.wire.write(bytes(8192))
            self.sent += 8192

    def stopProducing(self) -> None:
        self.is_over = True


@implementer(IPullProducer)
class Pulled:
    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.left = 10

    def resumeProducing(self) -> None:
        self.wire.write(b"piece ")
        self.left -= 1
        if not self.left:
            self.wire.unregisterProducer()
            self.wire.loseConnection()

    def stopProducing(self) -> None:
        self.left = 0


def test_pull_producers_are_pulled(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server)
    near.wire.registerProducer(Pulled(near.wire), False)
    network.run(1)
    assert far.heard == b"piece " * 10
    assert isinstance(far.lost, ConnectionDone)


def test_close_sends_what_was_written_first(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server)
    data = bytes(300_000)
    near.wire.write(data)
    near.wire.loseConnection()
    network.run(5)
    assert far.heard == data
    assert isinstance(far.lost, ConnectionDone)
    assert isinstance(near.lost, ConnectionDone)


def test_an_abort_drops_what_was_written(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server)
    near.wire.write(b"never sent")
    near.wire.abortConnection()
    network.run(1)
    assert far.heard == b""
    assert isinstance(far.lost, ConnectionLost)


def test_data_for_a_closed_connection_is_answered_with_a_reset(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server, HalfTalker)
    near.wire.loseConnection()
    network.run(1)
    assert far.read_lost
    assert far.lost is None
    far.wire.write(b"too late")
    network.run(1)
    assert far.lost is None  # neither reading nor writing, it cannot notice
    far.wire.write(b"and again")
    network.run(1)
    assert isinstance(far.lost, ConnectionLost)


def test_half_close(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server, HalfTalker)
    near.wire.write(b"question")
    near.wire.loseWriteConnection()
    network.run(1)
    assert (far.heard, far.read_lost, near.write_lost) == (b"question", True, True)
    far.wire.write(b"answer")
    far.wire.loseConnection()
    network.run(1)
    assert near.heard == b"answer"
    assert isinstance(far.lost, ConnectionDone)
    assert near.read_lost


def test_connections_wait_in_the_backlog(network: SimNetwork, client: Host, server: Host) -> None:
    factory = Talkers(greeting=b"hello")
    port: Any = server.reactor.listenTCP(25, factory, backlog=2, interface="10.0.0.2")
    port.stopReading()
    talkers = [Talker() for _ in range(3)]
    for talker in talkers:
        connect(network, client, talker)
    network.run(0.5)
    assert not factory.made
    assert sum(talker.wire is not None for talker in talkers) == 2
    port.startReading()
    network.run(5)
    assert [talker.heard for talker in talkers] == [b"hello"] * 3


def test_nobody_listens(network: SimNetwork, client: Host, server: Host) -> None:
    connecting = connect(network, client, Talker())
    network.run(1)
    assert isinstance(result_of(connecting), ConnectionRefusedError)


def test_nobody_answers(network: SimNetwork, client: Host) -> None:
    connecting = connect(network, client, Talker(), timeout=20)
    network.run(19.9)
    assert result_of(connecting) is None
    network.run(0.2)
    assert isinstance(result_of(connecting), TimeoutError)


def test_a_port_that_was_stopped_refuses(network: SimNetwork, client: Host, server: Host) -> None:
    port = listen(server, Talkers())
    stopping = port.stopListening()
    network.run(0.1)
    connecting = connect(network, client, Talker())
    network.run(1)
    assert isinstance(result_of(connecting), ConnectionRefusedError)
    assert result_of(stopping) is None
    listen(server, Talkers())


def test_an_error_in_a_protocol_ends_its_connection_and_is_logged(
    network: SimNetwork, client: Host, server: Host
) -> None:
    log = network.capture_log()

    class Broken(Talker):
        def dataReceived(self, data: bytes) -> None:
            raise ValueError("broken")

    factory = Talkers(Broken)
    listen(server, factory)
    near = Talker(b"anything")
    connect(network, client, near)
    network.run(1)
    assert isinstance(factory.made[0].lost, ValueError)
    assert isinstance(near.lost, ConnectionDone)
    [logged] = log.failures()
    assert logged.host == "server"
    assert isinstance(logged.failure and logged.failure.value, ValueError)


def test_timers(network: SimNetwork, client: Host) -> None:
    calls: list[Any] = []
    reactor = client.reactor

    def note(what: str) -> None:
        calls.append((round(network.now - EPOCH, 6), what))

    first = reactor.callLater(1, note, "first")
    moved = reactor.callLater(1, note, "moved")
    dropped = reactor.callLater(1.5, note, "dropped")
    sooner = reactor.callLater(9, note, "sooner")
    moved.delay(1)
    sooner.reset(0.5)
    dropped.cancel()
    assert first.getTime() == EPOCH + 1
    assert reactor.getDelayedCalls() == [sooner, first, moved]
    network.run(3)
    assert calls == [(0.5, "sooner"), (1, "first"), (2, "moved")]
    assert network.now == EPOCH + 3
    assert not first.active()


def test_loops_and_pauses_run_on_it(network: SimNetwork, client: Host) -> None:
    ticks: list[float] = []
    loop = LoopingCall(lambda: ticks.append(network.now - EPOCH))
    loop.clock = client.reactor
    loop.start(10)
    later = deferLater(client.reactor, 25, lambda: "later")
    network.run(30)
    assert ticks == [0, 10, 20, 30]
    assert result_of(later) == "later"
