"""A network in memory for the couriers: scripted SMTP servers, DNS from a dict, one clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.report import DeliveryReport
from mailframe.delivery.dialler import Dialler
from mailframe.delivery.hosts import Timeouts
from mailframe.delivery.mx import MxCourier
from mailframe.delivery.sender import Sender
from mailframe.delivery.targets import MxTargets
from mailframe.errors import NoSuchDomain
from mailframe.interfaces import (
    Arrival,
    Batch,
    IMessageSource,
    IResolver,
    IStoredMessage,
    MxHost,
)
from mailframe.runtime.workers import InlineWorkers

TEXT = b"Subject: hello\r\n\r\nHello.\r\n.dot\r\n"


@implementer(IMessageSource)
class Source:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.closed = False

    async def read(self, octets: int) -> bytes:
        chunk, self._data = self._data[:octets], self._data[octets:]
        return chunk

    def close(self) -> None:
        self.closed = True


@implementer(IStoredMessage)
class Stored:
    in_memory = False

    def __init__(self, data: bytes = TEXT, **envelope: Any) -> None:
        self.queue_id = "TESTQUEUEID1"
        self.envelope = Envelope(
            envelope.pop("reverse_path", Address.parse("ann@sender.example")), **envelope
        )
        self.arrival = Arrival()
        self.arrived = 0.0
        self.size = len(data)
        self.octets: bytes | None = data if self.in_memory else None
        self.data = data
        self.sources: list[Source] = []

    async def open(self) -> Source:
        self.sources.append(Source(self.data))
        return self.sources[-1]


def batch(next_hop: str, *to: str | Recipient, message: Stored | None = None) -> Batch:
    recipients = tuple(
        Recipient(Address.parse(one)) if isinstance(one, str) else one for one in to
    ) or (Recipient(Address.parse("bea@dest.example")),)
    return Batch(message or Stored(), recipients, next_hop, 1)


@implementer(IResolver)
class Names:
    """``records``: name -> addresses; ``mxs``: domain -> (preference, host) pairs. A missing
    name does not exist; an exception instance is raised."""

    def __init__(self) -> None:
        self.mxs: dict[str, Any] = {}
        self.hosts: dict[str, Any] = {}
        self.asked: list[str] = []

    def mx(self, domain: str) -> Deferred[tuple[MxHost, ...]]:
        if domain in self.hosts and domain not in self.mxs:
            return succeed(())
        found = self._find(self.mxs, domain)
        return found.addCallback(lambda pairs: tuple(MxHost(*pair) for pair in pairs))

    def addresses(self, host: str) -> Deferred[tuple[str, ...]]:
        return self._find(self.hosts, host)

    def ipv4(self, name: str) -> Deferred[tuple[str, ...]]:
        return self._of_version(name, ":", False)

    def ipv6(self, name: str) -> Deferred[tuple[str, ...]]:
        return self._of_version(name, ":", True)

    def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
        return succeed(())

    def ptr(self, ip: str) -> Deferred[tuple[str, ...]]:
        return succeed(())

    def _of_version(self, name: str, sign: str, has_it: bool) -> Deferred[tuple[str, ...]]:
        found = self._find(self.hosts, name)
        return found.addCallback(lambda ips: tuple(ip for ip in ips if (sign in ip) is has_it))

    def _find(self, table: dict[str, Any], name: str) -> Deferred[Any]:
        self.asked.append(name)
        value = table.get(name, NoSuchDomain(name))
        return fail(value) if isinstance(value, Exception) else succeed(value)


class Wire:
    """The client's transport; what is written arrives a moment later, in order."""

    def __init__(self, net: Net, server: Server, protocol: Any) -> None:
        self.net = net
        self.server = server
        self.protocol = protocol
        self.open = True
        self.written = 0
        self.producer: Any = None

    def write(self, data: bytes) -> None:
        if not self.open:
            return
        self.net.callLater(0, self._arrive, data)
        self.written += len(data)
        if (
            self.server.stuck_after is not None
            and self.written > self.server.stuck_after
            and self.producer
        ):
            self.producer.pauseProducing()

    def _arrive(self, data: bytes) -> None:
        if not self.server.gone:
            self.server.hear(data)

    def say(self, data: bytes) -> None:
        self.net.callLater(0, self._hear, data)

    def _hear(self, data: bytes) -> None:
        if self.open:
            self.protocol.dataReceived(data)

    def loseConnection(self) -> None:
        self.net.callLater(0, self.lose, ConnectionDone())

    def abortConnection(self) -> None:
        self.net.callLater(0, self.lose, ConnectionLost())

    def lose(self, reason: Exception | None = None) -> None:
        if self.open:
            self.open = False
            self.server.gone = True
            if self.producer is not None:
                self.producer.stopProducing()
            self.protocol.connectionLost(Failure(reason or ConnectionLost()))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None


