"""What counting and journalling cost: by the event, and by the message.

    python -m tests.benchmarks.metrics_cost [--messages N]

By the event: what ``mailframe.metrics`` does, beside prometheus_client doing the same. By the
message: a server under smtp-source's load, with a stop-watch (``metrics_launcher``) that reads the
threads' own CPU clocks around whatever is metrics or journal. A server with them beside one without
tells less: what other processes do to caches and batches is more than the difference.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as TheirCounter
from prometheus_client import Histogram as TheirHistogram

from mailframe.metrics.families import Counter, Histogram
from mailframe.metrics.hooks import Hooks
from mailframe.metrics.page import Format, page
from mailframe.metrics.system import System
from mailframe.metrics.tally import Event, Tally
from tests.benchmarks.paired_load import Load, run
from tests.benchmarks.paired_servers import MailframeServer
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import need, workdir

_LOADS = (
    Load("50 new connections", 2000, 1024, 50, reuse=False),
    Load("10 kept connections", 3000, 1024, 10, reuse=True),
)
_BOUNDS = (0.1, 0.5, 1.0, 2.0, 5.0)
_LAUNCHER = Path(__file__).with_name("metrics_launcher.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=0, help="of each load")
    options = parser.parse_args()
    _print_events()
    need("smtp-source")
    for load in _LOADS:
        if options.messages:
            load = dataclasses.replace(load, messages=options.messages)
        _print_message(load)


# -- by the event


def _print_events() -> None:
    print("nanoseconds of CPU an event, less the empty call")
    for name, function in _events().items():
        print(f"  {_nanoseconds(function):8.0f}  {name}")
    message = _message()
    tally = Tally()
    batch = message * 40
    each = _nanoseconds(lambda: tally.hear(batch), 300) / 40
    print(f"  {each / len(message):8.0f}  an event of the journal, in a batch")
    print(f"  {each:8.0f}  a message, of {len(message)} events")
    families = [*tally.families(), *System().families()]
    whole = _nanoseconds(lambda: page(families, Format.TEXT), 50)
    print(f"  {whole / 1000:8.0f}  microseconds: a page")


def _events() -> dict[str, Callable[[], Any]]:
    registry = CollectorRegistry()
    theirs = TheirCounter("x", "x", ("direction", "result"), registry=registry)
    bound = theirs.labels("in", "accepted")
    spread = TheirHistogram("y", "y", ("listener",), registry=registry, buckets=_BOUNDS)
    bound_spread = spread.labels("mx")
    ours = Counter("x", "x", ("direction", "result"))
    own_spread = Histogram("y", "y", _BOUNDS, ("listener",)).of(("mx",))
    accepted = ("in", "accepted")
    timed = Hooks(time.perf_counter).timed("mine", "mail", lambda: None)
    return {
        "prometheus_client: labels(...).inc()": lambda: theirs.labels("in", "accepted").inc(),
        "prometheus_client: a bound child's inc()": lambda: bound.inc(),
        "ours: add(labels)": lambda: ours.add(accepted),
        "prometheus_client: a bound child's observe()": lambda: bound_spread.observe(0.3),
        "ours: observe()": lambda: own_spread.observe(0.3),
        "ours: a policy's hook, timed": timed,
    }


def _nanoseconds(function: Callable[[], Any], times: int = 100_000) -> float:
    return (_least(function, times) - _least(lambda: None, times)) * 1e9


def _least(function: Callable[[], Any], times: int) -> float:
    """Seconds a call, of the fastest of five runs."""
    runs = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            function()
        runs.append((time.process_time() - began) / times)
    return min(runs)


def _message() -> list[Event]:
    """One that is delivered here, over a connection of its own."""

    def event(step: str, result: str = "", id: str = "Q1", **detail: Any) -> Event:
        return (1.0, id, "S1", step, result, detail)

    peer, reply = "192.0.2.1", "250 2.0.0 Ok"
    return [
        event("connect", id="S1", peer=peer, listener="mx"),
        event("accept", peer=peer, listener="mx", size=2000, reply=reply),
        event("check", "spf", reason="pass mailfrom=a.test"),
        event("attempt", "delivered", courier="local", reply=[f"ann@a.test: {reply}"]),
        event("deliver", "delivered", delay=0.01, reply=reply),
        event("remove"),
        event("disconnect", id="S1", reason="quit"),
    ]


# -- by the message


def _print_message(load: Load) -> None:
    with workdir("metrics-cost") as directory:
        told = directory / "spent.json"

        def prepare(server: Mailframe) -> None:
            server.before = [sys.executable, str(_LAUNCHER), str(told)]

        server = MailframeServer(directory / "server", 1, prepare=prepare)
        try:
            run(load, server, None)
        finally:
            server.stop()
        spent = {
            name: seconds / load.messages * 1e6
            for name, seconds in json.loads(told.read_text()).items()
        }
    counting, text = spent["count"], spent["text log"]
    writing = spent["writer of journal.db"]
    journal = spent["record"] + spent["flush"] - counting + writing
    print(f"\n{load.name}: microseconds of CPU a message, of {load.messages}")
    for name, cost in {
        "the whole process": spent["process"],
        "the journal": journal,
        "   recording": spent["record"],
        "   the text log": text,
        "   the rest of flushing": spent["flush"] - counting - text,
        "   the thread that writes it": writing,
        "counting it": counting,
    }.items():
        print(f"  {cost:8.1f}  {cost / spent['process']:6.1%}  {name}")


if __name__ == "__main__":
    main()
