"""The whole mail server, without the process around it: bind, start, reload, stop.

Start: bind the doors, open the house, let the queue finish what a crash interrupted, let
everybody in. Stop: close the doors, let messages in flight finish (``DRAIN_SECONDS`` at
most), stop the queue, write the journal, close the databases. It stands on a ``Machine`` and
knows no signals, no sockets of its own and no exit status: ``service`` adds those for a
process, a simulation runs it as it is.

A reload applies listeners, limits, policies, relaying, routes and logins, and looks at the
certificates' files; sessions under way go on by the old ones. What ``NEEDS_RESTART`` names
waits for the next start, and the log says so. A reload that fails leaves everything as it
was and says why.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from mailframe.app.backups.upgrading import note_version
from mailframe.app.config import Config
from mailframe.app.doors import Doors
from mailframe.app.front import Server, behind_tls, front, relay_permission
from mailframe.app.parts import import_parts
from mailframe.app.people import People, people
from mailframe.app.ways import router_of
from mailframe.app.wiring import House, furnish
from mailframe.backup.unfinished import is_unfinished
from mailframe.errors import MailframeError
from mailframe.interfaces import IPeers
from mailframe.runtime.machine import Machine

DRAIN_SECONDS = 20.0
NEEDS_RESTART = (
    "base",
    "hostname",
    "process",
    "realm",
    "tls",
    "dns",
    "couriers",
    "queue",
    "journal",
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

ExtraDoors = Callable[[House], Mapping[str, tuple[str, IProtocolFactory]]]
"""More listeners: name -> endpoint and factory. ``mailframe dev`` has its web page."""


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
    ) -> None:
        """``lent`` as of Doors; ``peers`` and ``process`` as of House."""
        self.config = config
        self._dev = dev
        self._extra = extra
        self._extra_names: set[str] = set()
        self._clock = machine.reactor
        self._doors = Doors(machine.reactor, lent)
        self.house = House(config, machine, self._doors, peers=peers, process=process)
        self._people: People | None = None
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
        self._people = await furnish(self.house, self.config, dev=self._dev)
        assert self.house.queue is not None
        await self.house.queue.recover()
        self._serve(self.config, self._people)

    async def accept(self) -> None:
        """The second half."""
        assert self.house.queue is not None
        await self._open_extra_doors()
        self.house.queue.start()
        self._doors.accept()

    async def reload(self, config: Config) -> None:
        """Raises RealmError or CannotListenError; then nothing was changed."""
        everybody = await self._people_now(config)
        router = router_of(config)
        await self.house.content_workers.run(import_parts, config)
        servers = front(self.house, config, everybody)
        await self._bind(config)
        # Nothing can fail from here on.
        self._doors.furnish(behind_tls(self.house, config, servers))
        self._servers = [*(one for one in self._servers if one.open), *servers.values()]
        assert self.house.ways is not None
        self.house.ways.follow(router)
        self.house.stores.follow(everybody.rules)
        self._follow_limits(config)
        await self.house.filtering.follow(config)
        self.house.connections.allow(config.limits.connections, config.limits.connections_per_ip)
        changed = [key for key in NEEDS_RESTART if _differs(key, config, self.config)]
        self._people, self.config = everybody, config
        await self.house.tls.refresh()
        await self._doors.keep(set(config.listen) | self._extra_names)
        self.log.info("reloaded")
        if changed:
            self.log.warn("needs a restart to count: {keys}", keys=", ".join(changed))

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
        servers = front(self.house, config, everybody)
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

    async def _people_now(self, config: Config) -> People:
        """Other checkers count at once; a realm of somebody else's is never made twice."""
        assert self._people is not None
        if self._dev or self.config.realm.class_ or config.realm.class_:
            return self._people
        return await people(config, self.house.desk)

    async def _drain(self) -> None:
        """Every session's own end, or ``DRAIN_SECONDS``."""
        ended: Deferred[Any] = DeferredList([server.drain() for server in self._servers])
        timer = self._clock.callLater(DRAIN_SECONDS, ended.cancel)
        await ended.addErrback(lambda _: None)
        if timer.active():
            timer.cancel()