@dataclass
class Server:
    """One connection to a server that does as it is told.

    ``answers``: what to say to a verb (or whole line) instead of the usual; bytes, or None
    for silence, or an exception to drop the connection."""

    keywords: tuple[str, ...] = ("PIPELINING", "SIZE", "8BITMIME")
    answers: dict[str, Any] = field(default_factory=dict)
    lmtp: bool = False
    stuck_after: int | None = None
    """After so many octets the client is told to wait."""
    wire: Any = None
    said: list[str] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    """As it was written, piece by piece."""
    messages: list[bytes] = field(default_factory=list)
    gone: bool = False
    _buffer: bytes = b""
    _data: bytes | None = None
    _accepted: int = 0
    _bdat: int = -1
    _last: bool = False

    def connected(self, wire: Wire) -> None:
        self.wire = wire
        self._answer("connect", b"220 mx ESMTP\r\n")

    def hear(self, data: bytes) -> None:
        self.heard.append(data)
        self._buffer += data
        while not self.gone and self._step():
            pass

    def _step(self) -> bool:
        if self._bdat >= 0:
            return self._take_chunk()
        if self._data is not None:
            return self._take_data()
        line, found, rest = self._buffer.partition(b"\r\n")
        if found:
            self._buffer = rest
            self._command(line.decode())
        return bool(found)

    def _command(self, line: str) -> None:
        self.said.append(line)
        verb = line.split(" ")[0].split(":")[0].upper()
        usual = b"250 2.0.0 ok\r\n"
        if verb in ("EHLO", "LHLO"):
            lines = ["mx.dest.example", *self.keywords]
            usual = "".join(
                f"250{'-' if n + 1 < len(lines) else ' '}{text}\r\n" for n, text in enumerate(lines)
            ).encode()
        if verb == "DATA":
            usual = b"354 go\r\n" if self._accepted else b"554 nobody\r\n"
        if verb == "QUIT":
            usual = b"221 bye\r\n"
        if verb == "STARTTLS":
            usual = b"220 go\r\n"
        if verb in ("MAIL", "RSET"):
            self._accepted = 0
        if verb == "BDAT":
            words = line.split()
            self._bdat, self._last = int(words[1]), len(words) > 2
            self._data = self._data or b""
            return
        reply = self._answer(line if line in self.answers else verb, usual)
        if verb == "RCPT" and reply.startswith(b"2"):
            self._accepted += 1
        if verb == "DATA" and reply.startswith(b"354"):
            self._data = b""

    def _answer(self, verb: str, usual: bytes) -> bytes:
        answer = self.answers.get(verb, usual)
        if callable(answer):
            answer = answer(self)
        if isinstance(answer, Exception):
            self.gone = True
            self.wire.net.callLater(0, self.wire.lose, answer)
            return b""
        if answer:
            self.wire.say(answer)
        if answer and answer.startswith((b"221", b"421")):
            self.wire.loseConnection()
        return answer or b""

    def _take_data(self) -> bool:
        whole = b"\r\n" + self._buffer
        end = whole.find(b"\r\n.\r\n")
        if end < 0:
            return False
        content, self._buffer = whole[:end][2:] + b"\r\n", whole[end + 5 :]
        self.messages.append(content.replace(b"\r\n.", b"\r\n").removeprefix(b"."))
        self._finish()
        return True

    def _take_chunk(self) -> bool:
        if len(self._buffer) < self._bdat:
            return False
        self._data = (self._data or b"") + self._buffer[: self._bdat]
        self._buffer = self._buffer[self._bdat :]
        self._bdat = -1
        data, self._data = self._data, None
        if self._last:
            self.messages.append(data)
            self._finish()
        else:
            self._answer("BDAT", b"250 chunk\r\n")
            self._data = data
            if self._buffer.partition(b"\r\n")[1]:
                line, _, self._buffer = self._buffer.partition(b"\r\n")
                self._command(line.decode())
        return True

    def _finish(self) -> None:
        self._data = None
        for _ in range(self._accepted if self.lmtp else 1):
            self._answer("end", b"250 2.0.0 queued\r\n")
        self._accepted = 0


