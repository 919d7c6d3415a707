"""The whole mail server, without the process around it: bind, start, reload, stop.

Start: bind the doors, open the house, let the queue finish what a crash interrupted, let
everybody in. Stop: close the doors, let messages in flight finish (``DRAIN_SECONDS`` at
most), stop the queue, write the journal, close the databases. It stands on a ``Machine`` and
knows no signals, no sockets of its own and no exit status: ``service`` adds those for a
process, a simulation runs it as it is.

A reload applies listeners, limits, policies, relaying, routes and logins, looks at the
certificates' files, and at the code of applications; sessions under way go on by the old ones.
What ``NEEDS_RESTART`` names waits for the next start, and the log says so. A reload that fails
leaves everything as it was and says why.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from mailframe.app.backups.upgrading import note_version
from mailframe.app.config import Config
from mailframe.app.doors import Doors
from mailframe.app.front import Server, behind_tls, front, relay_permission
from mailframe.app.parts import import_parts
from mailframe.app.people import People
from mailframe.app.ways import router_of
from mailframe.app.wiring import House, furnish, people_of
from mailframe.backup.unfinished import is_unfinished
from mailframe.core.session import Role
from mailframe.errors import MailframeError
from mailframe.interfaces import IPeers
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.machine import Machine

if TYPE_CHECKING:
    from mailframe.hooks.app import App

DRAIN_SECONDS = 20.0
NEEDS_RESTART = (
    "base",
    "hostname",
    "process",
    "tls",
    "dns",
    "couriers.pipe_timeout",
    "queue",
    "journal.keep",
    "metrics.enabled",
    "log",
    "policy.content.max_size",
    "policy.content.max_trainings",
    "policy.greylist.keep",
    "policy.greylist.window",
    "policy.dmarc.report_from",
    "policy.dmarc.reports",
    "policy.dmarc.report_organization",
    "relay.port",
    "auth.failures_per_account",
    "auth.failures_per_ip",
    "auth.failure_window",
    "auth.pop_before_smtp_window",
)

Load = Callable[[], Config]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of it."""

    needs_restart: tuple[str, ...]
    """Settings that are others in the file and wait."""
    applications: int
    """The number of the version of applications that sessions ask from now on."""
    is_new: bool
    """Whether that version began with this."""

    def told(self) -> dict[str, Any]:
        """For whoever asked for it."""
        return {"needs_restart": list(self.needs_restart), "applications": self.applications}


ExtraDoors = Callable[[House], Mapping[str, tuple[str, IProtocolFactory]]]
"""More listeners: name -> endpoint and factory. ``mailframe dev`` has its web page."""


def asking(config: Config, servers: Mapping[str, Server]) -> list[Server]:
    """Those whose sessions may ask applications anything."""
    return [
        server for name, server in servers.items() if config.listen[name].protocol is not Role.HTTP
    ]


def no_doors(house: House) -> dict[str, tuple[str, IProtocolFactory]]:
    return {}


def _differs(key: str, config: Config, other: Config) -> bool:
    setting = operator.attrgetter(key)
    return bool(setting(config) != setting(other))


