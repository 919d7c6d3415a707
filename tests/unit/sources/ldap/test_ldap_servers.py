"""Servers that fail, hang, break off and come back, on a simulated network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sansldap import LDAPResultCode
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.runtime.aio import as_deferred, fired
from mailframe.sources.ldap.connection import LdapConnection, Limits
from mailframe.sources.ldap.servers import Servers, parse_server
from mailframe.sources.ldap.templates import FilterTemplate
from mailframe.sources.ldap.wire import LARGEST_MESSAGE
from tests.unit.sources.ldap.directory import BASE, Directory, World, people

ANN = f"uid=ann,{BASE}"


def directory() -> Directory:
    return Directory(people("ann", "bob"), {ANN: "right"})


@pytest.fixture
def two() -> Iterator[tuple[World, Directory, Directory]]:
    one, other = directory(), directory()
    world = World(one, other)
    yield world, one, other
    assert world.log.failures() == []
    world.close()


@pytest.fixture
def alone() -> Iterator[tuple[World, Directory]]:
    one = directory()
    world = World(one)
    yield world, one
    assert world.log.failures() == []
    world.close()


def passed(world: World, call: Any) -> float:
    """Seconds that a call took on the simulated clock."""
    before = world.network.now
    call()
    return float(world.network.now - before)


def fails(world: World) -> str:
    with pytest.raises(TransientFailure) as failure:
        world.find("ann@mf.test")
    assert failure.value.reply.code == 451
    return failure.value.detail


def test_the_first_server_is_asked(two: tuple[World, Directory, Directory]) -> None:
    world, one, other = two
    for _ in range(3):
        assert world.find("ann@mf.test") is not None
    assert (one.connections, other.connections) == (1, 0)


def test_a_server_that_refuses_connections(two: tuple[World, Directory, Directory]) -> None:
    world, _, other = two
    world.ports[0].stopListening()
    assert world.find("ann@mf.test") is not None
    assert world.check("ann") == "ann@mf.test"
    assert other.connections == 2
    said = [one.text for one in world.log.events if "cannot be asked" in one.text]
    assert len(said) == 1
    assert "10.0.1.1" in said[0]


def test_a_server_behind_a_dead_line(two: tuple[World, Directory, Directory]) -> None:
    world, one, _ = two
    world.find("ann@mf.test")
    world.network.link("mail", "ldap1").partition()
    # The connection that was kept is silent, a new one is not made, and the other one answers.
    assert 8 <= passed(world, lambda: world.find("bob@mf.test")) < 9
    assert passed(world, lambda: world.find("ann@mf.test")) < 1
    assert one.connections == 1


def test_a_server_comes_back(two: tuple[World, Directory, Directory]) -> None:
    world, one, other = two
    world.ports[0].stopListening()
    world.find("ann@mf.test")
    world.hosts[0].reactor.listenTCP(389, one)
    world.find("ann@mf.test")
    assert (one.connections, other.connections) == (0, 1)
    world.network.run(31)
    world.find("ann@mf.test")
    assert one.connections == 1
    assert any("answers again" in each.text for each in world.log.events)


def test_all_servers_are_down_and_one_comes_back(
    two: tuple[World, Directory, Directory],
) -> None:
    world, _, other = two
    for port in world.ports:
        port.stopListening()
    assert "10.0.1.2" in fails(world)
    with pytest.raises(TransientFailure):
        world.check("ann")
    world.hosts[1].reactor.listenTCP(389, other)
    # Those that rest are asked where there is nobody else.
    assert world.find("ann@mf.test") is not None


def test_a_connection_that_died_is_replaced_within_the_question(
    alone: tuple[World, Directory],
) -> None:
    world, one = alone
    world.find("ann@mf.test")
    world.check("ann")
    for connection in list(one.open):
        connection.transport.abortConnection()  # type: ignore[union-attr]
    assert world.find("ann@mf.test") is not None
    assert world.check("ann") == "ann@mf.test"
    assert not any("cannot be asked" in each.text for each in world.log.events)


def test_so_is_one_that_dies_at_the_question(alone: tuple[World, Directory]) -> None:
    world, one = alone
    world.find("ann@mf.test")
    hung_up: list[str] = []

    def first(what: str) -> bool:
        hung_up.append(what)
        return len(hung_up) == 1

    one.hangs_up = first
    assert world.find("ann@mf.test") is not None
    assert one.connections == 2


def test_a_server_that_says_nothing(alone: tuple[World, Directory]) -> None:
    world, one = alone
    one.is_silent = True
    assert passed(world, lambda: fails(world)) < 6
    one.is_silent = False
    assert world.find("ann@mf.test") is not None


def test_one_that_is_silent_is_given_up_for_another(
    two: tuple[World, Directory, Directory],
) -> None:
    world, one, _ = two
    one.is_silent = True
    assert passed(world, lambda: world.check("ann")) < 12
    assert passed(world, lambda: world.check("ann")) < 1


@pytest.mark.parametrize("code", [LDAPResultCode.BUSY, LDAPResultCode.UNAVAILABLE])
def test_one_that_is_overloaded_is_given_up_for_another(
    two: tuple[World, Directory, Directory], code: LDAPResultCode
) -> None:
    world, one, other = two
    world.find("ann@mf.test")
    one.code = code
    assert world.find("ann@mf.test") is not None
    assert world.check("ann") == "ann@mf.test"
    assert other.connections == 2


def test_one_that_is_overloaded_by_binds(two: tuple[World, Directory, Directory]) -> None:
    world, one, other = two
    one.codes[ANN] = LDAPResultCode.BUSY
    assert world.check("ann") == "ann@mf.test"
    assert f"bind {ANN}" in other.asked


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\n",
        b"\x30\x84" + (LARGEST_MESSAGE + 1).to_bytes(4, "big"),
        b"\x30\x05\x02\x01\x01\x64\x7f",
        bytes(1000),
    ],
)
def test_a_server_that_talks_nonsense(alone: tuple[World, Directory], octets: bytes) -> None:
    world, one = alone
    one.octets = octets
    assert passed(world, lambda: fails(world)) < 1
    with pytest.raises(TransientFailure):
        world.check("ann")


def test_the_whole_question_has_a_limit() -> None:
    many = [directory() for _ in range(9)]
    for one in many:
        one.is_silent = True
    world = World(*many)
    assert 20 <= passed(world, lambda: fails(world)) < 21
    world.close()


def test_so_does_one_about_servers_that_no_packet_reaches() -> None:
    world = World(*(directory() for _ in range(9)))
    for place in range(1, 10):
        world.network.link("mail", f"ldap{place}").partition()
    assert 20 <= passed(world, lambda: fails(world)) < 21
    world.close()


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_server_that_fails_among_the_members_of_a_list(is_silent: bool) -> None:
    staff = f"cn=staff,{BASE}"
    names = [f"uid=u{n}" for n in range(30)]
    entries = people(*(f"u{n}" for n in range(30)))
    entries[staff] = {"mail": ["staff@mf.test"], "member": [f"{name},{BASE}" for name in names]}
    one, other = Directory(entries), Directory(entries)
    world = World(one, other, list_filter=FilterTemplate("(mail=%s)"))

    def is_25th(what: str) -> bool:
        is_it = len(one.asked) == 28
        one.is_silent = is_it and is_silent
        return is_it

    one.hangs_up = is_25th
    assert len(world.find("staff@mf.test").forward) == 30
    assert other.connections == 1
    world.close()


def test_so_many_connections_and_no_more() -> None:
    one = directory()
    world = World(one, connections=3)
    answers = [as_deferred(world.source.find(Address("ann", "mf.test"))) for _ in range(50)]
    results: list[Any] = []
    for answer in answers:
        answer.addBoth(results.append)
    assert world.network.run_until(lambda: len(results) == 50, 30)
    assert all(result.account == "ann@mf.test" for result in results)
    assert one.connections == 3
    world.close()


def test_too_many_questions_wait() -> None:
    one = directory()
    one.is_silent = True
    world = World(one, connections=1)
    results: list[Any] = []
    for _ in range(300):
        as_deferred(world.source.find(Address("ann", "mf.test"))).addBoth(results.append)
    assert len(results) == 99  # at once: the others wait
    assert world.network.run_until(lambda: len(results) == 300, 60)
    assert all(result.check(TransientFailure) for result in results)
    one.is_silent = False
    assert world.find("ann@mf.test") is not None
    world.close()


def test_who_gives_up_leaves_nothing_behind(alone: tuple[World, Directory]) -> None:
    world, one = alone
    one.is_silent = True
    answer: Deferred[Any] = as_deferred(world.source.find(Address("ann", "mf.test")))
    world.network.run(1)
    answer.addErrback(lambda failure: None)
    answer.cancel()
    one.is_silent = False
    assert world.find("ann@mf.test") is not None
    world.network.run(60)
    assert len(one.open) == 1


def test_closing(alone: tuple[World, Directory]) -> None:
    world, one = alone
    world.find("ann@mf.test")
    world.check("ann")
    world.source.close()
    world.network.run(1)
    assert one.open == []
    assert world.find("ann@mf.test") is not None
    assert world.check("ann") == "ann@mf.test"
    world.network.run(1)
    assert one.open == []


def test_old_connections_are_not_used(alone: tuple[World, Directory]) -> None:
    world, one = alone
    world.find("ann@mf.test")
    world.network.run(601)
    world.find("ann@mf.test")
    assert one.connections == 2


def test_a_server_without_tls_is_not_told_anything() -> None:
    one = directory()
    world = World(one, start_tls=True)
    world.source._tls = lambda host: None  # never asked: the server refuses before
    assert "StartTLS refused" in fails(world)
    assert not any(what.startswith("bind") for what in one.asked)
    with pytest.raises(TransientFailure):
        world.check("ann")
    world.close()


@pytest.mark.parametrize(
    "octets",
    [b"\x30", b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00", b"\0", b"\x30\x05\x02"],
)
def test_nothing_is_believed_that_came_before_tls(octets: bytes) -> None:
    """Somebody on the line says yes to the bind that will be inside."""
    one = directory()
    one.before_tls = octets
    world = World(one, start_tls=True)
    begun: list[str] = []
    world.source._tls = begun.append  # type: ignore[assignment]
    fails(world)
    assert begun == []
    assert one.asked == ["ExtendedRequest"]
    world.close()


def test_a_bind_without_a_password_is_a_bug() -> None:
    connection = LdapConnection(parse_server("ldap://a.test"), Clock(), Limits())
    with pytest.raises(ValueError, match=r"password"):
        fired(as_deferred(connection.bind(ANN, b"")))


def test_a_wrong_password_is_no_failure_of_the_server(
    two: tuple[World, Directory, Directory],
) -> None:
    world, _, other = two
    for _ in range(5):
        with pytest.raises(LoginFailed):
            world.check("ann", "wrong")
    assert other.connections == 0


def test_order() -> None:
    clock = Clock()
    one, two, three = (parse_server(f"ldap://{name}.test") for name in ("one", "two", "three"))
    servers = Servers("x", [one, two, three], rest=30, clock=clock)
    servers.failed(one, "why")
    assert servers.in_order() == [two, three, one]
    clock.advance(1)
    servers.failed(two, "why")
    servers.failed(three, "why")
    assert servers.in_order()[0] == one
    clock.advance(29)
    assert servers.in_order() == [one, two, three]
    assert servers.is_first(one)


@pytest.mark.parametrize(
    "url",
    [
        *("http://a", "ldap://", "ldap:///x", "ldap://a:x", "ldap://a:0", "ldap://a:70000", "a"),
        *("ldap://a/dc=x", "ldap://u@a", "ldap://a?x", "ldapi:///", "ldap://[::1", "ldap://a\n"),
    ],
)
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(ValueError, match=r"examples"):
        parse_server(url)


def test_servers() -> None:
    assert (parse_server("ldap://a.test").port, parse_server("ldaps://a.test").port) == (389, 636)
    server = parse_server("ldaps://[::1]:3269/")
    assert (server.host, server.port, server.is_tls) == ("::1", 3269, True)
