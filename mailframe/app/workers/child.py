"""One worker as its supervisor sees it: a process that is started, accepts, drains and ends."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.app import exits
from mailframe.app.workers.bus import Bus
from mailframe.app.workers.order import Told
from mailframe.app.workers.relayed_log import LastWords, LineCollector, Write
from mailframe.errors import MailframeError

PROGRAM = "mailframe.app.workers"
GRACE = 15.0
"""Seconds for which sessions of a worker go on that has a successor."""
_LEFT_BEHIND = 35.0
"""Seconds until a process is killed that was asked to end, or has closed its bus."""
_LAST_WORDS = 1.0
"""Seconds that a bus is read after its process has ended."""


class WorkerEnded(MailframeError):
    """It ended before it could accept; ``status`` is what the server should exit with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Child(ProcessProtocol):
    """``ended(child)`` is called once, when the process is reaped, so that its locks are free, and
    all that it said on the bus has been passed on."""

    log = Logger()

    def __init__(
        self, name: str, slot: int, reactor: Any, bus: Bus, ended: Callable[[Child], None]
    ) -> None:
        self.name = name
        self.slot = slot
        self.state = "starting"
        """``starting``, ``waiting`` (all is open, nobody let in), ``serving``, ``retiring`` (it
        accepts no more, its sessions go on), ``draining`` (it was asked to end), ``ended``."""
        self.text = ""
        """The configuration that it goes by."""
        self.began: float = reactor.seconds()
        self._gone: Deferred[None] = Deferred()
        self.how = ""
        """In which way it ended."""
        self.status = exits.TEMPORARY
        self._reactor = reactor
        self._bus = bus
        self._tell_end = ended
        self._opened: Deferred[None] = Deferred()
        self._accepts: Deferred[None] = Deferred()
        self._may_accept: Deferred[None] = Deferred()
        self._has_exited = False
        self._bus_is_closed = False
        self._timer: Any = None
        self._collectors: dict[int, LineCollector] = {}

    @property
    def pid(self) -> int | None:
        return self.transport.pid if self.transport is not None else None

    @property
    def may_end(self) -> bool:
        """Whether it was asked to."""
        return self.state in ("retiring", "draining")

    @property
    def is_alive(self) -> bool:
        return not self._has_exited

    # ---- orders

    def spawn(self, order: Told, log: Write) -> None:
        """Start the program; nothing of this process is in it but the sockets, whose descriptors
        here ``order`` has. Raises OSError; then there is nothing of it."""
        self.text = order.text
        self._collectors = {1: LineCollector(log), 2: LineCollector(LastWords(self.name))}
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                bus = self._start_program(order, theirs)
        except BaseException:
            ours.close()
            raise
        self._bus.connect(self.name, ours, self._bus_closed)
        there = {name: number for number, name in enumerate(order.listeners, bus + 1)}
        self._bus.begin(self.name, replace(order, listeners=there).line())

    def _start_program(self, order: Told, theirs: socket.socket) -> int:
        """Returns what number its end of the bus has there; the listeners' follow."""
        with open(os.devnull, "rb") as nothing:
            numbers: dict[int, int | str] = {0: nothing.fileno(), 1: "r", 2: "r"}
            # Where systemd's were: an endpoint that names one closes that number.
            numbers.update(dict.fromkeys(range(3, 3 + order.systemd), nothing.fileno()))
            bus = len(numbers)
            numbers[bus] = theirs.fileno()
            numbers.update(enumerate(order.listeners.values(), bus + 1))
            words = [sys.executable, "-P", "-m", PROGRAM, self.name, str(bus)]
            # The same modules, whatever this process was started by; not those of a directory
            # where it happens to be.
            modules = os.pathsep.join(os.path.abspath(path) for path in sys.path)
            environment = os.environ | {"PYTHONPATH": modules}
            self._reactor.spawnProcess(
                self, sys.executable, words, env=environment, childFDs=numbers
            )
        return bus

    def must_open(self, seconds: float) -> None:
        """It is killed when it has not opened its files by then."""
        self._timer = self._reactor.callLater(seconds, self._is_overdue, seconds)

    def _is_overdue(self, seconds: float) -> None:
        why = "worker {name} has not opened its files within {seconds:g} s; killed"
        self.log.error(why, name=self.name, seconds=seconds)
        self.kill()

    def let_in(self) -> None:
        """It may accept, once it is open."""
        if not self._may_accept.called:
            self._may_accept.callback(None)

    def retire(self) -> None:
        """Another has its place: it ends when its sessions have, or drains after ``GRACE``."""
        if self.state not in ("draining", "ended"):
            self._ask_to_end("retiring", "retire", GRACE + _LEFT_BEHIND)

    def drain(self) -> None:
        """Its sessions are told to end, and so does it; killed when that takes too long."""
        if self.state not in ("draining", "ended"):
            self._ask_to_end("draining", "drain", _LEFT_BEHIND)

    def _ask_to_end(self, state: str, topic: str, seconds: float) -> None:
        self.state = state
        self._bus.peers.call(self.name, topic, GRACE).addErrback(self._not_heard)
        self._forget_timer()
        self._kill_after(seconds)

    def kill(self) -> None:
        """Now; ``ended`` tells when its process is gone."""
        if self.transport is not None and not self._has_exited:
            try:
                self.transport.signalProcess(signal.SIGKILL)
            except ProcessExitedAlready:
                return

    # ---- what it says

    def is_open(self) -> Deferred[None]:
        """It asks whether it may accept."""
        if self.state == "starting":
            self.state = "waiting"
            self._forget_timer()
        _fire(self._opened)
        return self._may_accept

    def accepts(self) -> None:
        if self.state == "waiting":
            self.state = "serving"
        _fire(self._accepts)

    async def opened(self) -> None:
        """Returns when it has opened all its files. Raises WorkerEnded."""
        await self._after(self._opened)

    async def accepting(self) -> None:
        """Returns when it accepts connections. Raises WorkerEnded."""
        await self._after(self._accepts)

    async def ended(self) -> None:
        await _waiting_for(self._gone)

    async def _after(self, step: Deferred[None]) -> None:
        await _waiting_for(step)
        if self.state == "ended":
            raise WorkerEnded(f"worker {self.name} {self.how}", self.status)

    def _not_heard(self, failure: Failure) -> None:
        # SIGTERM means the same, and needs nobody who listens.
        if self.transport is not None and not self._has_exited:
            self.transport.signalProcess(signal.SIGTERM)

    # ---- ProcessProtocol

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._collectors[childFD].received(data)

    def childConnectionLost(self, childFD: int) -> None:
        self._collectors[childFD].ended()

    def processExited(self, reason: Failure) -> None:
        self._has_exited = True
        self.how, self.status = how_it_ended(reason.value)
        self._forget_timer()
        if not self._bus_is_closed:
            # The kernel has closed its end; what it said last has still to be read.
            self._timer = self._reactor.callLater(_LAST_WORDS, self._bus.cut, self.name)
        self._look()

    def _bus_closed(self) -> None:
        self._bus_is_closed = True
        if self._bus.is_overfull(self.name):
            self.kill()
        elif not self._has_exited and not self.may_end:
            self._forget_timer()
            self._kill_after(_LEFT_BEHIND)
        self._look()

    def _kill_after(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self._reactor.callLater(seconds, self.kill)

    def _forget_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _look(self) -> None:
        if not (self._has_exited and self._bus_is_closed) or self.state == "ended":
            return
        self._forget_timer()
        self._tell_end(self)
        self.state = "ended"
        for step in (self._opened, self._accepts, self._gone):
            _fire(step)


def _fire(step: Deferred[None]) -> None:
    if not step.called:
        step.callback(None)


def _waiting_for(step: Deferred[None]) -> Deferred[None]:
    """Of its own for each who waits, so that one who gives up disturbs nobody else."""
    waiting: Deferred[None] = Deferred()
    step.addCallback(lambda _: _fire(waiting))
    return waiting


def how_it_ended(error: Any) -> tuple[str, int]:
    """In words, and the exit status to pass on."""
    number = getattr(error, "signal", None)
    if number is not None:
        return f"was killed by {signal.Signals(number).name}", exits.TEMPORARY
    status = getattr(error, "exitCode", None) or 0
    return f"ended with status {status}", status or exits.TEMPORARY
