"""The process that was started when several serve: it holds what they share, and serves nobody.

As ``service.MailService`` for one process: ports are bound with the privileges of the start,
the control socket keeps a second server off the same files, SIGHUP reloads, SIGTERM ends it.
All workers have the configuration that it has read and checked, also those that come later.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe import __version__
from mailframe.app import exits, privileges
from mailframe.app.config import Config, ConfigSource
from mailframe.app.control import ControlServer
from mailframe.app.doors import Doors
from mailframe.app.plugin_reports import together
from mailframe.app.workers.bus import Bus
from mailframe.app.workers.child import Child, WorkerEnded
from mailframe.app.workers.crew import Crew
from mailframe.app.workers.order import Told
from mailframe.app.workers.peers import PeerFailed
from mailframe.app.workers.relayed_log import Write
from mailframe.app.workers.watch import Watch
from mailframe.errors import ConfigError, MailframeError
from mailframe.runtime.aio import Background, as_deferred
from mailframe.runtime.machine import Machine
from mailframe.runtime.privileges import PrivilegeError, is_privileged, is_root

_RELOAD_SECONDS = 180.0
"""A worker imports, and begins, applications."""


class NotReloaded(PeerFailed):
    """A worker says why it cannot use what the configuration or an application is now."""


class Supervisor(Service):
    log = Logger()

    def __init__(
        self,
        source: ConfigSource,
        machine: Machine,
        log: Write,
        *,
        on_ready: Callable[[Mapping[str, str]], None] = lambda addresses: None,
    ) -> None:
        """``log`` takes the lines of workers; ``on_ready`` is told where each listener really is.
        Raises ConfigError."""
        self._source = source
        self._text = source.read()
        self._config = source.config(self._text, code=False)
        self._machine = machine
        self._reactor = machine.reactor
        self._on_ready = on_ready
        self._began_as_root = is_root()
        self._systemd = _sockets_of_systemd()
        self._doors = Doors(self._reactor)
        self._bus = Bus(self._reactor)
        self._crew = Crew(self._reactor, self._bus, machine.random, self._order, log)
        self._watch = Watch(self._reactor, self._bus.peers, self._crew)
        self._control = ControlServer(
            os.path.join(self._config.base, "run", "control.sock"),
            {
                "status": self._status,
                "wake-queue": self._wake_queue,
                "reload": self._reload_asked,
                "stop": self._stop_asked,
                "workers": self._workers_asked,
                "restart-workers": self._restart_asked,
                "plugins": self._plugins_asked,
            },
            self._reactor,
            machine.disk,
        )
        self._one_at_a_time = DeferredLock()
        self._background = Background()
        self._bound: Deferred[None] | None = None
        self._began = self._reactor.seconds()
        self._stopping = False
        self.exit_status = 0
        """What the process should exit with once the reactor has stopped."""

    def _order(self, process: int) -> Told:
        return Told(
            self._source.path,
            self._text,
            self._doors.descriptors(),
            process,
            self._systemd,
            os.environ.get("PYTHONPATH"),
            self._source.apps,
        )

    # ---- IService

    def privilegedStartService(self) -> None:
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._bound = as_deferred(self._bind()).addErrback(self._cannot_start)

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        if not self.exit_status:
            # Not before signals are heard: the end of a process is one.
            self._reactor.callWhenRunning(
                lambda: as_deferred(self._start()).addErrback(self._cannot_start)
            )

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return as_deferred(self._stop())

    # ---- start and stop

    async def _bind(self) -> None:
        """As ``MailService`` does."""
        chosen = privileges.settle(self._config)
        await self._bind_listeners(self._config, files=False)
        if chosen is not None or (is_privileged() and not is_root()):
            privileges.become(chosen)
            self._source.load(code=False)

    async def _bind_listeners(self, config: Config, *, files: bool = True) -> None:
        endpoints = {name: listen.endpoint for name, listen in config.listen.items()}
        await self._doors.bind(
            {name: at for name, at in endpoints.items() if files or not at.startswith("unix:")}
        )

    async def _start(self) -> None:
        if self._bound is not None:
            await self._bound
        if self.exit_status or self._stopping:
            return
        privileges.look_again(self._config, began_as_root=self._began_as_root)
        await self._bind_listeners(self._config)
        self._machine.disk.make_directories(self._config.base)
        self._control.start()  # first: it keeps a second server off these files
        # Plain twistd dies of SIGHUP.
        signal.signal(signal.SIGHUP, self._hung_up)
        # A reload has to wait until then.
        await self._one_at_a_time.run(lambda: as_deferred(self._crew.start(self._config.processes)))
        self._watch.start()
        addresses = self._doors.addresses()
        where = " ".join(f"{name}={address}" for name, address in addresses.items())
        self._on_ready(addresses)
        self.log.info("mailframe ready {where}", where=where, addresses=addresses)

    def _cannot_start(self, failure: Failure) -> None:
        if self._stopping:
            return
        error = failure.value
        self.exit_status = exits.TEMPORARY
        if isinstance(error, WorkerEnded):
            self.exit_status = error.status  # the worker has said why
        elif failure.check(PrivilegeError, ConfigError):
            self.exit_status = exits.status_of(error)
        if failure.check(CannotListenError, OSError, MailframeError):
            why = privileges.explained(error, privileges.AT_START)
            self.log.error("mailframe cannot start: {why}", why=why)
        else:
            self.log.failure("mailframe cannot start", failure)
        self._end()

    async def _stop(self) -> None:
        self._stopping = True
        self._watch.stop()
        await self._crew.stop()
        await self._background.stop()
        await self._doors.close()
        await self._control.stop()
        self.log.info("mailframe stopped")

    def _end(self) -> None:
        def stop() -> None:
            if not self._stopping:
                self._reactor.stop()

        # Not at once: the reactor may not run yet, and an answer may have to be sent.
        self._reactor.callLater(0, stop)

    # ---- reload

    async def reload(self) -> dict[str, Any]:
        """What the first worker says became of it. Raises ConfigError, CannotListenError or
        MailframeError; then nothing was changed."""
        done: Deferred[dict[str, Any]] = self._one_at_a_time.run(
            lambda: as_deferred(self._reload())
        )
        return await done

    async def _reload(self) -> dict[str, Any]:
        if self._stopping:
            raise MailframeError("the server is stopping")
        text = self._source.read()
        config = self._source.config(text, code=False)
        if _endpoints(config) != _endpoints(self._config):
            answer = await self._move(config, text)
        else:
            answer = await self._change(config, text)
        return answer | await self._resize(config, answer)

    async def _change(self, config: Config, text: str) -> dict[str, Any]:
        """The first one that takes it, with the code that there is now, has proved that it can be
        taken. Who cannot after that is replaced by one that begins with it."""
        answer: dict[str, Any] = {}
        has_changed = False
        for child in self._crew:
            if child.state != "serving":
                continue
            try:
                told = await self._tell(child, text)
            except PeerFailed as error:
                if not has_changed:
                    raise
                self._give_up(child, error)
            else:
                answer = answer or told
                has_changed = True
                self._text, self._config = text, config
        # Where nobody serves just now, too: who comes next goes by it.
        self._text, self._config = text, config
        for child in self._crew:
            if child.text != text and not child.may_end:
                self._background.start(self._catch_up(child), f"reloading {child.name}")
        return answer

    async def _tell(self, child: Child, text: str) -> dict[str, Any]:
        """Raises NotReloaded, and PeerFailed where it has not answered."""
        told = await self._bus.peers.call(child.name, "reload", text, _RELOAD_SECONDS)
        answer: dict[str, Any] = told or {}
        if "refused" in answer:
            raise NotReloaded(answer["refused"])
        child.text = text
        return answer

    async def _catch_up(self, child: Child) -> None:
        """It began with what was there before, and was not open yet when the others were told."""
        with contextlib.suppress(WorkerEnded):
            await child.accepting()
            if child.text != self._text:
                try:
                    await self._tell(child, self._text)
                except PeerFailed as error:
                    self._give_up(child, error)

    def _give_up(self, child: Child, error: PeerFailed) -> None:
        self.log.error("worker {name}: {why}; replaced", name=child.name, why=str(error))
        child.kill()

    async def _move(self, config: Config, text: str) -> dict[str, Any]:
        """Other sockets: they are opened here, and new workers take their places at them."""
        await self._bind_listeners(config)
        before = self._text, self._config
        self._text, self._config = text, config
        try:
            await self._crew.restart()
        except MailframeError:
            self._text, self._config = before
            await self._bind_listeners(self._config)
            await self._doors.keep(set(self._config.listen))
            raise
        await self._doors.keep(set(config.listen))
        self.log.info("reloaded")
        return {}

    async def _resize(self, config: Config, answer: dict[str, Any]) -> dict[str, Any]:
        if config.processes == 1:  # that needs no supervisor
            self.log.warn("needs a restart to count: {keys}", keys="workers")
            return {"needs_restart": [*answer.get("needs_restart", []), "workers"]}
        await self._crew.resize(config.processes)
        return {}

    def _hung_up(self, signal_number: int, frame: object) -> None:
        self._reactor.callFromThread(self._reload_by_signal)

    def _reload_by_signal(self) -> None:
        def refused(failure: Failure) -> None:
            why = privileges.explained(failure.value, privileges.AT_RELOAD)
            self.log.error("not reloaded: {why}", why=why)

        as_deferred(self.reload()).addErrback(refused)

    # ---- the control socket

    async def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        workers = await self._workers()
        heard = [worker for worker in workers if "stalls" in worker]
        longest: dict[str, Any] = max(
            (worker["stalls"] for worker in heard),
            key=lambda stalls: float(stalls.get("milliseconds", 0)),
            default={},
        )
        return {
            "pid": os.getpid(),
            "version": __version__,
            "hostname": self._config.hostname,
            "connections": sum(worker["connections"] for worker in heard),
            "listeners": self._doors.addresses(),
            "stalls": longest | {"count": sum(worker["stalls"]["count"] for worker in heard)},
            "workers": workers,
        }

    async def _workers(self) -> list[dict[str, Any]]:
        children = list(self._crew)
        asked = [self._bus.peers.call(child.name, "status") for child in children]
        return [
            self._facts(child) | await answer.addErrback(_no_answer)
            for child, answer in zip(children, asked, strict=True)
        ]

    def _facts(self, child: Child) -> dict[str, Any]:
        return {
            "name": child.name,
            "pid": child.pid,
            "state": child.state,
            "uptime": round(self._reactor.seconds() - child.began),
        }

    async def _wake_queue(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One is told, which tells the others."""
        for child in self._crew:
            if child.state != "serving":
                continue
            try:
                await self._bus.peers.call(child.name, "wake-queue", seconds=1.0)
            except PeerFailed:
                continue
            break
        return {}

    async def _reload_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await self.reload()
        except (ConfigError, CannotListenError, PeerFailed) as error:
            why = privileges.explained(error, privileges.AT_RELOAD)
            self.log.error("not reloaded: {why}", why=why)
            raise MailframeError(f"nothing was changed: {why}") from error

    def _stop_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._end()
        return {}

    async def _workers_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"workers": await self._workers()}

    async def _plugins_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Of all workers together."""
        asked = [self._bus.peers.call(child.name, "plugins") for child in self._crew]
        answers = [found for answer in asked if (found := await answer.addErrback(_no_answer))]
        return together(answers)

    async def _restart_asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        await self._crew.restart()
        return {"workers": await self._workers()}


def _endpoints(config: Config) -> dict[str, str]:
    return {name: listen.endpoint for name, listen in config.listen.items()}


def _no_answer(failure: Failure) -> dict[str, Any]:
    """Of a worker that is starting, or stopped, or has just ended."""
    failure.trap(PeerFailed)
    return {}


def _sockets_of_systemd() -> int:
    """How many this process was given (sd_listen_fds(3)). Twisted has looked: of what was meant for
    us it leaves only the names in the environment."""
    names = os.environ.get("LISTEN_FDNAMES", "")
    return len(names.split(":")) if names and "LISTEN_PID" not in os.environ else 0