class MailServer:
    """``bind``, then ``start``; ``stop`` at any time after that."""

    log = Logger()

    def __init__(
        self,
        config: Config,
        machine: Machine,
        *,
        dev: bool = False,
        extra: ExtraDoors = no_doors,
        lent: Mapping[str, int] | None = None,
        peers: IPeers | None = None,
        process: int | None = None,
        apps: Sequence[App] = (),
    ) -> None:
        """``lent`` as of Doors; ``peers``, ``process`` and ``apps`` as of House."""
        self.config = config
        self._dev = dev
        self._extra = extra
        self._extra_names: set[str] = set()
        self._clock = machine.reactor
        self._doors = Doors(machine.reactor, lent)
        self.house = House(config, machine, self._doors, peers=peers, process=process, apps=apps)
        self._one_at_a_time = DeferredLock()
        self._servers: list[Server] = []

    def addresses(self) -> dict[str, str]:
        """Where each listener really is."""
        return self._doors.addresses()

    async def bind_ports(self) -> None:
        """What ``bind`` does, but for Unix sockets: files belong to whoever makes them."""
        await self._bind(self.config, files=False)

    async def bind(self) -> None:
        """Open what is not open yet; nobody is let in. Raises CannotListenError and OSError."""
        await self._bind(self.config)

    async def start(self) -> None:
        """Fires when everybody is let in. Raises OSError, sqlite3.Error, MailframeError and
        CannotListenError."""
        await self.open()
        await self.accept()

    async def open(self) -> None:
        """The first half of ``start``: what a crash interrupted is taken up, nobody is let in."""
        self.house.disk.make_directories(self.config.base)
        if is_unfinished(self.house.disk, self.config.base):
            raise MailframeError(f"a restore into {self.config.base} was cut off: repeat it")
        self.house.open()
        note_version(self.config.base, self.house.disk)
        everybody = await furnish(self.house, self.config, dev=self._dev)
        assert self.house.queue is not None
        await self.house.queue.recover()
        self._serve(self.config, everybody)

    async def accept(self) -> None:
        """The second half."""
        assert self.house.queue is not None
        await self._open_extra_doors()
        self.house.queue.start()
        self._doors.accept()

    async def reload(self, config: Config | Load, apps: Sequence[App] | None = None) -> Reloaded:
        """``config``: another one, or what reads it, on a thread, with modules of applications as
        they are now. ``apps``: others instead of those that were given at the start.

        Raises ConfigError, LoadError, AppError, RealmError or CannotListenError; then nothing was
        changed."""
        load = (lambda: config) if isinstance(config, Config) else config
        done: Deferred[Reloaded] = self._one_at_a_time.run(
            lambda: as_deferred(self._reload(load, apps))
        )
        return await done

    async def _reload(self, load: Load, apps: Sequence[App] | None) -> Reloaded:
        candidate = await self.house.applications.candidate(load, apps)
        config, version = candidate.config, candidate.version
        try:
            everybody = await people_of(self.house, config, version, dev=self._dev)
            router = router_of(config)
            await self.house.content_workers.run(import_parts, config)
            servers = front(self.house, config, everybody, version)
            await self._bind(config)
        except BaseException:
            await candidate.undo()
            raise
        # Nothing can fail from here on.
        self._doors.furnish(behind_tls(self.house, config, servers))
        self._servers = [*(one for one in self._servers if one.open), *servers.values()]
        assert self.house.ways is not None
        self.house.ways.follow(router, everybody.store, version)
        self.house.resolves.follow(everybody.resolver)
        self.house.sinks.follow(version.sinks())
        self.house.applications.adopt(candidate, asking(config, servers))
        self.house.stores.follow(everybody.rules)
        self.house.desk.sources.follow(everybody.sources)
        self._follow_limits(config)
        await self.house.filtering.follow(config)
        self.house.connections.allow(config.limits.connections, config.limits.connections_per_ip)
        changed = [key for key in NEEDS_RESTART if _differs(key, config, self.config)]
        self.config = config
        await self.house.tls.refresh()
        await self._doors.keep(set(config.listen) | self._extra_names)
        self.log.info("reloaded")
        if changed:
            self.log.warn("needs a restart to count: {keys}", keys=", ".join(changed))
        return Reloaded(tuple(changed), version.number, candidate.is_new)

    def plugins(self) -> dict[str, Any]:
        """The applications that run, and what they have cost so far, for ``mailframe plugins``."""
        applications = self.house.applications
        newest = applications.newest
        return {
            "version": newest.number if newest is not None else 0,
            "versions": applications.versions,
            "hooks": newest.report() if newest is not None else [],
            "parts": _parts_of(newest.apps.values()) if newest is not None else [],
        }

    async def close_doors(self) -> None:
        """Nobody new comes in."""
        await self._doors.close()

    async def stop(self) -> None:
        """After ``start``, whether it ended well or not."""
        await self.close_doors()
        self.log.info("draining")
        await self._drain()
        await self.house.close()

    async def _bind(self, config: Config, *, files: bool = True) -> None:
        endpoints = {name: listen.endpoint for name, listen in config.listen.items()}
        await self._doors.bind(
            {name: at for name, at in endpoints.items() if files or not at.startswith("unix:")}
        )

    def _serve(self, config: Config, everybody: People) -> None:
        version = self.house.applications.newest
        assert version is not None
        servers = front(self.house, config, everybody, version)
        version.servers = asking(self.config, servers)
        self._follow_limits(config)
        self._doors.furnish(behind_tls(self.house, config, servers))
        self._servers += servers.values()

    def _follow_limits(self, config: Config) -> None:
        self.house.policy_memory.follow(config, relay_permission(self.house, config))

    async def _open_extra_doors(self) -> None:
        extra = self._extra(self.house)
        self._extra_names = set(extra)
        await self._doors.bind({name: endpoint for name, (endpoint, _) in extra.items()})
        self._doors.furnish({name: factory for name, (_, factory) in extra.items()})

    async def _drain(self) -> None:
        """Every session's own end, or ``DRAIN_SECONDS``."""
        ended: Deferred[Any] = DeferredList([server.drain() for server in self._servers])
        timer = self._clock.callLater(DRAIN_SECONDS, ended.cancel)
        await ended.addErrback(lambda _: None)
        if timer.active():
            timer.cancel()


def _parts_of(apps: Iterable[App]) -> list[dict[str, str]]:
    from mailframe.app.plugin_reports import parts_of

    return [part for app in apps for part in parts_of(app)]
