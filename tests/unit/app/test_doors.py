"""Doors: nobody is let in before the time, and a reload keeps the port."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall, deferLater

from mailframe.app.doors import Doors

ANY_PORT = "tcp:0:interface=127.0.0.1"


class Greeter(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(self.factory.greeting)
        self.transport.loseConnection()


def greeter(greeting: bytes) -> Factory:
    factory = Factory.forProtocol(Greeter)
    factory.noisy = False
    factory.greeting = greeting
    return factory


async def opened(doors: Doors) -> str:
    await doors.bind({"a": ANY_PORT})
    doors.furnish({"a": greeter(b"one")})
    return doors.addresses()["a"]


async def ask(address: str) -> bytes:
    """What a connecting client hears within a tenth of a second."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        client.setblocking(False)
        await deferLater(reactor, 0.1)
        try:
            return client.recv(100)
        except BlockingIOError:
            return b"(silence)"


@pytest_twisted.ensureDeferred
async def test_nobody_is_served_before_accept() -> None:
    doors = Doors(reactor)
    address = await opened(doors)
    assert await ask(address) == b"(silence)"
    doors.accept()
    assert await ask(address) == b"one"
    await doors.close()


@pytest_twisted.ensureDeferred
async def test_a_reload_keeps_the_port_and_changes_the_factory() -> None:
    doors = Doors(reactor)
    address = await opened(doors)
    doors.accept()
    await doors.bind({"a": ANY_PORT, "b": ANY_PORT})
    doors.furnish({"a": greeter(b"two"), "b": greeter(b"new")})
    assert doors.addresses()["a"] == address
    assert await ask(address) == b"two"
    assert await ask(doors.addresses()["b"]) == b"new"
    await doors.keep({"b"})
    assert set(doors.addresses()) == {"b"}
    with pytest.raises(ConnectionRefusedError):
        await ask(address)
    await doors.close()


@pytest_twisted.ensureDeferred
async def test_a_taken_port_is_an_error_and_closes_nothing() -> None:
    doors = Doors(reactor)
    address = await opened(doors)
    doors.accept()
    taken = f"tcp:{address.rpartition(':')[2]}:interface=127.0.0.1"
    with pytest.raises(CannotListenError):
        await doors.bind({"a": "tcp:0:interface=127.0.0.2", "new": ANY_PORT, "b": taken})
    assert doors.addresses() == {"a": address}
    assert await ask(address) == b"one"
    await doors.close()


@pytest_twisted.ensureDeferred
async def test_a_burst_of_callers_waits_in_line() -> None:
    doors = Doors(reactor)
    host, _, port = (await opened(doors)).rpartition(":")
    callers = []
    try:
        # Nobody is accepted meanwhile; past the backlog a connect would hang for a second.
        for _ in range(300):
            callers.append(socket.create_connection((host, int(port)), timeout=0.5))
    finally:
        for caller in callers:
            caller.close()
        await doors.close()


@pytest_twisted.ensureDeferred
async def test_a_socket_gets_its_directory(tmp_path: Path) -> None:
    doors = Doors(reactor)
    socket_path = tmp_path / "run" / "more" / "lmtp.sock"
    await doors.bind({"lmtp": f"unix:{socket_path}:mode=666"})
    assert doors.addresses() == {"lmtp": str(socket_path)}
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o666
    await doors.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        await doors.bind({"lmtp": f"unix:{tmp_path}/file/lmtp.sock"})


@pytest_twisted.ensureDeferred
async def test_a_burst_is_let_in_by_and_by() -> None:
    doors = Doors(reactor)
    host, _, port = (await opened(doors)).rpartition(":")
    doors.accept()
    made: list[int] = []
    factory = greeter(b"one")
    build = factory.buildProtocol
    turns = [0]

    def note(address: object) -> object:
        made.append(turns[0])
        return build(address)

    def turn() -> None:
        turns[0] += 1

    factory.buildProtocol = note
    doors.furnish({"a": factory})
    counting = LoopingCall(turn)
    counting.start(0)
    callers = [socket.create_connection((host, int(port))) for _ in range(200)]
    while len(made) < len(callers):
        await deferLater(reactor, 0.01)
    counting.stop()
    assert max(made.count(each) for each in set(made)) <= 4
    for caller in callers:
        caller.close()
    await doors.close()
