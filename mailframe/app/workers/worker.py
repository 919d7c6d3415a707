"""One of the processes that serve: a whole mail server at sockets that its supervisor lends it.

It ends when it is asked to, by SIGTERM, or when the bus is closed: then its supervisor is no
more, and nobody would know of it. ``__main__`` is how it begins.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.app import exits, loop
from mailframe.app.config import Config, ConfigSource
from mailframe.app.server import MailServer
from mailframe.app.workers.bus import adopt
from mailframe.app.workers.order import Told
from mailframe.app.workers.peers import SUPERVISOR, PeerFailed, Peers
from mailframe.app.workers.wire import Wire
from mailframe.errors import ConfigError, MailframeError
from mailframe.runtime.aio import Background, as_deferred
from mailframe.runtime.garbage import spare_what_stays
from mailframe.runtime.machine import Machine
from mailframe.runtime.salvage import NothingReadable
from mailframe.runtime.stalls import StallWatch
from mailframe.runtime.steady import SteadyTime

_LOOK = 0.1  # seconds


class Worker:
    """``start`` when the reactor runs, ``stop`` before it ends."""

    log = Logger()

    def __init__(
        self, name: str, source: ConfigSource, config: Config, told: Told, machine: Machine
    ) -> None:
        self._reactor = machine.reactor
        self._source = source
        self._wire = Wire(self._reactor, self._received, self._bus_closed)
        self.peers = Peers(name, self._reactor, self._send)
        self._server = MailServer(
            config, machine, lent=told.listeners, peers=self.peers, process=told.process
        )
        self._stalls = StallWatch(self._reactor, observe=self._server.house.metering.lag.observe)
        self._time = SteadyTime(self._reactor, self._server.house.clock_jumped)
        self._background = Background()
        self._opened = False
        self._ending = False
        self.exit_status = 0
        self.peers.answer("status", self._status)
        self.peers.answer("reload", self._reload)
        self.peers.answer("wake-queue", self._wake_queue)
        self.peers.answer("retire", self._retire)
        self.peers.answer("drain", self._drain)
        self.peers.answer("plugins", lambda note: self._server.plugins())

    # ---- from the start to the end

    def start(self, bus: socket.socket, rest: bytes) -> None:
        # Twisted's own handler stops the reactor a second time if it comes twice.
        signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(self._end))
        adopt(self._reactor, bus, self._wire)
        self._wire.dataReceived(rest)
        as_deferred(self._start()).addErrback(self._cannot_start)

    async def _start(self) -> None:
        self._time.start()
        await self._server.bind()
        self._opened = True
        await self._server.open()
        await self.peers.join()
        await self.peers.call(SUPERVISOR, "open", self.peers.own, seconds=None)
        if self._ending:
            return
        await self._server.accept()
        spare_what_stays()
        self._stalls.start()
        await self.peers.call(SUPERVISOR, "accepting", self.peers.own, seconds=None)

    def _cannot_start(self, failure: Failure) -> None:
        if self._ending:
            return
        error = failure.value
        self.exit_status = exits.status_of(error) if failure.check(ConfigError) else exits.TEMPORARY
        if failure.check(CannotListenError, OSError, MailframeError, NothingReadable):
            self.log.error("mailframe cannot start: {why}", why=str(error))
        else:
            self.log.failure("mailframe cannot start", failure)
        self._end()

    async def stop(self) -> None:
        self._ending = True
        await self._background.stop()
        self._stalls.stop()
        if self._opened:
            await self._server.stop()
        else:
            await self._server.close_doors()
        self._time.stop()
        self._wire.close()

    def _end(self) -> None:
        # Not at once: an answer may have to be sent.
        if not self._ending:
            self._ending = True
            self._reactor.callLater(0, self._reactor.stop)

    # ---- the bus

    def _send(self, to: str, said: bytes) -> None:
        self._wire.send(b"%s %s" % (to.encode(), said))

    def _received(self, addressed: bytes) -> None:
        self.peers.received(addressed.partition(b" ")[2])

    def _bus_closed(self) -> None:
        self.peers.close()
        if not self._ending:
            self.log.warn("the supervisor is gone: {name} ends", name=self.peers.own)
            self._end()

    # ---- what the supervisor asks for

    def _status(self, note: Any) -> dict[str, Any]:
        return {
            "connections": len(self._server.house.connections),
            "stalls": self._stalls.told(),
        }

    async def _reload(self, text: str) -> dict[str, Any]:
        try:
            done = await self._server.reload(lambda: self._source.config(text))
        except CannotListenError as error:
            raise PeerFailed(str(error)) from error
        except MailframeError as error:
            if exits.status_of(error) != exits.CONFIG:
                raise
            return {"refused": str(error)}
        return done.told()

    def _wake_queue(self, note: Any) -> dict[str, Any]:
        if self._server.house.queue is not None:
            self._server.house.queue.wake()
        return {}

    def _retire(self, seconds: float) -> dict[str, Any]:
        self._background.start(self._leave(seconds), "retiring")
        return {}

    async def _leave(self, seconds: float) -> None:
        """Nobody new; who is there has so long to end by himself."""
        await self._server.close_doors()
        until = self._reactor.seconds() + seconds
        while len(self._server.house.connections) and self._reactor.seconds() < until:
            await deferLater(self._reactor, _LOOK)
        self._end()

    def _drain(self, note: Any) -> dict[str, Any]:
        self._end()
        return {}


def serve(name: str, told: Told, bus: socket.socket, rest: bytes) -> int:
    """Until it ends; returns the exit status. ``rest``: what came on the bus after the order."""
    loop.install()
    from twisted.internet import reactor

    from mailframe.app.run import begin_log

    source = ConfigSource(told.path, os.environ, told.apps)
    try:
        config = source.config(told.text)
    except ConfigError as error:
        return exits.report(error)
    begin_log(config.log.level)
    worker = Worker(name, source, config, told, Machine(reactor, shared=True))
    running: Any = reactor
    running.callWhenRunning(worker.start, bus, rest)
    running.addSystemEventTrigger("before", "shutdown", lambda: as_deferred(worker.stop()))
    running.run()
    sys.stdout.flush()
    return worker.exit_status
