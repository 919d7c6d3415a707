"""Mail that is taken and stored: rates and CPU time beside Postfix and two servers in Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from tests.benchmarks.goals_stage import Stage
from tests.benchmarks.goals_table import Goal, Row, Rows, in_turn
from tests.benchmarks.paired_load import Load, bench, run
from tests.benchmarks.paired_references import AIOSMTPD, TWISTED, Aiosmtpd, TwistedReference
from tests.benchmarks.paired_servers import MAILBOX, POSTFIX, Contender

_MANNERS = {False: "a connection each", True: "connections kept"}
LOADS = [
    Load(f"{size} KB, {sessions} sessions, {_MANNERS[reuse]}", 3000, size * 1024, sessions, reuse)
    for size in (1, 10)
    for sessions in (50, 200)
    for reuse in (False, True)
]
LARGE = Load("1 MB, 10 sessions, a connection each", 100, 1 << 20, 10, False)
_WARM_UP = Load("warm-up", 200, 1024, 5, reuse=True)
_Goals = Mapping[str, Mapping[str, Goal]]
_GOALS: _Goals = {
    POSTFIX: {
        "accepted": Goal(5, at_least=True),
        "delivered": Goal(2.5, at_least=True),
        "CPU": Goal(0.3),
    },
    TWISTED: {"accepted": Goal(3, at_least=True)},
    AIOSMTPD: {"accepted": Goal(8, at_least=True)},
}
"""By peer, and by what is measured."""
_GOALS_OF_LARGE: _Goals = {POSTFIX: {"accepted": Goal(1.5, at_least=True)}}
_UNITS = {"accepted": "1/s", "delivered": "1/s", "CPU": "s per 1,000"}


def stored(stage: Stage) -> Rows:
    """1 KB and 10 KB."""
    contenders = [stage.ours(), stage.postfix()]
    for start in _references(stage):
        contenders.append(start())
    for contender in contenders:
        run(_WARM_UP, contender, None)
    for load in LOADS:
        yield from _compared(stage, _scaled(stage, load), contenders, _GOALS)


def large(stage: Stage) -> Rows:
    contenders = [stage.ours(), stage.postfix()]
    yield from _compared(stage, _scaled(stage, LARGE, 10), contenders, _GOALS_OF_LARGE)


def latency(stage: Stage) -> Rows:
    """One message at a time: from the connect to the 250 after the content."""
    messages = stage.count(500, 20)

    def measure(server: Contender) -> dict[str, float]:
        server.set_aside()
        words = ["--to", MAILBOX, "--sessions", 1, "--messages", messages]
        times = bench("smtp", f"127.0.0.1:{server.port}", *words)["latency_ms"]["message"]
        stage.say(f"latency: {server.name} {times}")
        return {name: times[name] for name in ("p50", "p99")}

    peer = stage.postfix()
    ours, theirs = in_turn([stage.ours(), peer], stage.rounds, measure)
    for name, goal in (("p50", Goal(0.6)), ("p99", Goal(0.6))):
        what = f"latency of a lone message, connect to 250, {name}"
        yield Row(what, "ms", ours[name], peer.name, theirs[name], goal)


def _references(stage: Stage) -> list[Callable[[], Contender]]:
    if stage.against:
        return []

    def reference() -> Contender:
        server = TwistedReference(stage.place("twisted"))
        stage.ends.callback(server.stop)
        return server

    def aiosmtpd() -> Contender:
        server = Aiosmtpd(stage.place("aiosmtpd"))
        stage.ends.callback(server.stop)
        return server

    return [reference, aiosmtpd]


def _compared(stage: Stage, load: Load, contenders: list[Contender], goals: _Goals) -> Rows:
    """The first is ours."""

    def measure(server: Contender) -> dict[str, float]:
        figures = run(load, server, None, stage.driver)
        stage.say(f"{load.name}: {server.name} {figures}")
        return {
            "accepted": figures.accepted_per_second,
            "delivered": figures.done_per_second,
            "CPU": figures.cpu_ms,
        }

    ours, *others = in_turn(contenders, stage.rounds, measure)
    for peer, theirs in zip(contenders[1:], others, strict=True):
        for what, unit in _UNITS.items():
            goal = goals.get(peer.name, {}).get(what)
            name = f"{load.name}: {what}"
            yield Row(name, unit, ours[what], peer.name, theirs[what], goal)


def _scaled(stage: Stage, load: Load, least: int = 50) -> Load:
    return dataclasses.replace(load, messages=stage.count(load.messages, least))
