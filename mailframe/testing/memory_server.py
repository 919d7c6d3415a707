"""A whole mailframe in memory, for tests: its real wiring, on a machine that is none.

No sockets, no threads, no files: time passes when a test lets it, the network is an object, and
the disk is forgotten at the end. A server is there within some ten milliseconds, for its databases
are made once and copied.

::

    with MemoryServer("shop:app", dns={"_dmarc.example.com": "v=DMARC1; p=reject"}) as mail:
        answer = mail.send("bob@example.com", "orders+42@shop.test", "hello", dkim="example.com")
        assert answer.code == 250
        mail.run_deliveries()
        assert mail.outbox[0].to == ["bob@example.com"]

What the server logs with a traceback fails the test at its end, unless it was expected:
``mail.flush_errors(ValueError)``.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailframe.app.server import MailServer
from mailframe.core.address import Address
from mailframe.journal import stories
from mailframe.mailauth.dkim import SigningKey, generate, key_record, sign_dkim
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.paths import folder_directory, maildir_of
from mailframe.mailbox.tree import inboxes
from mailframe.message.headers import split_message
from mailframe.queue import admin as queue_admin
from mailframe.queue.content import MemorySource
from mailframe.queue.schema import MICROSECONDS, Lease, State
from mailframe.queue.schema import MIGRATIONS as QUEUE_SCHEMA
from mailframe.runtime.aio import as_deferred, fired, result_of
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers
from mailframe.testing.letters import FileToSend, Received, build
from mailframe.testing.machine import SimMachine
from mailframe.testing.memory_settings import (
    BASE,
    HOSTNAME,
    IP,
    PORTS,
    configuration,
    fresh_disk,
)
from mailframe.testing.network.talk import dial
from mailframe.testing.smtp_client import Answer, Client, Visit
from mailframe.testing.surroundings import CLIENT, CLIENT_IP, Surroundings
from mailframe.testing.zones import FakeDns, Records

T = TypeVar("T")

_DUE = (
    "SELECT EXISTS (SELECT 1 FROM recipient"
    f" WHERE lease = {Lease.TAKEN:d} OR (state < {State.HELD:d} AND next_at <= ?))"
)
_PATIENCE = 600.0
_MOST_SECONDS = 3600.0  # that anything a test asks for may take, by the network's clock


class MemoryServer:
    """``app``: an App or ``"module:app"``, or several. ``dns``: what ``FakeDns`` takes. ``users``:
    address -> password, of the built-in directory. ``config``: settings as in the file, over those
    of ``memory_settings``. ``world``: surroundings that it shares with others; it has some of its
    own unless given. What keeps it from starting is raised: ConfigError, AppError, RealmError."""

    def __init__(
        self,
        app: Any = None,
        *,
        dns: Mapping[str, Records] | None = None,
        users: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        world: Surroundings | None = None,
    ) -> None:
        self.world = world if world is not None else Surroundings()
        """Network, DNS and hosts around it."""
        self.world.dns.update(dns or {})
        self._owns_world = world is None
        self._expected = 0
        self._apps = _objects(app)
        self.users = dict(users or {})
        """Address -> password."""
        self.config = configuration(config or {}, _names(app))
        """The configuration that it runs with (``mailframe.app.config.Config``)."""
        machine = SimMachine(self.world.network, HOSTNAME, IP, fresh_disk(self.users))
        machine.resolver = self.world.dns
        self.machine = machine
        """Its disk and clock; another one after ``restart``."""
        self.server = MailServer(self.config, machine, apps=self._apps)
        """The server itself (``mailframe.app.server.MailServer``), for what is not offered here."""
        self._start()

    def __enter__(self) -> MemoryServer:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close(check=kind is None)

    # ---- mail

    def send(
        self,
        sender: str,
        recipients: str | Iterable[str],
        text: str = "",
        *,
        subject: str = "a message",
        html: str = "",
        headers: Mapping[str, str] | None = None,
        attachments: Iterable[FileToSend] = (),
        raw: bytes = b"",
        ip: str = CLIENT_IP,
        helo: str = CLIENT,
        dkim: str = "",
        login: tuple[str, str] | str = "",
        role: str = "",
    ) -> Answer:
        """One transaction: what the server answered.

        ``sender`` is the reverse-path, ``""`` the null one; ``recipients`` are one or several. The
        message is made of ``text``, ``subject``, ``html``, ``headers`` (name -> value, in place of
        what would be there by itself) and ``attachments`` (name, content and, unless that of the
        name is right, media type), or it is ``raw``, in wire format. ``ip`` and ``helo``: whom it
        comes from. ``dkim``: the domain that signs it; its key is published. ``login``: an address
        of ``users``, or a name and a password; the message is submitted then. ``role``: the
        listener, ``mx`` unless somebody logs in.
        """
        named = [recipients] if isinstance(recipients, str) else list(recipients)
        now = self.world.seconds()
        message = raw or build(
            sender,
            named,
            text,
            subject=subject,
            html=html,
            headers=headers,
            attachments=attachments,
            now=now,
        )
        if dkim:
            message = self._signed(message, dkim)
        pair = (login, self.users[login]) if isinstance(login, str) and login else login or None
        role = role or ("submission" if pair else "mx")
        verb = "LHLO" if role == "lmtp" else "EHLO"
        visit = Visit(helo, sender, named, message, pair if isinstance(pair, tuple) else None, verb)

        async def transact() -> Answer:
            talk = await dial(self._host(ip).reactor, IP, PORTS[role], _PATIENCE)
            try:
                return await Client(talk).deliver(visit)
            finally:
                talk.close()

        answer: Answer = self.wait(transact)
        return answer

    def run_deliveries(self, seconds: float = _MOST_SECONDS) -> None:
        """Let everything be delivered that is due now, and whatever comes of it. What has to wait
        for another try (``advance``) is left, and so is what takes longer than ``seconds``."""

        self._settle()
        end = self.world.seconds() + seconds
        while self._due() and self.world.seconds() < end:
            self.world.network.run(0.05)
        self._settle()

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass; what is due meanwhile happens, the next try of a message for
        instance."""
        self.world.advance(seconds)

    @property
    def outbox(self) -> list[Received]:
        """What hosts elsewhere took, in their order."""
        return self.world.outbox

    @property
    def dns(self) -> FakeDns:
        """What it is told when it asks the DNS: ``mail.dns["example.com"] = "192.0.2.1"``."""
        return self.world.dns

    def inbox(self, address: str, folder: str = "") -> list[Received]:
        """What lies in the mailbox of that account, oldest first; in a folder (``Junk``) of it."""
        path = maildir_of(BASE, Address.parse(address).key)
        if folder:
            path = folder_directory(path, folder)
        return self._messages(Maildir(path, self.machine.disk))

    def mailboxes(self) -> list[tuple[str, str, Received]]:
        """Account, folder (empty: the INBOX) and message of all that lies in mailboxes."""
        found = []
        for account, inbox in inboxes(BASE, self.machine.disk):
            for folder, maildir in (("", inbox), *inbox.named_folders()):
                found += [(account, folder, each) for each in self._messages(maildir)]
        return found

    # ---- what happened

    def trace(self, id: str) -> list[dict[str, Any]]:
        """The story of a message or session, or of a refusal (``answer.id``), a dict for each step:
        ``time`` in seconds since the epoch, ``step``, ``result``, and its details."""
        self._settle()
        journal = self.server.house.journal_file
        entries = self.wait(lambda: _read(journal, lambda db: stories.story(db, id)))
        return [
            {"time": each.time, "step": each.step, "result": each.result, **each.detail}
            for each in entries
        ]

    def queue(self) -> list[queue_admin.QueuedMessage]:
        """What is still queued, as ``mailframe queue`` lists it: of each message ``queue_id``,
        ``queue_name`` (``deferred``, ``hold`` ...), ``arrival_time``, ``message_size``, ``sender``,
        ``recipients``. Dead letters are those whose ``queue_name`` is ``dead``."""
        with self._spool() as database:
            return list(queue_admin.messages(database, queue_admin.Selection()))

    def replay(self, *ids: str) -> list[str]:
        """As ``mailframe queue replay``: have dead letters tried once more, all of them or those
        of these queue ids. They are due at once, so that ``run_deliveries`` delivers them. Returns
        the queue ids of those there were."""
        with self._spool() as database:
            selection = queue_admin.Selection(ids=ids)
            found = queue_admin.replay(database, selection, self.world.seconds())
        if self.server.house.queue is not None:
            self.server.house.queue.wake()
        return found

    @property
    def log(self) -> list[str]:
        """Every line that was logged so far."""
        return [each.text for each in self.world.log.events]

    def flush_errors(self, *kinds: type[BaseException]) -> list[BaseException]:
        """Errors that were logged since the start or the last call, and that the test expected: of
        these kinds, or all. The rest still fails it."""
        found = self._errors()[self._expected :]
        if kinds and not all(isinstance(error, kinds) for error in found):
            return [error for error in found if isinstance(error, kinds)]
        self._expected += len(found)
        return found

    # ---- the server

    def reload(self, app: Any = None, *, config: Mapping[str, Any] | None = None) -> None:
        """As ``mailframe reload``, with another application, another ``config`` (in place of the
        first one), or what there was: raises what that would say, and changes nothing then."""
        fresh = self.config if app is config is None else configuration(config or {}, _names(app))
        apps = self._apps if app is None else _objects(app)
        self.wait(lambda: self.server.reload(fresh, apps))
        self.config, self._apps = fresh, apps

    def restart(self, *, how: str = "kill") -> None:
        """``kill``: as kill -9 does; ``power``: and with what a power cut leaves of the disk.
        Then it is started again."""
        if how == "power":
            self.machine.cut_power()
        self.machine = self.machine.restart()
        self.machine.resolver = self.world.dns
        self.server = MailServer(self.config, self.machine, apps=self._apps)
        self._start()

    def wait(self, work: Callable[[], Any]) -> Any:
        """Do something asynchronous on the server's clock: ``work`` is called and may answer with a
        value, a Deferred or a coroutine. Returns what comes of it, raises what it fails with, and
        TimeoutError after an hour of that clock."""
        outcome: list[Any] = []
        self.machine.start(_coroutine(work)).addBoth(outcome.append)
        if not self.world.network.run_until(lambda: bool(outcome), _MOST_SECONDS):
            raise TimeoutError(f"nothing came of it in {_MOST_SECONDS:.0f} s")
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return outcome[0]

    def close(self, *, check: bool = True) -> None:
        """Stop it. AssertionError where it logged an error that nobody expected."""
        try:
            if self.machine.is_running:
                self.wait(self.server.stop)
            errors = self._errors()[self._expected :] if check else []
            tracebacks = [
                each.failure.getTraceback()
                for each in self.world.log.failures()
                if each.failure is not None and each.failure.value in errors
            ]
        finally:
            if self._owns_world:
                self.world.close()
        if errors:
            told = "\n".join(tracebacks)
            raise AssertionError(f"the server logged {len(errors)} error(s):\n{told}")

    # ---- how

    def _start(self) -> None:
        async def start() -> None:
            await self.server.bind()
            await self.server.start()

        self.wait(start)

    def _settle(self) -> None:
        """Until what was just done is in the journal."""
        self.world.network.run(0.2)

    def _due(self) -> bool:
        now = int(self.world.seconds() * MICROSECONDS)
        spool = self.server.house.spool_file
        found = self.wait(lambda: _read(spool, lambda db: db.execute(_DUE, (now,)).fetchone()))
        return bool(found[0])

    @contextmanager
    def _spool(self) -> Iterator[Database]:
        """Beside the server, as the command line has it."""
        database = Database(f"{BASE}/queue/spool.db", QUEUE_SCHEMA, None, disk=self.machine.disk)
        database.open()
        try:
            yield database
        finally:
            database.close()

    def _errors(self) -> list[BaseException]:
        failures = (each.failure for each in self.world.log.failures())
        values = [failure.value for failure in failures if failure is not None]
        return [value for value in values if value is not None]

    def _host(self, ip: str) -> Any:
        network = self.world.network
        return network.addresses.get(ip) or network.host(f"client {ip}", ip)

    def _signed(self, message: bytes, domain: str) -> bytes:
        private, record = _dkim_key()
        self.world.dns[f"test._domainkey.{domain}"] = record
        key = SigningKey(domain, "test", "ed25519-sha256", private)
        header, body = split_message(message)
        workers: Any = InlineWorkers()

        async def open_body() -> Any:
            return MemorySource(body)

        signing = sign_dkim(header, open_body, workers, [key], now=self.world.seconds())
        return fired(as_deferred(signing)) + message

    def _messages(self, maildir: Maildir) -> list[Received]:
        if not self.machine.disk.is_directory(maildir.path):
            return []
        return [self._received(self.machine.disk.read(path)) for path, _ in maildir.in_order()]

    def _received(self, raw: bytes) -> Received:
        wire = raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")  # Maildirs have LF
        found = Received(wire)
        found.sender = str(found.headers.get("Return-Path", "")).strip("<> ")
        found.to = [str(value) for value in found.message.get_all("Delivered-To", [])]
        return found


def _objects(app: Any) -> list[Any]:
    return [each for each in _listed(app) if not isinstance(each, str)]


def _names(app: Any) -> list[str]:
    return [each for each in _listed(app) if isinstance(each, str)]


def _listed(app: Any) -> list[Any]:
    if app is None:
        return []
    return list(app) if isinstance(app, (list, tuple)) else [app]


@functools.cache
def _dkim_key() -> tuple[bytes, str]:
    """A private key, and its record. Made once: what it signs is no secret."""
    private = generate("ed25519-sha256")
    return private, key_record(private)


def _read(database: Database, job: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
    return database.read(job)


def _coroutine(work: Callable[[], Any]) -> Callable[[], Coroutine[Any, Any, Any]]:
    async def run() -> Any:
        return await result_of(work())

    return run
