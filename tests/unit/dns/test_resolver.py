"""The resolver against scripted name servers, without a network."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from mailframe.dns import DnsResolver
from mailframe.dns.system import system_servers
from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost
from tests.unit.runtime.loops import turn

SERVER = ("192.0.2.53", 53)
OTHER = ("192.0.2.54", 53)

Script = Callable[[dns.message.Message], "dns.message.Message | bytes | None"]


class UdpPort:
    def __init__(self, reactor: Network, protocol: Any) -> None:
        self.reactor = reactor
        self.protocol = protocol
        self.open = True
        self.address: tuple[str, int] = ("", 0)

    def connect(self, host: str, port: int) -> None:
        self.address = (host, port)

    def write(self, datagram: bytes, address: None = None) -> None:
        self.reactor.asked.append((self.address, datagram))
        script = self.reactor.servers.get(self.address)
        if script is None:
            return
        reply = script(dns.message.from_wire(datagram))
        if reply is not None:
            wire = reply if isinstance(reply, bytes) else reply.to_wire()
            self.reactor.callLater(0.01, self.hear, wire)

    def hear(self, wire: bytes, address: tuple[str, int] | None = None) -> None:
        if self.open:
            self.protocol.datagramReceived(wire, address or self.address)

    def stopListening(self) -> None:
        self.open = False


class Network(MemoryReactorClock):
    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[tuple[str, int], Script] = {}
        self.asked: list[tuple[tuple[str, int], bytes]] = []
        self.ports: list[UdpPort] = []

    def listenUDP(self, port: int, protocol: Any, **options: Any) -> UdpPort:
        made = UdpPort(self, protocol)
        self.ports.append(made)
        protocol.transport = made
        protocol.startProtocol()
        return made


def answer(query: dns.message.Message, *records: str, **sections: Any) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.answer = [rrset(text) for text in records]
    reply.authority = [rrset(text) for text in sections.get("authority", ())]
    reply.set_rcode(sections.get("rcode", dns.rcode.NOERROR))
    return reply


def rrset(text: str) -> Any:
    name, ttl, rdtype, data = text.split(" ", 3)
    return dns.rrset.from_text(name, int(ttl), "IN", rdtype, *data.split(" | "))


def soa(ttl: int, minimum: int) -> str:
    return f"example. {ttl} SOA ns.example. root.example. 1 2 3 4 {minimum}"


class Asked:
    """Every question gets ``records`` of its own type."""

    def __init__(self, *records: str, **sections: Any) -> None:
        self.records = records
        self.sections = sections

    def __call__(self, query: dns.message.Message) -> dns.message.Message:
        kind = query.question[0].rdtype.name
        fitting = [r for r in self.records if r.split(" ")[2] in (kind, "CNAME")]
        return answer(query, *fitting, **self.sections)


@pytest.fixture
def network() -> Network:
    return Network()


def resolver(network: Network, *servers: tuple[str, int], **options: Any) -> DnsResolver:
    return DnsResolver(network, servers or (SERVER,), Random(7), **options)


def result(network: Network, deferred: Deferred[Any], patience: float = 100) -> Any:
    """What it comes to; an exception instance where it failed."""
    caught: list[Any] = []
    deferred.addBoth(caught.append)
    waited = 0.0
    while not caught and waited < patience:
        network.advance(0.01)
        waited += 0.01
    assert caught, "still waiting"
    assert all(not port.open for port in network.ports), "a socket was left open"
    return caught[0].value if isinstance(caught[0], Failure) else caught[0]


def test_it_provides_the_interface(network: Network) -> None:
    verifyObject(IResolver, resolver(network))


def test_mx_records_and_the_null_mx(network: Network) -> None:
    network.servers[SERVER] = Asked("a.example. 60 MX 10 Mx1.a.example. | 20 mx2.a.example.")
    found = result(network, resolver(network).mx("A.Example."))
    assert set(found) == {MxHost(10, "mx1.a.example"), MxHost(20, "mx2.a.example")}
    network.servers[SERVER] = Asked("a.example. 60 MX 0 .")
    assert result(network, resolver(network).mx("a.example")) == (MxHost(0, ""),)


def test_addresses_are_ipv6_first(network: Network) -> None:
    network.servers[SERVER] = Asked("a.example. 60 A 192.0.2.1", "a.example. 60 AAAA 2001:db8::1")
    found = result(network, resolver(network).addresses("a.example"))
    assert found == ("2001:db8::1", "192.0.2.1")


def test_one_address_family_failing_does_not_hide_the_other(network: Network) -> None:
    def script(query: dns.message.Message) -> dns.message.Message:
        if query.question[0].rdtype.name == "AAAA":
            return answer(query, rcode=dns.rcode.SERVFAIL)
        return answer(query, "a.example. 60 A 192.0.2.1")

    network.servers[SERVER] = script
    assert result(network, resolver(network).addresses("a.example")) == ("192.0.2.1",)


def test_one_family_failing_and_the_other_empty_is_temporary(network: Network) -> None:
    def script(query: dns.message.Message) -> dns.message.Message:
        failed = query.question[0].rdtype.name == "AAAA"
        return answer(query, rcode=dns.rcode.SERVFAIL if failed else dns.rcode.NOERROR)

    network.servers[SERVER] = script
    assert isinstance(result(network, resolver(network).addresses("a.example")), DnsTemporary)


def test_strings_of_a_txt_record_are_joined(network: Network) -> None:
    network.servers[SERVER] = Asked('_x.a.example. 60 TXT "v=1 " "more" | "second"')
    found = result(network, resolver(network).txt("_x.a.example"))
    assert sorted(found) == [b"second", b"v=1 more"]


def test_names_of_an_address(network: Network) -> None:
    network.servers[SERVER] = Asked("1.2.0.192.in-addr.arpa. 60 PTR mx.example.")
    assert result(network, resolver(network).ptr("192.0.2.1")) == ("mx.example",)
    assert isinstance(result(network, resolver(network).ptr("nonsense")), NoSuchDomain)


def test_no_data_no_name_and_no_answer_are_three_things(network: Network) -> None:
    network.servers[SERVER] = Asked(authority=[soa(60, 60)])
    assert result(network, resolver(network).mx("a.example")) == ()
    network.servers[SERVER] = Asked(rcode=dns.rcode.NXDOMAIN, authority=[soa(60, 60)])
    assert isinstance(result(network, resolver(network).mx("a.example")), NoSuchDomain)
    network.servers[SERVER] = Asked(rcode=dns.rcode.SERVFAIL)
    assert isinstance(result(network, resolver(network).mx("a.example")), DnsTemporary)
    network.servers[SERVER] = Asked(rcode=dns.rcode.REFUSED)
    assert isinstance(result(network, resolver(network).mx("a.example")), DnsTemporary)
    del network.servers[SERVER]
    assert isinstance(result(network, resolver(network).mx("a.example")), DnsTemporary)


def test_a_referral_is_no_answer(network: Network) -> None:
    network.servers[SERVER] = Asked(authority=["example. 60 NS ns.example."])
    assert isinstance(result(network, resolver(network).mx("a.example")), DnsTemporary)


def test_the_next_server_is_asked_when_one_fails(network: Network) -> None:
    network.servers[SERVER] = Asked(rcode=dns.rcode.SERVFAIL)
    network.servers[OTHER] = Asked("a.example. 60 MX 5 mx.example.")
    found = result(network, resolver(network, SERVER, OTHER).mx("a.example"))
    assert found == (MxHost(5, "mx.example"),)


def test_silence_is_waited_for_round_after_round(network: Network) -> None:
    silent = resolver(network, SERVER, OTHER, timeouts=(1, 2))
    assert isinstance(result(network, silent.mx("a.example")), DnsTemporary)
    assert [address for address, _ in network.asked] == [SERVER, OTHER, SERVER, OTHER]
    assert 6 <= network.seconds() < 6.5


def test_a_refused_port_is_not_waited_for(network: Network) -> None:
    asking = resolver(network, timeouts=(5,)).mx("a.example")
    network.ports[0].protocol.connectionRefused()
    assert isinstance(result(network, asking), DnsTemporary)
    assert network.seconds() < 1


def test_ids_differ_and_cannot_be_guessed_from_the_name(network: Network) -> None:
    network.servers[SERVER] = Asked(authority=[])
    asking = resolver(network)
    for number in range(50):
        result(network, asking.mx(f"a{number}.example"))
    ids = {int.from_bytes(datagram[:2], "big") for _, datagram in network.asked}
    assert len(ids) > 45


def test_datagrams_that_answer_another_question_are_ignored(network: Network) -> None:
    asking = resolver(network).mx("a.example")
    query = dns.message.from_wire(network.asked[0][1])
    good = answer(query, "a.example. 60 MX 1 good.example.")
    bad = answer(query, "a.example. 60 MX 1 forged.example.")
    wrong_id = dns.message.from_wire(bad.to_wire())
    wrong_id.id ^= 1
    other = dns.message.make_query("b.example.", "MX", id=query.id)
    (port,) = network.ports
    port.hear(wrong_id.to_wire())
    port.hear(answer(other, "b.example. 60 MX 1 forged.example.").to_wire())
    port.hear(network.asked[0][1])  # our own question come back
    port.hear(bad.to_wire(), ("198.51.100.9", 53))
    port.hear(bad.to_wire(), (SERVER[0], 5353))
    for cut in range(0, 60, 3):
        port.hear(bad.to_wire()[:cut])
    port.hear(b"\xff" * 400)
    port.hear(good.to_wire())
    assert result(network, asking) == (MxHost(1, "good.example"),)


def test_any_mutilated_answer_is_survived(network: Network) -> None:
    random = Random(1)
    query = dns.message.make_query("a.example.", "MX", id=0)
    whole = answer(query, "a.example. 60 CNAME b.example.", "b.example. 60 MX 1 m.example.")
    for _ in range(3000):
        wire = bytearray(whole.to_wire())
        for _ in range(random.randrange(1, 6)):
            wire[random.randrange(2, len(wire))] = random.randrange(256)
        fresh = Network()
        fresh.servers[SERVER] = lambda q, w=wire: q.id.to_bytes(2, "big") + bytes(w[2:])
        outcome = result(fresh, resolver(fresh, timeouts=(0.05,)).mx("a.example"))
        assert isinstance(outcome, tuple | NoSuchDomain | DnsTemporary)


def test_a_server_without_edns_is_asked_again_without(network: Network) -> None:
    def old(query: dns.message.Message) -> dns.message.Message:
        if query.edns >= 0:
            reply = dns.message.make_response(query)
            reply.use_edns(False)
            reply.set_rcode(dns.rcode.FORMERR)
            return reply
        return answer(query, "a.example. 60 MX 1 m.example.")

    network.servers[SERVER] = old
    assert result(network, resolver(network).mx("a.example")) == (MxHost(1, "m.example"),)


def test_a_cname_chain_is_followed_inside_and_across_answers(network: Network) -> None:
    def script(query: dns.message.Message) -> dns.message.Message:
        if str(query.question[0].name) == "c.example.":
            return answer(query, "c.example. 60 MX 1 m.example.")
        return answer(query, "a.example. 60 CNAME b.example.", "b.example. 60 CNAME c.example.")

    network.servers[SERVER] = script
    assert result(network, resolver(network).mx("a.example")) == (MxHost(1, "m.example"),)


def test_an_alias_of_a_missing_name_is_a_missing_name(network: Network) -> None:
    network.servers[SERVER] = Asked(
        "a.example. 60 CNAME gone.example.", rcode=dns.rcode.NXDOMAIN, authority=[soa(9, 9)]
    )
    assert isinstance(result(network, resolver(network).mx("a.example")), NoSuchDomain)


@pytest.mark.parametrize("size", [1, 2, 300])
def test_a_cname_loop_ends(network: Network, size: int) -> None:
    def script(query: dns.message.Message) -> dns.message.Message:
        number = int(str(query.question[0].name).split(".")[0][1:])
        here, there = f"n{number}.example.", f"n{(number + 1) % size}.example."
        return answer(query, f"{here} 60 CNAME {there}")

    network.servers[SERVER] = script
    assert isinstance(result(network, resolver(network).mx("n0.example")), DnsTemporary)
    assert len(network.asked) < 12


def test_a_loop_within_one_answer_ends(network: Network) -> None:
    network.servers[SERVER] = Asked(
        "a.example. 60 CNAME b.example.", "b.example. 60 CNAME a.example."
    )
    assert isinstance(result(network, resolver(network).mx("a.example")), DnsTemporary)
    assert len(network.asked) < 12


def truncating(query: dns.message.Message) -> dns.message.Message:
    reply = answer(query)
    reply.flags |= dns.flags.TC
    return reply


def tcp_connection(network: Network) -> tuple[Any, StringTransport]:
    host, port, factory = network.tcpClients[-1][:3]
    assert (host, port) == SERVER
    protocol = factory.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    return protocol, transport


def test_a_truncated_answer_is_fetched_by_tcp(network: Network) -> None:
    network.servers[SERVER] = truncating
    asking = resolver(network).txt("a.example")
    network.advance(0.02)
    protocol, transport = tcp_connection(network)
    query = dns.message.from_wire(transport.value()[2:])
    wire = answer(query, 'a.example. 60 TXT "' + "x" * 200 + '"').to_wire()
    for octet in len(wire).to_bytes(2, "big") + wire:
        protocol.dataReceived(bytes([octet]))
    assert result(network, asking) == (b"x" * 200,)
    assert transport.disconnecting


@pytest.mark.parametrize("trouble", ["closed", "silent", "garbage", "truncated"])
def test_tcp_trouble_is_temporary(network: Network, trouble: str) -> None:
    network.servers[SERVER] = truncating
    asking = resolver(network, timeouts=(1,)).txt("a.example")
    network.advance(0.02)
    protocol, transport = tcp_connection(network)
    query = dns.message.from_wire(transport.value()[2:])
    if trouble == "closed":
        protocol.connectionLost(Failure(ConnectionError()))
    if trouble == "garbage":
        protocol.dataReceived(b"\x00\x05hello")
    if trouble == "truncated":
        wire = truncating(query).to_wire()
        protocol.dataReceived(len(wire).to_bytes(2, "big") + wire)
    assert isinstance(result(network, asking), DnsTemporary)
    network.advance(0)
    assert not network.getDelayedCalls()


def test_answers_are_kept_for_their_ttl(network: Network) -> None:
    network.servers[SERVER] = Asked("a.example. 60 MX 1 m.example.")
    asking = resolver(network)
    result(network, asking.mx("a.example"))
    network.advance(55)
    result(network, asking.mx("A.EXAMPLE"))
    assert len(network.asked) == 1
    network.advance(5)
    result(network, asking.mx("a.example"))
    assert len(network.asked) == 2


def test_a_missing_name_is_kept_for_the_minimum_of_its_zone(network: Network) -> None:
    network.servers[SERVER] = Asked(rcode=dns.rcode.NXDOMAIN, authority=[soa(900, 30)])
    asking = resolver(network)
    result(network, asking.mx("a.example"))
    network.advance(29)
    result(network, asking.mx("a.example"))
    assert len(network.asked) == 1
    network.advance(2)
    result(network, asking.mx("a.example"))
    assert len(network.asked) == 2


def test_a_negative_answer_without_soa_is_not_kept(network: Network) -> None:
    network.servers[SERVER] = Asked()
    asking = resolver(network)
    result(network, asking.mx("a.example"))
    result(network, asking.mx("a.example"))
    assert len(network.asked) == 2


def test_failures_are_kept_for_a_moment(network: Network) -> None:
    network.servers[SERVER] = Asked(rcode=dns.rcode.SERVFAIL)
    asking = resolver(network, failure_ttl=5)
    first = result(network, asking.mx("a.example"))
    second = result(network, asking.mx("a.example"))
    assert isinstance(second, DnsTemporary)
    assert second is not first
    assert len(network.asked) == 1
    network.advance(6)
    network.servers[SERVER] = Asked("a.example. 60 MX 1 m.example.")
    assert result(network, asking.mx("a.example")) == (MxHost(1, "m.example"),)


def test_the_cache_is_bounded(network: Network) -> None:
    network.servers[SERVER] = lambda q: answer(q, f"{q.question[0].name} 60 MX 1 m.example.")
    asking = resolver(network, cache_size=3)
    for number in range(10):
        result(network, asking.mx(f"a{number}.example"))
    assert len(asking._cache) == 3
    result(network, asking.mx("a9.example"))
    assert len(network.asked) == 10


def test_equal_questions_under_way_share_one_answer(network: Network) -> None:
    network.servers[SERVER] = Asked("a.example. 0 MX 1 m.example.")
    asking = resolver(network)
    many = [asking.mx("a.example") for _ in range(20)]
    many[3].addErrback(lambda _: None)
    many[3].cancel()
    del many[3]
    assert {result(network, one) for one in many} == {(MxHost(1, "m.example"),)}
    assert len(network.asked) == 1


class Working(Network):
    """Its clock goes on within a turn, while somebody ``works``."""

    def works(self, seconds: float) -> None:
        self.rightNow += seconds


def _most_in_a_turn(network: Working, ask: Callable[[int], Deferred[Any]]) -> int:
    """How many of 200 who asked go on in one turn, where each works for a millisecond."""
    went_on = 0

    def go_on(_: object) -> None:
        nonlocal went_on
        went_on += 1
        network.works(0.001)

    for number in range(200):
        ask(number).addCallback(go_on)
    most = before = went_on
    while went_on < 200:
        network.rightNow += 0.001
        turn(network)
        most, before = max(most, went_on - before), went_on
    return most


def test_those_who_wait_for_one_answer_go_on_a_few_in_a_turn() -> None:
    network = Working()
    network.servers[SERVER] = Asked("a.example. 0 MX 1 m.example.")
    asking = resolver(network)
    assert 1 <= _most_in_a_turn(network, lambda _: asking.mx("a.example")) <= 5


def test_answers_that_come_together_are_heard_a_few_in_a_turn() -> None:
    network = Working()
    network.servers[SERVER] = lambda q: answer(q, f"{q.question[0].name} 60 MX 1 m.example.")
    asking = resolver(network)
    assert 1 <= _most_in_a_turn(network, lambda number: asking.mx(f"a{number}.example")) <= 5


def test_a_flood_of_wrong_answers_is_not_held(network: Network) -> None:
    """While others have their turn; the right one is asked for again."""
    busy = Working()
    busy.servers[SERVER] = lambda q: None
    asking = resolver(busy, timeouts=(1.0, 2.0))
    asked = asking.mx("a.example")
    other = asking.mx("b.example").addErrback(lambda _: busy.works(1))
    assert len(busy.ports) == 2
    for _ in range(10_000):
        busy.ports[0].hear(b"\0" * 12)
    assert len(asking._turns._waiting) <= 10
    busy.servers[SERVER] = Asked("a.example. 0 MX 1 m.example.", "b.example. 0 MX 1 m.example.")
    assert result(busy, asked) == (MxHost(1, "m.example"),)
    assert len(other.result) == 1  # type: ignore[arg-type]


def test_questions_under_way_are_bounded(network: Network) -> None:
    network.servers[SERVER] = lambda q: answer(q, f"{q.question[0].name} 60 MX 1 m.example.")
    asking = resolver(network, max_under_way=2)
    many = [asking.mx(f"a{number}.example") for number in range(9)]
    assert len(network.asked) == 2
    for _ in range(50):
        network.advance(0.01)
    assert all(len(one.result) == 1 for one in many)  # type: ignore[arg-type]


def test_nobody_waits_long_for_names_that_nobody_answers_for(network: Network) -> None:
    def serve(question: Any) -> Any:
        if "mute" in str(question.question[0].name):
            return None
        return answer(question, f"{question.question[0].name} 60 MX 1 m.example.")

    network.servers[SERVER] = serve
    asking = resolver(network, max_under_way=2, timeouts=(2.0, 4.0, 8.0))
    mute = [asking.mx(f"mute{number}.example") for number in range(4)]
    for each in mute:
        each.addErrback(lambda _: None)
    good = asking.mx("good.example")
    network.advance(2.1)
    network.advance(2.1)
    network.advance(0.1)
    assert len(good.result) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "a..b", "a b", "-a.example", "x.invalid", "[192.0.2.1]", "192.0.2.1"),
        *("2001:db8::1", "a" * 64 + ".example", "a." * 127 + "ab", "☃.example", "a\r\nb"),
        *("a\0b", "a\udc80"),
    ],
)
def test_names_that_cannot_exist_are_not_asked(network: Network, name: str) -> None:
    assert isinstance(result(network, resolver(network).mx(name)), NoSuchDomain)
    assert network.asked == []


def test_an_address_is_its_own_address_and_localhost_is_here(network: Network) -> None:
    asking = resolver(network)
    assert result(network, asking.addresses("192.0.2.9")) == ("192.0.2.9",)
    assert result(network, asking.addresses("2001:db8::9")) == ("2001:db8::9",)
    assert result(network, asking.addresses("a.localhost")) == ("::1", "127.0.0.1")
    assert result(network, asking.mx("localhost")) == ()
    assert network.asked == []


def test_u_labels_become_a_labels(network: Network) -> None:
    network.servers[SERVER] = Asked("xn--bcher-kva.example. 60 MX 1 m.example.")
    assert result(network, resolver(network).mx("Bücher。example")) == (MxHost(1, "m.example"),)


def test_a_server_must_be_an_address(network: Network) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        resolver(network, ("ns.example", 53))


def test_the_servers_of_the_system(tmp_path: Any) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("search x\nnameserver 192.0.2.1\n# nameserver 1\nnameserver\nnameserver ::1\n")
    assert system_servers(str(conf)) == (("192.0.2.1", 53), ("::1", 53))
    conf.write_text("options edns0\n")
    assert system_servers(str(conf)) == (("127.0.0.1", 53),)
    assert system_servers(str(tmp_path / "none")) == (("127.0.0.1", 53),)
