"""The loads: Postfix's smtp-source sends, the Maildir or Postfix's smtp-sink receives."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.paired_cost import Cost
from tests.benchmarks.paired_servers import ELSEWHERE, MAILBOX, Contender

_PATIENCE = 180.0  # seconds for one run
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Load:
    name: str
    messages: int
    octets: int
    sessions: int
    reuse: bool
    """Many messages a connection; else one."""
    relayed: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. ``done`` is stored in the Maildir, or taken by the next hop."""

    accepted_per_second: float
    done_per_second: float
    cpu_ms: float
    """Of the whole process tree, for each message."""
    peak_rss_mb: float
    pss_mb: float


class Sink:
    """smtp-sink on ``port``, with its own count of messages."""

    def __init__(self, port: int) -> None:
        # Its backlog has to hold all connections that a server opens at once.
        command = ["smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{port}", "1000"]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.messages = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        assert self._child.stdout is not None
        kept = b""
        while data := self._child.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            kept = (kept + data)[-(1 << 17) :]
            whole, _, _ = kept.rpartition(b"\r")
            if counts := re.findall(rb"mesg=(\d+)", whole[-200:]):
                self.messages = int(counts[-1])

    def stop(self) -> None:
        self._child.terminate()
        self._child.wait()


def run(load: Load, server: Contender, sink: Sink) -> Figures:
    """Raises RuntimeError when messages were refused or did not arrive."""
    if load.relayed:
        before = sink.messages
        return _run(load, server, f"user@{ELSEWHERE}", lambda: sink.messages - before)
    server.set_aside()
    return _run(load, server, MAILBOX, server.stored)


def _run(load: Load, server: Contender, recipient: str, done: Callable[[], int]) -> Figures:
    command = ["smtp-source", "-s", str(load.sessions), "-m", str(load.messages)]
    command += ["-l", str(load.octets), "-f", "source@client.test", "-t", recipient]
    command += ["-M", "client.test", *(["-d"] if load.reuse else []), f"127.0.0.1:{server.port}"]
    with Cost(server.pid) as cost:
        begun = time.monotonic()
        source = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        accepted = time.monotonic() - begun
        if source.returncode:
            raise RuntimeError(f"{server.name}, {load.name}: {source.stderr[-500:]}")
        while (arrived := done()) < load.messages:
            if time.monotonic() - begun > _PATIENCE:
                raise RuntimeError(f"{server.name}, {load.name}: only {arrived} arrived")
            time.sleep(_POLL)
        finished = time.monotonic() - begun
    return Figures(
        accepted_per_second=load.messages / accepted,
        done_per_second=load.messages / finished,
        cpu_ms=cost.cpu_seconds / load.messages * 1000,
        peak_rss_mb=cost.peak_rss / 1e6,
        pss_mb=cost.pss / 1e6,
    )
