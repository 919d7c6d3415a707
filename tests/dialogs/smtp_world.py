"""A whole SMTP server in memory: factory, fakes around it, a client on each connection.

Everything runs on a ``Clock``. ``World.connect`` gives a ``Peer`` whose ``send`` feeds the
server and whose ``read`` takes what it said. TLS is real: OpenSSL on both ends, over memory.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import directlyProvides, implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope
from mailframe.core.ids import IdSource
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Local, Refused, Resolution
from mailframe.core.scram import ScramVerifier
from mailframe.core.session import Role, Session
from mailframe.errors import LoginFailed
from mailframe.interfaces import (
    Arrival,
    IAuthenticator,
    IIncoming,
    IJournal,
    IMailAccount,
    IMailStore,
    IMessageSource,
    IRecipientResolver,
    IRelayPermission,
    ISpool,
    ITlsContexts,
)
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.smtp import SmtpFactory, SmtpLimits

UNKNOWN = Refused(Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here"))
PEER = "192.0.2.7"
EPOCH = 1_750_000_000.0


@dataclass
class Stored:
    queue_id: str
    envelope: Envelope
    arrival: Arrival
    prefix: bytes
    content: bytes

    @property
    def recipients(self) -> list[str]:
        return [str(recipient.address) for recipient in self.envelope.recipients]


@implementer(IMessageSource)
class BytesSource:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, octets: int) -> bytes:
        taken, self._data = self._data[:octets], self._data[octets:]
        return taken

    def close(self) -> None:
        pass


@implementer(IIncoming)
class MemoryIncoming:
    def __init__(self, spool: MemorySpool, queue_id: str) -> None:
        self.queue_id = queue_id
        self.size = 0
        self._spool = spool
        self._chunks: list[bytes] = []

    def write(self, chunk: bytes) -> Deferred[None] | None:
        if self._spool.write_result is not None:
            return self._spool.write_result()
        self.size += len(chunk)
        if self._spool.keeps_content:
            self._chunks.append(chunk)
        return None

    def open(self) -> BytesSource:
        return BytesSource(b"".join(self._chunks))

    def commit(self, envelope: Envelope, arrival: Arrival, prefix: bytes) -> Deferred[None]:
        content = b"".join(self._chunks)
        stored = Stored(self.queue_id, envelope, arrival, prefix, content)
        result = self._spool.commit_result() if self._spool.commit_result else succeed(None)

        def keep(outcome: None) -> None:
            self._spool.stored.append(stored)

        return result.addCallback(keep)

    def abort(self) -> None:
        self._spool.aborted.append(self.queue_id)


@implementer(ISpool)
class MemorySpool:
    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.aborted: list[str] = []
        self.keeps_content = True
        self.begin_error: Exception | None = None
        self.write_result: Callable[[], Deferred[None]] | None = None
        self.commit_result: Callable[[], Deferred[None]] | None = None

    def begin(self, queue_id: str) -> MemoryIncoming:
        if self.begin_error is not None:
            raise self.begin_error
        return MemoryIncoming(self, queue_id)


@implementer(IRecipientResolver)
class TableResolver:
    """Addresses from a table; others are unknown here, or elsewhere by their domain."""

    def __init__(self, domains: set[str], known: Mapping[str, Any]) -> None:
        self.domains = domains
        self.known = dict(known)

    def resolve(self, address: Address) -> Any:
        found = self.known.get(address.key)
        if isinstance(found, Exception):
            raise found
        if found is not None:
            return found
        if not address.domain:
            return Local("postmaster@local.test")
        return UNKNOWN if address.domain in self.domains else Elsewhere()


@implementer(IRelayPermission)
class RelayForSome:
    def __init__(self) -> None:
        self.networks: set[str] = set()

    def may_relay(self, session: Session) -> str | None:
        if session.account is not None:
            return "login"
        return "network" if session.peer_ip in self.networks else None

    def account(self, session: Session) -> str | None:
        return session.account


@implementer(IMailAccount)
class Account:
    def __init__(self, name: str) -> None:
        self.name = name
        self.logouts = 0

    def owns(self, address: Address) -> bool:
        return address.key == self.name

    def inbox(self) -> Any:
        raise NotImplementedError

    def logout(self) -> None:
        self.logouts += 1


@implementer(IAuthenticator)
class PasswordTable:
    mechanisms = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "APOP"})

    def __init__(self, passwords: Mapping[str, bytes]) -> None:
        self.passwords = dict(passwords)
        self.failures: list[str] = []
        self.avatars: list[Account] = []

    def login(self, credentials: Any, session: Session) -> Deferred[Any]:
        name = credentials.username.decode()
        if hasattr(credentials, "password") and self.passwords.get(name) != credentials.password:
            return fail(LoginFailed("wrong password"))
        avatar = Account(name)
        self.avatars.append(avatar)
        return succeed(avatar)

    def scram_verifier(self, login: str, session: Session) -> Deferred[ScramVerifier]:
        password = self.passwords.get(login, b"none")
        return succeed(ScramVerifier.derive(password, b"salt" * 4, 4096))

    def note_failure(self, login: str, session: Session) -> None:
        self.failures.append(login)


@implementer(IMailStore)
class Rooms:
    def __init__(self) -> None:
        self.full: set[str] = set()

    async def deliver(self, *arguments: Any) -> Any:
        raise NotImplementedError

    async def room(self, account: str, octets: int) -> bool:
        return account not in self.full


@implementer(IJournal)
class ListJournal:
    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str, dict[str, Any]]] = []

    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        self.entries.append((id, step, result, detail))

    def steps(self, step: str) -> list[dict[str, Any]]:
        return [
            {"id": id, "result": result, **detail}
            for id, name, result, detail in self.entries
            if name == step
        ]


@cache
def server_context() -> SSL.Context:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.local.test")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    return context


@implementer(IOpenSSLServerConnectionCreator)
class TlsCreator:
    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        return SSL.Connection(server_context(), None)


@implementer(ITlsContexts)
class MemoryContexts:
    can_serve = True

    def server(self) -> TlsCreator:
        return TlsCreator()

    def client(self, host: str, verify: bool) -> Any:
        raise NotImplementedError


class MemoryTransport(StringTransport):
    """A StringTransport that can start TLS, as a TCP connection of Twisted's can."""

    def __init__(self, peer: IPv4Address, clock: Clock) -> None:
        super().__init__(peerAddress=peer, hostAddress=IPv4Address("TCP", "192.0.2.1", 25))
        self.clock = clock
        self.below: StringTransport | None = None
        self.tls: Any = None
        self.protocol: Any = None

    def startTLS(self, creator: Any) -> None:
        self.below = StringTransport()
        factory = TLSMemoryBIOFactory(creator, False, None, self.clock)
        self.tls = factory.protocol(factory, self.protocol, False)
        directlyProvides(self, ISSLTransport)
        self.tls.makeConnection(self.below)

    def getHandle(self) -> Any:
        return self.tls.getHandle() if self.tls is not None else None

    def write(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.write(data)
        else:
            super().write(data)

    def abortConnection(self) -> None:
        self.loseConnection()


class Peer:
    """The client's end."""

    def __init__(self, world: World, ip: str) -> None:
        self.world = world
        self.protocol = world.factory.buildProtocol(None)
        self.transport = MemoryTransport(IPv4Address("TCP", ip, 40000), world.clock)
        self.transport.protocol = self.protocol
        self._tls: ssl.SSLObject | None = None
        self._lost = False
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes, piece: int = 0) -> None:
        """Feed the server, in pieces of so many octets where ``piece`` is given."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
            receive = self.transport.tls.dataReceived
        else:
            receive = self.protocol.dataReceived
        step = piece or max(len(data), 1)
        for start in range(0, len(data), step):
            if not self.closed:
                receive(data[start : start + step])
        self.world.clock.advance(0)

    def read(self) -> bytes:
        """Everything the server has said since."""
        self.world.clock.advance(0)
        if self._tls is None:
            data = self.transport.value()
            self.transport.clear()
            return data
        below = self.transport.below
        assert below is not None
        self._incoming.write(below.value())
        below.clear()
        return _read_all(self._tls)

    def ask(self, data: bytes) -> bytes:
        self.send(data)
        return self.read()

    def start_tls(self) -> None:
        """The handshake, once the server has said 220."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self._incoming, self._outgoing)
        below = self.transport.below
        assert below is not None
        for _ in range(10):
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            if data := self._outgoing.read():
                self.transport.tls.dataReceived(data)
            self.world.clock.advance(0)
            self._incoming.write(below.value())
            below.clear()
            if done:
                break
        self._tls = tls

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)

    def leave(self) -> None:
        """The connection breaks."""
        if not self._lost:
            self._lost = True
            self.protocol.connectionLost()


