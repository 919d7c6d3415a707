"""The mail server as one Twisted service: what a process adds to ``server``.

Signals, the control socket, the line ``mailframe ready``, what the process exits with, and
who it is: ports are bound with the privileges of the start, which are then given up for good
(``privileges``); Unix sockets, and every other file, are made by the user that is left.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe import __version__
from mailframe.accounts.errors import RealmError
from mailframe.app import exits, privileges
from mailframe.app.config import Config
from mailframe.app.control import ControlServer
from mailframe.app.server import ExtraDoors, MailServer, no_doors
from mailframe.app.wiring import House
from mailframe.errors import ConfigError, MailframeError
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.garbage import spare_what_stays
from mailframe.runtime.loading import LoadError
from mailframe.runtime.machine import Machine
from mailframe.runtime.privileges import PrivilegeError, is_privileged, is_root
from mailframe.runtime.salvage import NothingReadable
from mailframe.runtime.stalls import StallWatch
from mailframe.runtime.steady import SteadyTime

if TYPE_CHECKING:
    from mailframe.app.modules import Unit
    from mailframe.app.watching import FileWatch
    from mailframe.hooks.app import App


class MailService(Service):
    """``load`` reads the configuration; it is called again for a reload."""

    log = Logger()

    def __init__(
        self,
        load: Callable[[], Config],
        machine: Machine,
        *,
        dev: bool = False,
        extra: ExtraDoors = no_doors,
        on_ready: Callable[[Mapping[str, str]], None] = lambda addresses: None,
        apps: Sequence[App] = (),
    ) -> None:
        """``on_ready`` is told where each listener really is; ``apps`` as of ``House``. Raises
        ConfigError."""
        self._load = load
        self._machine = machine
        self._reactor = machine.reactor
        self._on_ready = on_ready
        config = load()
        self._dev = dev
        self._began_as_root = is_root()
        self._server = MailServer(config, machine, dev=dev, extra=extra, apps=apps)
        self._control = ControlServer(
            os.path.join(config.base, "run", "control.sock"),
            {
                "status": self._status,
                "wake-queue": self._wake_queue,
                "reload": self._reload_asked,
                "stop": self._stop_asked,
                "workers": self._workers_asked,
                "restart-workers": self._restart_asked,
                "plugins": lambda request: self._server.plugins(),
            },
            self._reactor,
            machine.disk,
        )
        self._stalls = StallWatch(self._reactor, observe=self._server.house.metering.lag.observe)
        self._time = SteadyTime(self._reactor, self._server.house.clock_jumped)
        self._files: FileWatch | None = None
        self._bound: Deferred[None] | None = None
        self._opened = False
        self.exit_status = 0
        """What the process should exit with once the reactor has stopped."""

    @property
    def house(self) -> House:
        return self._server.house

    # ---- IService

    def privilegedStartService(self) -> None:
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._bound = as_deferred(self._bind()).addErrback(self._cannot_start)

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        if not self.exit_status:
            as_deferred(self._start()).addErrback(self._cannot_start)

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return as_deferred(self._stop())

    # ---- start and stop

    async def _bind(self) -> None:
        """The ports, and then only the user that is to serve at them. Raises CannotListenError,
        OSError, PrivilegeError and ConfigError."""
        chosen = None if self._dev else privileges.settle(self._server.config)
        await self._server.bind_ports()
        if chosen is not None or (is_privileged() and not is_root()):
            privileges.become(chosen)
            # What the user cannot read would be missed at the first reload.
            self._load()

    async def _start(self) -> None:
        if self._bound is not None:
            await self._bound
        if self.exit_status:
            return
        privileges.look_again(
            self._server.config, began_as_root=self._began_as_root, may_be_root=self._dev
        )
        self._time.start()
        await self._server.bind()
        self._machine.disk.make_directories(self._server.config.base)
        self._control.start()  # first: it keeps a second server off these files
        self._opened = True
        await self._server.start()
        spare_what_stays()
        self._stalls.start()
        # Plain twistd dies of SIGHUP.
        signal.signal(signal.SIGHUP, self._hung_up)
        addresses = self._server.addresses()
        where = " ".join(f"{name}={address}" for name, address in addresses.items())
        self._on_ready(addresses)
        self.log.info("mailframe ready {where}", where=where, addresses=addresses)

    def _cannot_start(self, failure: Failure) -> None:
        self.exit_status = exits.TEMPORARY
        if failure.check(PrivilegeError, ConfigError, LoadError, RealmError):
            self.exit_status = exits.status_of(failure.value)
        if failure.check(CannotListenError, OSError, MailframeError, NothingReadable):
            why = privileges.explained(failure.value, privileges.AT_START)
            self.log.error("mailframe cannot start: {why}", why=why)
        else:
            self.log.failure("mailframe cannot start", failure)
        self._end()

    async def _stop(self) -> None:
        if self._files is not None:
            self._files.stop()
        self._stalls.stop()
        if self._opened:
            await self._server.stop()
        else:
            await self._server.close_doors()
        await self._control.stop()
        self._time.stop()
        self.log.info("mailframe stopped")

    def _end(self) -> None:
        # Not at once: the reactor may not run yet, and an answer may have to be sent.
        self._reactor.callLater(0, self._reactor.stop)

    # ---- reload

    async def reload(self) -> dict[str, Any]:
        """What became of it. Raises ConfigError, LoadError, AppError, RealmError or
        CannotListenError; then nothing was changed."""
        done = (await self._server.reload(self._load)).told()
        if self._server.config.processes > 1 and not self._dev:
            self.log.warn("needs a restart to count: {keys}", keys="workers")
            done["needs_restart"].append("workers")
        return done

    def reload_at_changes(self) -> None:
        """From now on, whenever a file of an application has changed."""
        from mailframe.app.watching import FileWatch

        applications = self._server.house.applications

        def places() -> tuple[Sequence[Unit], Iterable[str]]:
            newest = applications.newest
            return (newest.units, newest.stamps) if newest is not None else ((), ())

        workers = self._server.house.disk_workers
        self._files = FileWatch(self._reactor, workers, places, self.reload)
        self._files.start()

    def _hung_up(self, signal_number: int, frame: object) -> None:
        self._reactor.callFromThread(self._reload_by_signal)

    def _reload_by_signal(self) -> None:
        def refused(failure: Failure) -> None:
            why = privileges.explained(failure.value, privileges.AT_RELOAD)
            self.log.error("not reloaded: {why}", why=why)

        as_deferred(self.reload()).addErrback(refused)

    # ---- the control socket

    def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "hostname": self._server.config.hostname,
            "connections": len(self._server.house.connections),
            "listeners": self._server.addresses(),
            "stalls": self._stalls.told(),
        }

    def _wake_queue(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._server.house.queue is not None:
            self._server.house.queue.wake()
        return {}

    async def _reload_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await self.reload()
        except (MailframeError, CannotListenError) as error:
            why = privileges.explained(error, privileges.AT_RELOAD)
            self.log.error("not reloaded: {why}", why=why)
            raise MailframeError(f"nothing was changed: {why}") from error

    def _stop_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._end()
        return {}

    def _workers_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"workers": []}

    def _restart_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        raise MailframeError("the server is one process (workers = 1): restart it")
