"""Doors at sockets that are somebody else's: two accept at one, and neither takes it away."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from mailframe.app.doors import Doors
from mailframe.errors import MailframeError

PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"


class Greeter(Protocol):
    def dataReceived(self, data: bytes) -> None:
        peer = getattr(self.transport.getPeer(), "host", "")
        self.transport.write(self.factory.greeting + peer.encode())
        self.transport.loseConnection()


def greeter(greeting: bytes) -> Factory:
    factory = Factory.forProtocol(Greeter)
    factory.noisy = False
    factory.greeting = greeting
    return factory


@pytest.fixture
def unix_path(tmp_path: Path) -> Iterator[str]:
    directory = os.open(tmp_path, os.O_RDONLY)
    yield f"/proc/self/fd/{directory}/lmtp.sock"
    os.close(directory)


async def ask(address: str, said: bytes = b"") -> bytes:
    """What a client hears within a tenth of a second; connected at once."""
    family = socket.AF_UNIX if address.startswith("/") else socket.AF_INET
    host, _, port = address.rpartition(":")
    with socket.socket(family) as client:
        client.connect(address if family == socket.AF_UNIX else (host, int(port)))
        client.sendall(said + b"hello")
        client.setblocking(False)
        await deferLater(reactor, 0.1)
        with contextlib.suppress(BlockingIOError):
            return client.recv(100)
        return b"(silence)"


async def lent(owner: Doors, endpoint: str, greeting: bytes) -> Doors:
    """Another process's, at the owner's sockets."""
    descriptors = {name: os.dup(number) for name, number in owner.descriptors().items()}
    doors = Doors(reactor, descriptors)
    await doors.bind({"a": endpoint})
    for descriptor in descriptors.values():
        os.close(descriptor)
    doors.furnish({"a": greeter(greeting)})
    return doors


@pytest.mark.parametrize(
    ("endpoint", "said", "peer"),
    [
        ("tcp:0:interface=127.0.0.1", b"", b"127.0.0.1"),
        ("haproxy:tcp:0:interface=127.0.0.1", PROXY, b"192.0.2.1"),
        ("unix:{}:mode=600", b"", b""),
    ],
)
@pytest_twisted.ensureDeferred
async def test_one_after_the_other_at_the_same_socket(
    endpoint: str, said: bytes, peer: bytes, unix_path: str
) -> None:
    endpoint = endpoint.format(unix_path)
    owner = Doors(reactor)
    await owner.bind({"a": endpoint})
    address = owner.addresses()["a"]
    one = await lent(owner, endpoint, b"one ")
    other = await lent(owner, endpoint, b"other ")
    one.accept()
    assert one.addresses() == owner.addresses()
    assert await ask(address, said) == b"one " + peer
    await one.close()
    assert await ask(address, said) == b"(silence)"
    other.accept()
    assert await ask(address, said) == b"other " + peer
    await other.close()
    if endpoint.startswith("unix:"):
        assert os.stat(unix_path).st_mode & 0o777 == 0o600
    await owner.close()
    with pytest.raises(OSError, match=r"refused|No such file"):
        await ask(address, said)


@pytest_twisted.ensureDeferred
async def test_a_listener_that_is_no_socket_cannot_be_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Doors(reactor)
    await owner.bind({"a": "tcp:0:interface=127.0.0.1"})
    port = owner._open["a"].port
    owner._open["a"].port = object()  # type: ignore[assignment]
    with pytest.raises(MailframeError, match=r"the listener a .* is no socket"):
        owner.descriptors()
    owner._open["a"].port = port
    await owner.close()
