"""A POP3 server in memory: fakes for everything behind the factory, and a client."""

from __future__ import annotations

import itertools
from typing import Any

from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core.ids import IdSource
from mailframe.core.scram import ScramVerifier
from mailframe.core.session import Session
from mailframe.errors import LoginFailed, MailboxBusy, MessageGone
from mailframe.interfaces import (
    IAuthenticator,
    IJournal,
    IMailAccount,
    IMailbox,
    IMessageSource,
    IReadsAhead,
    IVerifiedIdentity,
    MessageInfo,
)
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.pop3 import Pop3Factory, Pop3Limits

SALT = b"salt of the tests"


@implementer(IMessageSource)
class Source:
    """``breaks_at``: where the file breaks off."""

    def __init__(self, content: bytes, breaks_at: int | None = None) -> None:
        self.size = len(content)
        self._content = content
        self._position = 0
        self._breaks_at = breaks_at
        self.closed = 0

    def read(self, octets: int) -> Deferred[bytes]:
        if self._breaks_at is not None and self._position >= self._breaks_at:
            return fail(MessageGone("broke off"))
        chunk = self._content[self._position : self._position + octets]
        self._position += len(chunk)
        return succeed(chunk)

    def close(self) -> None:
        self.closed += 1


class Store:
    """What is in the account of ``ann``, across sessions."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = {f"uid{n}": content for n, content in enumerate(messages, 1)}
        self.locked = False
        self.logins = self.logouts = self.locks = self.unlocks = 0
        self.stubborn: set[str] = set()  # cannot be removed
        self.gone: set[str] = set()  # listed, but not there
        self.broken: dict[str, int] = {}  # uid -> where it breaks off
        self.sources: list[Source] = []
        self.at_hand: set[str] | None = None  # a set: these are in memory
        self.error: Exception | None = None  # raised by whatever is asked next
        self.error_in = ""

    def stumble(self, where: str) -> None:
        if self.error is not None and self.error_in == where:
            raise self.error


@implementer(IMailbox)
class Mailbox:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._mine = False

    async def lock(self) -> None:
        self._store.stumble("lock")
        if self._store.locked:
            raise MailboxBusy
        self._store.locked = self._mine = True
        self._store.locks += 1

    async def unlock(self) -> None:
        self._store.stumble("unlock")
        if self._mine:
            self._store.locked = self._mine = False
            self._store.unlocks += 1

    async def messages(self) -> tuple[MessageInfo, ...]:
        self._store.stumble("messages")
        return tuple(
            MessageInfo(uid, len(content), 0.0) for uid, content in self._store.messages.items()
        )

    async def open(self, uid: str) -> Source:
        self._store.stumble("open")
        if uid in self._store.gone:
            raise MessageGone(uid)
        source = Source(self._store.messages[uid], self._store.broken.get(uid))
        self._store.sources.append(source)
        return source

    async def remove(self, uids: Any) -> frozenset[str]:
        self._store.stumble("remove")
        for uid in set(uids) - self._store.stubborn:
            self._store.messages.pop(uid, None)
        return frozenset(uids) & self._store.stubborn


@implementer(IReadsAhead)
class MailboxAhead(Mailbox):
    def at_hand(self, uid: str) -> bytes | None:
        assert self._store.at_hand is not None
        return self._store.messages[uid] if uid in self._store.at_hand else None


@implementer(IMailAccount)
class Account:
    name = "ann@example.test"

    def __init__(self, store: Store) -> None:
        self._store = store

    def owns(self, address: Any) -> bool:
        return True

    def inbox(self) -> Mailbox:
        self._store.stumble("inbox")
        return (Mailbox if self._store.at_hand is None else MailboxAhead)(self._store)

    def logout(self) -> None:
        self._store.logouts += 1


@implementer(IAuthenticator)
class Authenticator:
    """Knows ``ann@example.test`` and ``ann`` with the password ``secret``."""

    def __init__(self, store: Store, *mechanisms: str) -> None:
        self.store = store
        self.mechanisms = frozenset(mechanisms or ("PLAIN", "LOGIN", "SCRAM-SHA-256"))
        self.failures: list[str] = []
        self.waiting: list[Deferred[None]] | None = None  # a list: logins wait

    def login(self, credentials: Any, session: Session) -> Deferred[Account]:
        if self.waiting is None:
            return self._check(credentials, session)
        gate: Deferred[None] = Deferred()
        self.waiting.append(gate)
        return gate.addCallback(lambda _: self._check(credentials, session))

    def _check(self, credentials: Any, session: Session) -> Deferred[Account]:
        try:
            self.store.stumble("login")
        except Exception as error:
            return fail(error)
        right = credentials.username in (b"ann", b"ann@example.test")
        if IUsernamePassword.providedBy(credentials) or IUsernameHashedPassword.providedBy(
            credentials
        ):
            right = right and credentials.checkPassword(b"secret")
        else:
            assert IVerifiedIdentity.providedBy(credentials)
        if not right:
            return fail(LoginFailed("test"))
        self.store.logins += 1
        return succeed(Account(self.store))

    def scram_verifier(self, login: str, session: Session) -> Deferred[ScramVerifier]:
        try:
            self.store.stumble("scram")
        except Exception as error:
            return fail(error)
        return succeed(ScramVerifier.derive(b"secret", SALT, 4096))

    def note_failure(self, login: str, session: Session) -> None:
        self.failures.append(login)


@implementer(IJournal)
class Journal:
    def __init__(self) -> None:
        self.records: list[tuple[str, str, dict[str, Any]]] = []

    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        self.records.append((step, result, detail))

    def steps(self) -> list[str]:
        return [step for step, _, _ in self.records]

    def of(self, step: str) -> dict[str, Any]:
        (detail,) = [d for s, _, d in self.records if s == step]
        return detail


class Recent:
    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []

    def note(self, peer_ip: str, account: str) -> None:
        self.noted.append((peer_ip, account))

    def may_relay(self, peer_ip: str) -> str | None:
        return None


class Tls:
    can_serve = True

    def server(self) -> object:
        return object()


class Transport(StringTransport):
    """Delivers at once what is written, unless ``stuck``: then as a full socket buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck = False
        self.aborted = False
        self.in_tls = False
        self.most_held = 0

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.stuck and self.producer is not None:
            self.most_held = max(self.most_held, len(self.value()))
            self.producer.pauseProducing()

    def abortConnection(self) -> None:
        self.aborted = True

    def startTLS(self, context: object) -> None:
        self.in_tls = True

    def getHandle(self) -> object:
        return object()


