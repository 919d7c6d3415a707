"""The loads. Two drivers send them: Postfix's smtp-source (and smtp-sink receives what is
relayed), or ``mailframe bench``, so that neither's manner alone makes the figures."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.paired_cost import Cost
from tests.benchmarks.paired_servers import ELSEWHERE, MAILBOX, Contender
from tests.interop.peers.mailframe import mailframe_command

DRIVERS = ("smtp-source", "mailframe")
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


def run(load: Load, server: Contender, sink: Sink | None, driver: str = "smtp-source") -> Figures:
    """Raises RuntimeError when messages were refused or did not arrive. Relayed loads need the
    sink."""
    if load.relayed:
        assert sink is not None
        before = sink.messages
        return _run(load, server, f"user@{ELSEWHERE}", lambda: sink.messages - before, driver)
    server.set_aside()
    return _run(load, server, MAILBOX, server.stored, driver)


def _run(
    load: Load, server: Contender, recipient: str, done: Callable[[], int], driver: str
) -> Figures:
    send = _by_bench if driver == "mailframe" else _by_smtp_source
    with Cost(server.pid) as cost:
        begun = time.monotonic()
        accepted = send(load, server, recipient)
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


def _by_smtp_source(load: Load, server: Contender, recipient: str) -> float:
    """Seconds until the last 250."""
    command = ["smtp-source", "-s", str(load.sessions), "-m", str(load.messages)]
    command += ["-l", str(load.octets), "-f", "source@client.test", "-t", recipient]
    command += ["-M", "client.test", *(["-d"] if load.reuse else []), f"127.0.0.1:{server.port}"]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(f"{server.name}, {load.name}: {done.stderr[-500:]}")
    return time.monotonic() - begun


def _by_bench(load: Load, server: Contender, recipient: str) -> float:
    """Seconds until the last 250; the start of the program is not in them."""
    words: list[object] = ["smtp", f"127.0.0.1:{server.port}", "--to", recipient]
    words += ["--messages", load.messages, "--sessions", load.sessions, "--size", load.octets]
    words += ["--reuse"] if load.reuse else []
    return float(bench(*words)["seconds"])


def bench(*words: object, problems: bool = False) -> dict[str, Any]:
    """What ``mailframe bench`` found. Raises RuntimeError when not all went well, but for
    ``problems``."""
    command = [mailframe_command(), "bench", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode and not (problems and done.returncode == 1):
        raise RuntimeError(f"bench {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
