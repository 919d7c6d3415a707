"""Wiring: every part is built here and connected here, top to bottom.

``House`` is what lives as long as the process and owns state on disk. ``furnish`` finds out who
is here and gives the queue its ways out. ``front``, a module of its own, makes what each listener
serves. Reading the three is reading the whole server.
"""

from __future__ import annotations

import base64
import functools
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.accounts.directory import Directory
from mailframe.accounts.passwords import Passwords
from mailframe.accounts.pop_before_smtp import RecentFetches
from mailframe.accounts.schema import MIGRATIONS as DIRECTORY_SCHEMA
from mailframe.accounts.signing import DkimSigner
from mailframe.accounts.throttle import LoginThrottle
from mailframe.app.applications import Applications
from mailframe.app.config import Config
from mailframe.app.doors import Doors
from mailframe.app.filtering import Filtering
from mailframe.app.metering import Metering
from mailframe.app.newest import ChainedResolver, NewestResolver
from mailframe.app.own_addresses import OwnAddresses
from mailframe.app.people import Desk, People, people, people_of_dev, realm_parts
from mailframe.app.policies import PolicyMemory
from mailframe.app.reporting import Reporting
from mailframe.app.source_services import SourceServices
from mailframe.app.sources_of_config import ConfiguredSources
from mailframe.app.stores import Stores
from mailframe.app.versions import Version
from mailframe.app.ways import Ways
from mailframe.core.address import Address
from mailframe.core.events import RecipientFailed
from mailframe.core.ids import IdSource
from mailframe.dns.resolver import DnsResolver
from mailframe.interfaces import IOutbox, IPeers, IPolicy, IResolver, IWorkers
from mailframe.journal.journal import MIGRATIONS as JOURNAL_SCHEMA
from mailframe.journal.journal import Journal
from mailframe.journal.sinks import SinkFeed
from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.folders.store import FolderStore
from mailframe.mailbox.index.live import LiveFolders
from mailframe.mailbox.store import MaildirStore
from mailframe.queue.outbox import Outbox
from mailframe.queue.scheduler import Queue
from mailframe.queue.schema import MIGRATIONS as QUEUE_SCHEMA
from mailframe.queue.spool import Spool
from mailframe.runtime.database import Database, IfDamaged
from mailframe.runtime.duty import Duty
from mailframe.runtime.machine import Machine
from mailframe.runtime.nodes import Nodes
from mailframe.runtime.peers import Alone
from mailframe.runtime.tally import Tally
from mailframe.runtime.workers import Workers
from mailframe.runtime.zone import local_zone
from mailframe.servers.connections import ConnectionCounter
from mailframe.tls.certificates import CertificateDirectory, CertificateFiles
from mailframe.tls.contexts import TlsContexts

if TYPE_CHECKING:
    from mailframe.hooks.app import App
    from mailframe.hooks.running import Running

SWEEP_SECONDS = 86_400.0
_NONCE_OCTETS = 24


