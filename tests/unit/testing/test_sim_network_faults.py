"""Faults on links, the life and death of hosts, datagrams, and one history a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dns.message
import dns.rrset
import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost, TimeoutError
from twisted.internet.protocol import DatagramProtocol

from mailframe.dns import DnsResolver
from mailframe.errors import DnsTemporary
from mailframe.testing.network import Host, SimNetwork
from tests.unit.testing.talkers import Talker, Talkers, result_of


@pytest.fixture
def network() -> Iterator[SimNetwork]:
    network = SimNetwork(1)
    yield network
    network.close()


@pytest.fixture
def client(network: SimNetwork) -> Host:
    return network.host("client", "10.0.0.1")


@pytest.fixture
def server(network: SimNetwork) -> Host:
    return network.host("server", "10.0.0.2")


def pair(network: SimNetwork, client: Host, server: Host) -> tuple[Any, Any]:
    factory = Talkers()
    if (("10.0.0.2", 25)) not in server.listeners:
        server.reactor.listenTCP(25, factory, interface="10.0.0.2")
    near = Talker()
    connectProtocol(TCP4ClientEndpoint(client.reactor, "10.0.0.2", 25), near)
    assert network.run_until(lambda: factory.made and near.wire, 5)
    return near, factory.made[0]


# Links


def test_a_partition_is_silence_until_it_ends(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server)
    link = network.link("client", "10.0.0.2")
    link.partition()
    near.wire.write(b"are you there?")
    late = connectProtocol(TCP4ClientEndpoint(client.reactor, "10.0.0.2", 25, timeout=10), Talker())
    network.run(3600)
    assert (far.heard, far.lost, near.lost) == (b"", None, None)
    assert isinstance(result_of(late), TimeoutError)
    link.partition(False)
    network.run(5)
    assert far.heard == b"are you there?"


def test_a_partition_may_be_one_way(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server)
    network.link("client", "server").partition(sender="client")
    near.wire.write(b"question")
    far.wire.write(b"news")
    network.run(60)
    assert (far.heard, near.heard) == (b"", b"news")


def test_a_cut_keeps_what_came_before_it(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server)
    network.link("client", "server").cut_after(6, sender="server")
    near.wire.write(b"x" * 1000)
    far.wire.write(b"250 2.0.0 Ok\r\n")
    network.run(5)
    assert near.heard == b"250 2."
    assert isinstance(near.lost, ConnectionLost)
    assert isinstance(far.lost, ConnectionLost)


def test_a_cutter_sees_what_is_sent(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server)
    link: Any = network.link("client", "server")
    link.cutter = lambda sender, data: 0 if data.startswith(b"250") else None
    far.wire.write(b"354 go ahead\r\n")
    network.run(1)
    far.wire.write(b"250 2.0.0 Ok\r\n")
    network.run(1)
    assert near.heard == b"354 go ahead\r\n"
    assert isinstance(near.lost, ConnectionLost)
    assert isinstance(far.lost, ConnectionLost)


def test_faults_of_any_link_hold_for_links_to_come(network: SimNetwork) -> None:
    network.link("*", "*").set(delay=1.0, jitter=0.0)
    network.link("server", "*").set(delay=3.0)
    client, server = network.host("client", "10.0.0.1"), network.host("server", "10.0.0.2")
    began = network.now
    factory = Talkers()
    server.reactor.listenTCP(25, factory)
    connectProtocol(TCP4ClientEndpoint(client.reactor, "10.0.0.2", 25), Talker())
    network.run_until(lambda: factory.made, 60)
    assert network.now - began == pytest.approx(3.0)


def test_reset_ends_connections_under_way(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server)
    network.link("client", "server").reset()
    network.run(1)
    assert isinstance(near.lost, ConnectionLost)
    assert isinstance(far.lost, ConnectionLost)


def test_lost_segments_are_late_and_in_order(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server)
    network.link("client", "server").set(loss=0.5)
    began = network.now
    for number in range(20):
        near.wire.write(b"%d " % number)
        network.run(0.01)
    network.run_until(lambda: far.heard.endswith(b" 19 "), 600)
    assert far.heard == b"".join(b"%d " % number for number in range(20))
    assert network.now - began > 1


# Hosts


def test_a_killed_process_runs_no_more_and_its_kernel_says_goodbye(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server)
    calls: list[str] = []
    dead = server.reactor
    dead.callLater(1, calls.append, "timer")
    far.wire.write(b"never handed to the kernel")
    server.kill()
    dead.callLater(0, calls.append, "later")
    dead.callFromThread(calls.append, "thread")
    near.wire.write(b"hello?")
    network.run(60)
    assert calls == []
    assert dead.getDelayedCalls() == []
    assert (near.heard, far.heard) == (b"", b"")
    assert isinstance(near.lost, ConnectionDone | ConnectionLost)
    assert far.lost is None


def test_what_a_killed_process_gave_to_the_kernel_arrives(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, far = pair(network, client, server)
    far.wire.write(b"250 Ok\r\n")
    network.run(0.0)
    server.kill()
    network.run(1)
    assert near.heard == b"250 Ok\r\n"
    assert isinstance(near.lost, ConnectionDone)


def test_without_power_there_is_silence_until_the_host_is_back(
    network: SimNetwork, client: Host, server: Host
) -> None:
    near, _ = pair(network, client, server)
    server.lose_power()
    near.wire.write(b"hello?")
    attempt = connectProtocol(
        TCP4ClientEndpoint(client.reactor, "10.0.0.2", 25, timeout=30), Talker()
    )
    network.run(600)
    assert near.lost is None
    assert isinstance(result_of(attempt), TimeoutError)
    server.boot()
    network.run(60)
    assert isinstance(near.lost, ConnectionLost)
    again, _ = pair(network, client, server)
    assert again.wire.connected


def test_a_paused_process_catches_up(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = pair(network, client, server)
    calls: list[float] = []
    server.reactor.callLater(1, lambda: calls.append(network.now))
    resumed = network.now + 100
    server.pause(100)
    near.wire.write(b"hello?")
    network.run(99)
    assert (calls, far.heard) == ([], b"")
    network.run(2)
    assert calls == [pytest.approx(resumed)]
    assert far.heard == b"hello?"


def test_a_clock_that_is_set_moves_no_timer(network: SimNetwork, client: Host) -> None:
    calls: list[float] = []
    reactor = client.reactor
    timer = reactor.callLater(10, lambda: calls.append(reactor.seconds()))
    began = network.now
    client.set_clock(-86_400)
    assert reactor.seconds() == began - 86_400
    assert timer.getTime() == began - 86_400 + 10
    network.run(10)
    assert calls == [pytest.approx(began - 86_400 + 10)]


# Datagrams


class Datagrams(DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.refused = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.heard.append(datagram)
        if datagram == b"ping":
            assert self.transport is not None
            self.transport.write(b"pong", addr)

    def connectionRefused(self) -> None:
        self.refused += 1


def test_datagrams_get_lost_and_come_twice(network: SimNetwork, client: Host, server: Host) -> None:
    near, far = Datagrams(), Datagrams()
    server.reactor.listenUDP(53, far, interface="10.0.0.2")
    port = client.reactor.listenUDP(0, near)
    port.write(b"ping", ("10.0.0.2", 53))
    network.run(1)
    assert near.heard == [b"pong"]
    network.link("client", "server").set(loss=0.5)
    for _ in range(200):
        port.write(b"x", ("10.0.0.2", 53))
    network.run(1)
    assert 60 < len(far.heard) < 140
    network.link("client", "server").set(loss=0.0, duplicates=1.0)
    far.heard.clear()
    port.write(b"y", ("10.0.0.2", 53))
    network.run(1)
    assert far.heard == [b"y", b"y"]
    network.link("client", "server").partition()
    port.write(b"z", ("10.0.0.2", 53))
    network.run(1)
    assert far.heard == [b"y", b"y"]


class NameServer(DatagramProtocol):
    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        assert self.transport is not None
        query = dns.message.from_wire(datagram)
        reply = dns.message.make_response(query)
        if query.question[0].rdtype.name == "A":
            reply.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.9")]
        self.transport.write(reply.to_wire(), addr)


def test_the_resolver_asks_over_it(network: SimNetwork, client: Host, server: Host) -> None:
    resolver = DnsResolver(client.reactor, [("10.0.0.2", 53)], network.random, timeouts=(2.0,))
    refused = resolver.addresses("a.example")
    network.run(1)
    error = result_of(refused)
    assert isinstance(error, DnsTemporary)
    assert "nobody listens" in str(error)
    server.reactor.listenUDP(53, NameServer(), interface="10.0.0.2")
    found = resolver.addresses("b.example")
    network.run(1)
    assert result_of(found) == ("192.0.2.9",)
    network.link("client", "server").partition()
    lost = resolver.addresses("c.example")
    network.run(10)
    assert "in time" in str(result_of(lost))
    assert not client.datagrams


# History


def play(seed: int) -> SimNetwork:
    network = SimNetwork(seed)
    client, server = network.host("client", "10.0.0.1"), network.host("server", "10.0.0.2")
    network.link("*", "*").set(loss=0.1)
    near, far = pair(network, client, server)
    for number in range(20):
        near.wire.write(b"line %d\r\n" % number)
        far.wire.write(b"reply %d\r\n" % number)
        network.run(0.1)
    network.run(10)
    assert far.heard.count(b"\n") == 20
    network.close()
    return network


def test_one_seed_is_one_history() -> None:
    assert play(7).events_hash == play(7).events_hash
    assert play(7).events_hash != play(8).events_hash


def test_a_story_tells_what_happened(network: SimNetwork, client: Host, server: Host) -> None:
    network.story = []
    near, _ = pair(network, client, server)
    near.wire.write(b"MAIL FROM:<>")
    network.run(1)
    server.kill()
    told = "\n".join(network.story)
    for words in ("connected", "data", "killed"):
        assert words in told


def test_failures_that_nobody_saw_are_in_the_log(network: SimNetwork, client: Host) -> None:
    log = network.capture_log()

    def forget() -> None:
        cycle: list[Any] = [fail(ValueError("forgotten"))]
        cycle.append(cycle)

    client.reactor.callLater(1, forget)
    network.run(2)
    assert log.failures() == []
    network.collect()
    [logged] = log.failures()
    assert isinstance(logged.failure and logged.failure.value, ValueError)


def test_the_dead_do_not_even_run_their_finally(network: SimNetwork, client: Host) -> None:
    done: list[str] = []

    async def work(waiting: Deferred[None]) -> None:
        try:
            await waiting
        finally:
            done.append("finally")

    waiting: Deferred[None] = Deferred()
    client.reactor.callLater(5, waiting.callback, None)
    Deferred.fromCoroutine(work(waiting))
    del waiting
    client.kill()
    network.run(10)
    network.collect()
    assert done == []
