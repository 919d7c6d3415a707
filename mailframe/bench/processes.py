"""A load in processes of its own: each counts for itself and tells at its end."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.bench.loop import IN, Clock, Connection, Loop
from mailframe.bench.tally import Tally

Work = Callable[[Loop, Tally], None]
"""Does it all in the loop that it is given."""


class GeneratorFailed(RuntimeError):
    """A bug in one of the processes; has its traceback."""


@dataclass(slots=True)
class Worker:
    """A child that works."""

    pid: int
    told: Teller

    @property
    def over(self) -> bool:
        return not self.told.open

    def stop(self) -> None:
        """It ends soon, and tells what it has."""
        if not self.over:
            os.kill(self.pid, signal.SIGTERM)

    def tally(self) -> Tally:
        """Wait for its end. Raises GeneratorFailed."""
        os.waitpid(self.pid, 0)
        try:
            told = json.loads(self.told.text)
        except ValueError:
            raise GeneratorFailed(f"process {self.pid} ended without a word") from None
        if "error" in told:
            raise GeneratorFailed(told["error"])
        return Tally.of_flat(told)


class Teller(Connection):
    """Our end of a pipe to a child; it closes when the child ends."""

    may_be_silent = True

    def __init__(self, loop: Loop, ours: socket.socket) -> None:
        super().__init__(loop)
        self.text = b""
        ours.setblocking(False)
        self._take(ours, IN)

    def received(self, data: bytearray, count: int) -> None:
        self.text += data[:count]

    def lost(self, why: str) -> None:
        """All has been told."""


def spawn(loop: Loop, work: Work, clock: Clock, patience: float) -> Worker:
    """Fork a process that does it. Call it before anything starts a thread."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Worker(pid, Teller(loop, ours))
    status = 1
    try:
        ours.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        theirs.sendall(json.dumps(_worked(work, clock, patience)).encode())
        status = 0
    finally:
        os._exit(status)  # nothing of what the parent wanted to do at its end


def _worked(work: Work, clock: Clock, patience: float) -> dict[str, object]:
    try:
        return perform(work, clock, patience).flat()
    except Exception:  # noqa: BLE001 - the parent raises it
        return {"error": traceback.format_exc()}


def perform(work: Work, clock: Clock, patience: float) -> Tally:
    """In this process; SIGTERM ends it early."""
    tally = Tally()
    loop = Loop(clock, patience)
    before = signal.signal(signal.SIGTERM, lambda number, frame: loop.stop())
    used = _used()
    try:
        work(loop, tally)
    finally:
        loop.close()
        signal.signal(signal.SIGTERM, before)
    tally.cpu_seconds = _used() - used
    tally.counts["octets_sent"] += loop.octets_out
    tally.counts["octets_received"] += loop.octets_in
    tally.ended = tally.ended or clock()
    return tally


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def allow_open_files(number: int) -> None:
    """Raise the limit. Raises OSError where the hard one is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + 64
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise OSError(f"{number} connections need more open files than {hard} (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