class House:
    """Everything that outlives a reload. Built with nothing opened; see ``furnish``."""

    log = Logger()

    def __init__(
        self,
        config: Config,
        machine: Machine,
        doors: Doors,
        *,
        peers: IPeers | None = None,
        process: int | None = None,
        apps: Sequence[App] = (),
    ) -> None:
        """``apps``: applications beside those of the configuration. ``peers``: the other workers
        of this server; None: there are none. ``process``: a number below 1024 that none of them
        has now."""
        self.machine = machine
        self.reactor = reactor = machine.reactor
        self.random = machine.random
        self.disk = machine.disk
        base = functools.partial(os.path.join, config.base)
        self.ids = IdSource(
            reactor.seconds, self.random.randrange(1024) if process is None else process
        )
        self.peers: IPeers = peers or Alone(f"w-{self.random.randbytes(5).hex()}")
        self.nodes = Nodes(self.disk, base("run", "workers"), self.peers.own)
        self.duty = Duty(self.disk, base("run", "duty"))

        # Threads: what blocks runs here, never on the reactor's.
        self.disk_workers = machine.workers("disk", 16)
        self.password_workers = machine.workers("password", 2)
        self.content_workers = machine.workers("content", 2)
        self.account_workers = machine.workers("accounts", 16)
        self.app_workers = machine.workers("apps", 32, foreign=True)
        self.loading_workers = machine.workers("loading", 1, foreign=True)
        self.applications = Applications(reactor, self.loading_workers, apps)

        # State on disk.
        self.spool_file = machine.database(base("queue", "spool.db"), QUEUE_SCHEMA)
        self.directory_file = machine.database(base("directory.db"), DIRECTORY_SCHEMA)
        self.journal_file = machine.database(
            base("journal.db"), JOURNAL_SCHEMA, durable=False, if_damaged=IfDamaged.BEGIN_ANEW
        )
        self.journal = Journal(
            self.journal_file, reactor, config.journal.keep, is_ours=self.duty.is_ours
        )
        self.spool = Spool(
            self.spool_file,
            base("queue", "bodies"),
            self.disk,
            workers=self.disk_workers,
            clock=reactor,
            node=self.peers.own,
            others_alive=self.nodes.others,
        )
        self.events = MailboxEvents(self.peers)
        self.stores = Stores(
            lambda exists, quota: MaildirStore(
                config.base,
                self.disk,
                self.disk_workers,
                events=self.events,
                clock=reactor,
                hostname=config.hostname,
                exists=exists,
                quota=quota,
            )
        )
        if peers is not None:
            self.stores.store.quotas.share(peers)
        self.live = LiveFolders(
            config.base,
            self.disk,
            self.disk_workers,
            events=self.events,
            clock=reactor,
            quotas=self.stores.store.quotas,
            hostname=config.hostname,
            salt=self.random.randbytes(16),
            sizes=self.stores.store.sizes,
            reactor=reactor,
            peers=self.peers,
        )
        self.folders = FolderStore(
            config.base,
            self.disk,
            self.disk_workers,
            live=self.live,
            quotas=self.stores.store.quotas,
            clock=reactor,
            exists=self.stores.exists,
            admin=f"mailto:{config.postmaster}" if config.postmaster else "",
            peers=self.peers,
        )
        # The network.
        self.resolver: IResolver = machine.resolver or DnsResolver(
            reactor, dns_servers(config), self.random, timeouts=config.dns.timeouts
        )
        self.tls = tls_of(config, self.disk_workers, reactor)
        self.listens_on = OwnAddresses(doors.tcp_addresses)

        passwords = Passwords(self.password_workers, reactor, self.random.randbytes(32))
        self.desk = Desk(
            Directory(self.directory_file, self.random.randbytes),
            passwords,
            self.disk_workers,
            self.stores,
            self.folders.open,
            self.random.randbytes,
            ConfiguredSources(
                SourceServices(
                    reactor=reactor,
                    workers=self.account_workers,
                    resolver=self.resolver,
                    random=self.random,
                    check_hash=passwords.is_right,
                )
            ),
        )

        self.signer = DkimSigner(self.desk.directory, self.content_workers, reactor)

        # What is remembered of clients.
        self.policy_memory = PolicyMemory(
            config, machine, self.desk.directory, self.duty, self.peers
        )
        self.reporting = Reporting(config, machine, self.duty)
        self.filtering = Filtering(self, config)
        self.throttle = LoginThrottle(
            reactor,
            limits=self.policy_memory.rate,
            per_address=config.auth.failures_per_ip,
            per_account=config.auth.failures_per_account,
            window=config.auth.failure_window,
            peers=self.peers,
        )
        self.recent = RecentFetches(
            reactor, window=config.auth.pop_before_smtp_window, peers=self.peers
        )
        self.connections = ConnectionCounter(
            config.limits.connections,
            config.limits.connections_per_ip,
            reactor.seconds,
            tally=Tally(peers, "connections", reactor) if peers is not None else None,
        )

        self.sweeping = LoopingCall(self._sweep)
        self.sweeping.clock = reactor
        self.resolves = NewestResolver()
        self.sinks = SinkFeed(reactor)
        self.journal.listen(self.sinks)
        self.extra_policies: Sequence[IPolicy] = ()
        """Of whoever runs it for a purpose of its own; asked by every SMTP listener."""
        self.settled: Callable[[], Awaitable[None]] | None = None
        """What ``mailframe dev`` waits for before it shows a mailbox."""
        self.queue: Queue | None = None
        self.ways: Ways | None = None
        self.metering = Metering(self, config, doors)

    def nonce(self) -> str:
        """Fresh text that nobody can guess."""
        return base64.urlsafe_b64encode(self.random.randbytes(_NONCE_OCTETS)).decode()

    def open(self) -> None:
        """Open files and start threads; blocks. Raises OSError, sqlite3.Error and
        CertificateError."""
        self.nodes.join()  # before anything can be leased in its name
        for database in self.databases:
            self.disk.make_directories(os.path.dirname(database.path))
            database.open()
        for workers in self._pools:
            workers.start()
        self.metering.start()
        self.tls.load()
        self.tls.start()
        self.journal.start()
        self.sweeping.start(SWEEP_SECONDS, now=False)

    def clock_jumped(self, seconds: float) -> None:
        """The clock was set by so much. Windows, greylist and caches see to it themselves."""
        self.throttle.clock_jumped(seconds)
        self.recent.clock_jumped(seconds)
        if self.queue is not None:
            self.queue.clock_jumped(seconds)

    async def close(self) -> None:
        """The other way round; what was begun is written."""
        if self.sweeping.running:
            self.sweeping.stop()
        if self.queue is not None:
            await self.queue.stop()
        if self.ways is not None:
            self.ways.close()
        await self.applications.stop()
        await self.filtering.stop()
        await self.policy_memory.stop()
        await self.reporting.stop()
        await self.spool.stop()
        await self.live.stop()
        self.tls.stop()
        await self.journal.stop()
        await self.sinks.stop()
        self.metering.stop()
        self.desk.sources.close()
        for workers in reversed(self._pools):
            workers.stop()
        for database in self.databases:
            database.close()
        self.duty.release()
        self.nodes.leave()

    @property
    def _pools(self) -> tuple[Workers, ...]:
        return (
            self.disk_workers,
            self.password_workers,
            self.content_workers,
            self.account_workers,
            self.app_workers,
            self.loading_workers,
        )

    @property
    def databases(self) -> tuple[Database, ...]:
        return (
            self.spool_file,
            self.directory_file,
            self.journal_file,
            self.policy_memory.file,
            self.reporting.file,
            self.filtering.file,
        )

    def _sweep(self) -> Deferred[None]:
        """Remove what dead deliveries left behind; trouble with it is no reason to stop."""
        if not self.duty.is_ours():
            return succeed(None)

        def failed(failure: Failure) -> None:
            self.log.failure("mailboxes could not be swept", failure)

        return self.stores.store.sweep().addCallbacks(lambda _: None, failed)


