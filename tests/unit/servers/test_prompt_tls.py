"""Replies that leave at once (``runtime.outgoing``) leave through TLS where there is TLS.

Real sockets and OpenSSL on both ends: whatever goes past TLS is no record of it, and ends the
client's session with an error.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.protocols import tls
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from mailframe.runtime.outgoing import Outgoing
from tests.dialogs.smtp_world import MemoryContexts, TlsCreator, World
from tests.unit.runtime.test_runtime_outgoing import Selecting
from tests.unit.servers import imap_house, pop3_house

_TURNS = 6  # of the reactor, after which nothing is left to do


class Client:
    """One that talks to ``factory`` by a socket of loopback."""

    def __init__(self, factory: Any, clock: Any, *, implicit: bool) -> None:
        self._clock = clock
        self._reactor = Selecting()
        port: Any = tcp.Port(0, Factory(), reactor=self._reactor)
        Outgoing(self._reactor).serve(port)
        if implicit:
            factory = TLSMemoryBIOFactory(TlsCreator(), False, factory, clock)
        protocol = factory.buildProtocol(None)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._socket = socket.create_connection(listening.getsockname())
            ours, address = listening.accept()
        ours.setblocking(False)
        self._socket.setblocking(False)
        self.transport = port.transport(ours, protocol, address, port, 0, self._reactor)
        protocol.makeConnection(self.transport)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if implicit:
            self.start_tls()

    def start_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = context.wrap_bio(self._incoming, self._outgoing)
        for _ in range(_TURNS):
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._exchange()
        self._tls = client

    def say(self, *lines: str) -> bytes:
        """All of them at once; what came back. Fails where that is no TLS."""
        data = "".join(f"{line}\r\n" for line in lines).encode()
        if self._tls is None:
            self._socket.sendall(data)
            return self._exchange()
        if data:
            self._tls.write(data)
        self._exchange()
        return self._decrypted(self._tls)

    def _exchange(self) -> bytes:
        """Let the server read what was sent; what it said, as it lay on the wire."""
        self._socket.sendall(self._outgoing.read())
        said = b""
        for _ in range(_TURNS):
            if self.transport in self._reactor.reading:
                self.transport.doRead()
            self._clock.advance(0)
            self._reactor.turn()
            said += self._heard()
        if self._tls is not None or said.startswith(b"\x16\x03"):  # a handshake
            self._incoming.write(said)
        return said

    def _heard(self) -> bytes:
        try:
            return self._socket.recv(1 << 20)
        except BlockingIOError:
            return b""

    def _decrypted(self, client: ssl.SSLObject) -> bytes:
        data = b""
        while True:
            try:
                piece = client.read(1 << 16)
            except ssl.SSLWantReadError:
                return data
            if not piece:
                return data
            data += piece

    def close(self) -> None:
        self._socket.close()
        self.transport.connectionLost(Failure(ConnectionDone()))


def smtp() -> tuple[Any, Any]:
    world = World()
    return world.factory, world.clock


def pop3() -> tuple[Any, Any]:
    house = pop3_house.House(b"Subject: x\r\n\r\ntext\r\n", tls=MemoryContexts())
    return house.factory, house.clock


def imap() -> tuple[Any, Any]:
    house = imap_house.House(imap_house.message(), tls=MemoryContexts())
    return house.factory, house.clock


# What begins TLS, others that have short replies, and what is in these.
_SMTP = (
    smtp,
    ["EHLO client.test", "STARTTLS"],
    ["EHLO client.test", "NOOP", "MAIL FROM:<a@far.test>", "RSET", "QUIT"],
    [b"250 ", b"250 ", b"250 ", b"250 ", b"221 "],
)
_POP3 = (
    pop3,
    ["STLS"],
    ["CAPA", "USER ann", "PASS secret", "RETR 1", "QUIT"],
    [b"+OK", b"+OK", b"+OK", b"\r\n.\r\n", b"+OK"],
)
_IMAP = (
    imap,
    ["t STARTTLS"],
    ["a CAPABILITY", "b LOGIN ann secret", "c SELECT INBOX", "d NOOP", "e LOGOUT"],
    [b"a OK", b"b OK", b"c OK", b"d OK", b"e OK"],
)
_Make = Callable[[], tuple[Any, Any]]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def connected(make: _Make, *, implicit: bool) -> Client:
        factory, clock = make()
        # With STARTTLS, Twisted gathers small writes by the clock of its own reactor.
        monkeypatch.setattr(tls, "_get_default_clock", lambda: clock)
        clients.append(Client(factory, clock, implicit=implicit))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.mark.parametrize(("make", "start", "commands", "expected"), [_SMTP, _POP3, _IMAP])
@pytest.mark.parametrize("implicit", [True, False])
def test_every_reply_is_encrypted(
    connect: Callable[..., Client],
    make: _Make,
    start: list[str],
    commands: list[str],
    expected: list[bytes],
    implicit: bool,
) -> None:
    client = connect(make, implicit=implicit)
    greeting = client.say()
    assert greeting.startswith((b"220 ", b"+OK", b"* OK"))
    if not implicit:
        assert client.say(*start).endswith(b"\r\n")
        client.start_tls()
    for command, part in zip(commands, expected, strict=True):
        assert part in client.say(command)


@pytest.mark.parametrize(("make", "start", "commands", "expected"), [_SMTP, _POP3, _IMAP])
def test_what_is_said_behind_starttls_is_not_answered(
    connect: Callable[..., Client],
    make: _Make,
    start: list[str],
    commands: list[str],
    expected: list[bytes],
) -> None:
    client = connect(make, implicit=False)
    client.say()
    *before, last = start
    for line in before:
        client.say(line)
    said = client.say(last, commands[0])
    assert said.count(b"\r\n") == 1  # that to STARTTLS