class Net(MemoryReactorClock):
    """``listen`` servers, then let couriers dial."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: dict[Any, Any] = {}
        self.dialled: list[Any] = []

    def listen(
        self, ip: str, make: Callable[[], Server] | Exception | None, port: int = 25
    ) -> None:
        """``make`` builds a server for each connection; an exception refuses; None hangs."""
        self.listeners[(ip, port)] = make

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        return self._dial((host, port), factory, timeout)

    def connectUNIX(self, address: str, factory: Any, timeout: float = 30, **_: Any) -> Any:
        return self._dial(address, factory, timeout)

    def _dial(self, address: Any, factory: Any, timeout: float) -> Any:
        self.dialled.append(address)
        connector = _Connector()
        factory.doStart()
        make = self.listeners.get(address, ConnectionRefusedError())
        if make is None:
            self.callLater(timeout, factory.clientConnectionFailed, connector, _timed_out())
        elif isinstance(make, Exception):
            self.callLater(0, factory.clientConnectionFailed, connector, Failure(make))
        else:
            self.callLater(0, self._connect, factory, make())
        return connector

    def _connect(self, factory: Any, server: Server) -> None:
        protocol = factory.buildProtocol(None)
        wire = Wire(self, server, protocol)
        protocol.makeConnection(wire)
        server.connected(wire)


class _Connector:
    def stopConnecting(self) -> None:
        pass

    disconnect = stopConnecting


def _timed_out() -> Failure:
    from twisted.internet.error import TimeoutError

    return Failure(TimeoutError())


class World:
    """Everything a courier needs, with one MX for dest.example at 192.0.2.1."""

    def __init__(self, **options: Any) -> None:
        self.net = Net()
        self.names = Names()
        self.names.mxs["dest.example"] = [(10, "mx.dest.example")]
        self.names.hosts["mx.dest.example"] = ("192.0.2.1",)
        self.servers: list[Server] = []
        self.tls = options.pop("tls", None)
        targets = {
            key: options.pop(key)
            for key in ("own_names", "listens_on", "max_hosts", "max_addresses")
            if key in options
        }
        self.dialler = Dialler(
            self.net,
            self.tls,
            "mail.sender.example",
            workers=InlineWorkers(),
            random=Random(1),
            timeouts=Timeouts(),
        )
        self.sender = Sender(self.dialler, workers=InlineWorkers(), **options)
        self.targets = MxTargets(self.names, Random(1), **targets)
        self.mx = MxCourier(self.sender, self.targets)

    def serve(self, ip: str = "192.0.2.1", port: int = 25, **options: Any) -> list[Server]:
        """The list fills with a Server for each connection."""
        made: list[Server] = []

        def make() -> Server:
            server = Server(**options)
            made.append(server)
            self.servers.append(server)
            return server

        self.net.listen(ip, make, port)
        return made

    def run(self, deferred: Deferred[Any], patience: float = 3600) -> Any:
        """The result, time passing as needed; an exception instance where it failed."""
        caught: list[Any] = []
        deferred.addBoth(caught.append)
        for _ in range(400):
            if caught:
                break
            self.net.advance(0)
        while not caught and self.net.seconds() < patience:
            self.net.advance(1)
            for _ in range(20):
                self.net.advance(0)
        assert caught, "still waiting"
        return caught[0].value if isinstance(caught[0], Failure) else caught[0]

    def settle(self, seconds: float = 0) -> None:
        for _ in range(20):
            self.net.advance(0)
        self.net.advance(seconds)
        for _ in range(20):
            self.net.advance(0)

    def send(self, *to: str | Recipient, **options: Any) -> list[DeliveryReport]:
        hop = options.pop("next_hop", "dest.example")
        reports: list[DeliveryReport] = self.run(self.mx.deliver(batch(hop, *to, **options)))
        return reports
