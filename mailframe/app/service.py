"""The whole server as one Twisted service: start, reload, drain, stop.

Start: bind the doors, open the house, let the queue finish what a crash interrupted, let
everybody in, say ``mailframe ready``. Stop: close the doors, let messages in flight finish
(``DRAIN_SECONDS`` at most), stop the queue, write the journal, close the databases.

A reload applies listeners, limits, policies, relaying, routes and logins, and looks at the
certificates' files; sessions under way go on by the old ones. What ``NEEDS_RESTART`` names
waits for the next start, and the log says so. A reload that fails leaves everything as it
was and says why.
"""

from __future__ import annotations

import operator
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe import __version__
from mailframe.app.config import Config
from mailframe.app.control import ControlServer
from mailframe.app.doors import Doors
from mailframe.app.people import People, people
from mailframe.app.ways import router_of
from mailframe.app.wiring import House, Server, behind_tls, front, furnish, relay_permission
from mailframe.errors import ConfigError, MailframeError
from mailframe.runtime.aio import as_deferred

DRAIN_SECONDS = 20.0
EX_TEMPFAIL = 75  # sysexits.h: the start may work later
NEEDS_RESTART = (
    "base",
    "hostname",
    "realm",
    "tls",
    "dns",
    "couriers",
    "queue",
    "journal",
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


def _none(house: House) -> dict[str, tuple[str, IProtocolFactory]]:
    return {}


def _differs(key: str, config: Config, other: Config) -> bool:
    setting = operator.attrgetter(key)
    return bool(setting(config) != setting(other))


class MailService(Service):
    """``load`` reads the configuration; it is called again for a reload."""

    log = Logger()

    def __init__(
        self,
        load: Callable[[], Config],
        reactor: Any,
        *,
        dev: bool = False,
        extra: ExtraDoors = _none,
        on_ready: Callable[[Mapping[str, str]], None] = lambda addresses: None,
    ) -> None:
        """``on_ready`` is told where each listener really is. Raises ConfigError."""
        self._load = load
        self._reactor = reactor
        self._dev = dev
        self._extra = extra
        self._on_ready = on_ready
        self._config = load()
        self._doors = Doors(reactor)
        self._house = House(self._config, reactor, self._doors)
        self._people: People | None = None
        self._servers: list[Server] = []
        self._control = ControlServer(
            os.path.join(self._config.base, "run", "control.sock"),
            {
                "status": self._status,
                "wake-queue": self._wake_queue,
                "reload": self._reload_asked,
                "stop": self._stop_asked,
            },
            reactor,
        )
        self._extra_names: set[str] = set()
        self._opened = False
        self.exit_status = 0
        """What the process should exit with once the reactor has stopped."""

    # ---- IService

    def privilegedStartService(self) -> None:
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        as_deferred(self._bind(self._config)).addErrback(self._cannot_start)

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        if not self.exit_status:
            as_deferred(self._start()).addErrback(self._cannot_start)

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return as_deferred(self._stop())

    # ---- start

    async def _bind(self, config: Config) -> None:
        await self._doors.bind({name: listen.endpoint for name, listen in config.listen.items()})

    async def _start(self) -> None:
        self._house.disk.make_directories(self._config.base)
        self._control.start()  # first: it keeps a second server off these files
        self._opened = True
        self._house.open()
        self._people = await furnish(self._house, self._config, dev=self._dev)
        assert self._house.queue is not None
        await self._house.queue.recover()
        self._serve(self._config, self._people)
        await self._open_extra_doors()
        self._house.queue.start()
        self._doors.accept()
        # Plain twistd dies of SIGHUP.
        signal.signal(signal.SIGHUP, self._hung_up)
        addresses = self._doors.addresses()
        where = " ".join(f"{name}={address}" for name, address in addresses.items())
        self._on_ready(addresses)
        self.log.info("mailframe ready {where}", where=where, addresses=addresses)

    def _serve(self, config: Config, everybody: People) -> None:
        servers = front(self._house, config, everybody)
        self._follow_limits(config)
        self._doors.furnish(behind_tls(self._house, config, servers))
        self._servers += servers.values()

    def _follow_limits(self, config: Config) -> None:
        self._house.policy_memory.follow(config, relay_permission(self._house, config))

    async def _open_extra_doors(self) -> None:
        extra = self._extra(self._house)
        self._extra_names = set(extra)
        await self._doors.bind({name: endpoint for name, (endpoint, _) in extra.items()})
        self._doors.furnish({name: factory for name, (_, factory) in extra.items()})

    def _cannot_start(self, failure: Failure) -> None:
        self.exit_status = EX_TEMPFAIL
        if failure.check(CannotListenError, OSError, MailframeError):
            self.log.error("mailframe cannot start: {why}", why=failure.getErrorMessage())
        else:
            self.log.failure("mailframe cannot start", failure)
        self._end()

    def _end(self) -> None:
        # Not at once: the reactor may not run yet, and an answer may have to be sent.
        self._reactor.callLater(0, self._reactor.stop)

    # ---- reload

    def _hung_up(self, signal_number: int, frame: object) -> None:
        self._reactor.callFromThread(self._reload_by_signal)

    def _reload_by_signal(self) -> None:
        def refused(failure: Failure) -> None:
            self.log.error("not reloaded: {why}", why=failure.getErrorMessage())

        as_deferred(self.reload()).addErrback(refused)

    async def reload(self) -> None:
        """Raises ConfigError, RealmError or CannotListenError; then nothing was changed."""
        config = self._load()
        everybody = await self._people_now(config)
        router = router_of(config)
        servers = front(self._house, config, everybody)
        await self._bind(config)
        # Nothing can fail from here on.
        self._doors.furnish(behind_tls(self._house, config, servers))
        self._servers = [*(one for one in self._servers if one.open), *servers.values()]
        assert self._house.ways is not None
        self._house.ways.follow(router)
        self._house.stores.follow(everybody.rules)
        self._follow_limits(config)
        await self._house.filtering.follow(config)
        self._house.connections.allow(config.limits.connections, config.limits.connections_per_ip)
        changed = [key for key in NEEDS_RESTART if _differs(key, config, self._config)]
        self._people, self._config = everybody, config
        await self._house.tls.refresh()
        await self._doors.keep(set(config.listen) | self._extra_names)
        self.log.info("reloaded")
        if changed:
            self.log.warn("needs a restart to count: {keys}", keys=", ".join(changed))

    async def _people_now(self, config: Config) -> People:
        """Other checkers count at once; a realm of somebody else's is never made twice."""
        assert self._people is not None
        if self._dev or self._config.realm.class_ or config.realm.class_:
            return self._people
        return await people(config, self._house.desk)

    # ---- stop

    async def _stop(self) -> None:
        await self._doors.close()
        if self._opened:
            self.log.info("draining")
            await self._drain()
            await self._house.close()
        await self._control.stop()
        self.log.info("mailframe stopped")

    async def _drain(self) -> None:
        """Every session's own end, or ``DRAIN_SECONDS``."""
        ended: Deferred[Any] = DeferredList([server.drain() for server in self._servers])
        timer = self._reactor.callLater(DRAIN_SECONDS, ended.cancel)
        await ended.addErrback(lambda _: None)
        if timer.active():
            timer.cancel()

    # ---- the control socket

    def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "hostname": self._config.hostname,
            "connections": len(self._house.connections),
            "listeners": self._doors.addresses(),
        }

    def _wake_queue(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._house.queue is not None:
            self._house.queue.wake()
        return {}

    async def _reload_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            await self.reload()
        except (ConfigError, CannotListenError) as error:
            raise MailframeError(f"nothing was changed: {error}") from error
        return {}

    def _stop_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._end()
        return {}