def _read_all(tls: ssl.SSLObject) -> bytes:
    data = b""
    while True:
        try:
            piece = tls.read(65536)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            return data
        if not piece:
            return data
        data += piece


@dataclass
class World:
    role: Role = Role.MX
    limits: SmtpLimits = field(default_factory=lambda: SmtpLimits(tarpit=0, allow_plaintext=True))
    policies: tuple[Any, ...] = ()
    tls: bool = True
    logins: bool = True
    connections: ConnectionCounter = field(default_factory=lambda: ConnectionCounter(0, 0))
    known: dict[str, Resolution | Exception] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = EPOCH
        self.spool = MemorySpool()
        known = {
            "ann@local.test": Local("ann@local.test"),
            "bob@local.test": Local("bob@local.test"),
        }
        self.resolver = TableResolver({"local.test"}, {**known, **self.known})
        self.permission = RelayForSome()
        self.authenticator = PasswordTable({"ann@local.test": b"secret"})
        self.store = Rooms()
        self.journal = ListJournal()
        self.factory = SmtpFactory(
            "mx.local.test",
            self.role,
            "test",
            spool=self.spool,
            resolver=self.resolver,
            permission=self.permission,
            policies=self.policies,
            authenticator=self.authenticator if self.logins else None,
            store=self.store,
            journal=self.journal,
            ids=IdSource(self.clock.seconds, 1),
            tls=MemoryContexts() if self.tls else None,
            connections=self.connections,
            clock=self.clock,
            limits=self.limits,
            nonce=lambda: "server-nonce-of-the-tests",
            without=self.without,
        )

    def connect(self, ip: str = PEER) -> Peer:
        return Peer(self, ip)

    @contextmanager
    def greeted(self, ip: str = PEER, hello: bytes = b"EHLO client.test\r\n") -> Iterator[Peer]:
        """A peer that has said hello; gone at the end."""
        peer = self.connect(ip)
        peer.ask(hello)
        yield peer
        peer.leave()