async def furnish(house: House, config: Config, *, dev: bool = False) -> People:
    """Begin the applications, find out who the users are and give the queue its ways out."""
    outbox = Outbox(house.spool, house.resolves, house.signer, journal=house.journal, ids=house.ids)
    house.applications.connect(
        lambda apps, config: running(house, config, outbox, apps),
        lambda config: realm_parts(config, house.desk),
    )
    version = await house.applications.first(config)
    house.sinks.follow(version.sinks())
    everybody = await people_of(house, config, version, dev=dev)
    house.resolves.follow(everybody.resolver)
    house.stores.follow(everybody.rules)
    house.desk.sources.follow(everybody.sources)
    house.ways = Ways(
        config,
        house.reactor,
        resolver=house.resolver,
        tls=house.tls,
        store=everybody.store,
        workers=house.content_workers,
        random=house.random,
        listens_on=house.listens_on,
        signer=house.signer,
        version=version,
    )
    brake = house.policy_memory.add_brake(house, config, outbox)
    await house.policy_memory.start()
    house.reporting.start(house, config, outbox)
    await house.filtering.follow(config)

    def recipient_failed(event: RecipientFailed) -> None:
        brake.recipient_failed(event)
        house.reporting.recipient_failed(event)

    house.queue = Queue(
        house.spool,
        house.ways,
        house.ways.couriers,
        resolver=house.resolves,
        journal=house.journal,
        ids=house.ids,
        clock=house.reactor,
        random=house.random.random,
        hostname=config.hostname,
        retry=config.queue.retry,
        expire=config.queue.expire,
        warn_after=config.queue.warn_after,
        concurrency=config.queue.concurrency,
        concurrency_per_destination=config.queue.concurrency_per_destination,
        rate_per_destination=config.queue.rate_per_destination,
        signer=house.signer,
        recipient_failed=recipient_failed,
        peers=house.peers,
    )
    return everybody


async def people_of(house: House, config: Config, version: Version, *, dev: bool) -> People:
    """With all that applications have to say about it. Raises RealmError."""
    if dev:
        everybody = people_of_dev(house.desk, version.sources, settled=house.settled)
    else:
        everybody = await people(config, house.desk, version.sources, version.realm)
    if resolvers := version.resolvers():
        chained = ChainedResolver([*resolvers, everybody.resolver])
        everybody = replace(everybody, resolver=chained)
    if checkers := version.parts(ICredentialsChecker):
        everybody = replace(everybody, checkers=[*everybody.checkers, *checkers])
    return everybody


def running(house: House, config: Config, outbox: IOutbox, apps: Sequence[App]) -> Running:
    """These applications, as one version of them; nothing of it has begun."""
    # Here because not every server has applications.
    from mailframe.hooks.running import Running
    from mailframe.hooks.server import Server

    server = Server(
        hostname=config.hostname,
        postmaster=Address.parse(config.postmaster) if config.postmaster else None,
        outbox=outbox,
        workers=house.app_workers,
        clock=house.reactor,
        journal=house.journal,
        ids=house.ids,
        random=house.random.randbytes,
        store=house.stores.store,
        zone=local_zone(os.environ, house.disk),
        is_ours=house.duty.is_ours,
        message_size=config.limits.message_size,
    )
    authserv_id = config.policy.authserv_id or config.hostname
    return Running(apps, server, authserv_id=authserv_id, meter=house.metering.applications)


def tls_of(config: Config, workers: IWorkers, reactor: Any) -> TlsContexts:
    source: CertificateFiles | CertificateDirectory | None = None
    if config.tls.certificate:
        source = CertificateFiles(config.tls.certificate, config.tls.key)
    elif config.tls.directory:
        source = CertificateDirectory(config.tls.directory, config.hostname)
    return TlsContexts(source, workers, reactor)


def dns_servers(config: Config) -> list[tuple[str, int]] | None:
    """None: the system's."""
    pairs = [server.rpartition(":") for server in config.dns.servers]
    return [(host.strip("[]"), int(port)) for host, _, port in pairs] or None