class House:
    def __init__(self, *messages: bytes, store: Store | None = None, **options: Any) -> None:
        self.store = store or Store(*messages)
        self.clock = Clock()
        self.journal = Journal()
        self.recent = Recent()
        self.authenticator = Authenticator(self.store, *options.pop("mechanisms", ()))
        serial = itertools.count()
        limits = options.pop("limits", None) or {}
        self.factory = Pop3Factory(
            "mail.example.test",
            "pop3",
            self.authenticator,
            journal=self.journal,
            ids=IdSource(self.clock.seconds, 7),
            nonces=lambda: f"nonce{next(serial)}",
            clock=self.clock,
            connections=options.pop("connections", ConnectionCounter(0, 0)),
            tls=options.pop("tls", None),
            recent=self.recent,
            limits=Pop3Limits(**{"allow_plaintext": True, **limits}),
        )

    def client(self, login: bool = False) -> Client:
        client = Client(self)
        if login:
            assert client.say("USER ann").startswith(b"+OK")
            assert client.say("PASS secret").startswith(b"+OK")
        return client


class Client:
    def __init__(self, house: House) -> None:
        self._clock = house.clock
        self.protocol = house.factory.buildProtocol(None)
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)
        self.greeting = self.heard()

    def say(self, line: str | bytes) -> bytes:
        """One command; what came back."""
        return self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def send(self, octets: bytes) -> bytes:
        self.protocol.dataReceived(octets)
        while self.protocol._others:  # it has more to do, in turns of the reactor
            self._clock.advance(0)
        return self.heard()

    def heard(self) -> bytes:
        octets = self.transport.value()
        self.transport.clear()
        return octets

    @property
    def closed(self) -> bool:
        return self.transport.disconnecting or self.transport.aborted

    def hang_up(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))
