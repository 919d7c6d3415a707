"""Mail that is passed on: to one next hop, and one message to many."""

from __future__ import annotations

from tests.benchmarks.goals_stage import Stage
from tests.benchmarks.goals_table import Goal, Row, Rows, in_turn
from tests.benchmarks.paired_cost import Cost
from tests.benchmarks.paired_load import Load, Sink, bench, run
from tests.benchmarks.paired_servers import ELSEWHERE, HOPS, Contender, hop_address, hop_domain
from tests.interop.peers.process import listens, wait_until

_LEAST = 40


def relayed(stage: Stage) -> Rows:
    """2,000 messages: from the first connection to the last recipient at the sink."""
    messages = stage.count(2000, _LEAST)
    peer = stage.postfix()
    measure = _by_bench if stage.driver == "mailframe" else _by_smtp_sink
    ours, theirs = measure(stage, messages, [stage.ours(), peer])
    name = f"relay of {messages} messages of 1 KB, 20 sessions"
    at_least = Goal(3, at_least=True)
    yield Row(name, "1/s", ours["rate"], peer.name, theirs["rate"], at_least)
    yield Row(f"{name}: CPU", "s per 1,000", ours["CPU"], peer.name, theirs["CPU"], Goal(0.3))


def _by_smtp_sink(
    stage: Stage, messages: int, contenders: list[Contender]
) -> list[dict[str, list[float]]]:
    load = Load("relayed", messages, 1024, 20, reuse=False, relayed=True)
    sink = Sink(stage.relay_port)
    try:
        wait_until(lambda: listens("127.0.0.1", stage.relay_port), "smtp-sink listens")

        def measure(server: Contender) -> dict[str, float]:
            figures = run(load, server, sink)
            stage.say(f"relay: {server.name} {figures}")
            return {"rate": figures.done_per_second, "CPU": figures.cpu_ms}

        return in_turn(contenders, stage.rounds, measure)
    finally:
        sink.stop()


def _by_bench(
    stage: Stage, messages: int, contenders: list[Contender]
) -> list[dict[str, list[float]]]:
    words = ["--to", f"user@{ELSEWHERE}", "--messages", messages, "--sessions", 20]
    words += ["--sink", f"127.0.0.1:{stage.relay_port}"]
    return in_turn(contenders, stage.rounds, lambda server: _passed_on(stage, server, words))


def spread(stage: Stage) -> Rows:
    """One message to 2,000 recipients in 20 domains, each with a next hop of its own."""
    recipients = stage.count(2000, 2 * HOPS)
    peer = stage.postfix()
    words: list[object] = ["--messages", 1, "--sessions", 1, "--recipients", recipients]
    words += ["--mailboxes", -(-recipients // HOPS), "--pipelining"]
    for number in range(HOPS):
        words += ["--to", f"user{{n}}@{hop_domain(number)}"]
        words += ["--sink", f"{hop_address(number)}:{stage.hop_port}"]
    measured = in_turn(
        [stage.ours(), peer], stage.rounds, lambda server: _passed_on(stage, server, words)
    )
    ours, theirs = measured
    name = f"one message to {recipients} recipients in {HOPS} domains"
    goal = Goal(2, at_least=True)
    yield Row(name, "recipients/s", ours["rate"], peer.name, theirs["rate"], goal)
    yield Row(f"{name}: CPU", "s per 1,000", ours["CPU"], peer.name, theirs["CPU"])


def _passed_on(stage: Stage, server: Contender, words: list[object]) -> dict[str, float]:
    """Raises RuntimeError when not every recipient arrives."""
    with Cost(server.pid) as cost:
        found = bench("relay", f"127.0.0.1:{server.port}", *words)
    arrived = found["delivered"]
    if arrived != found["recipients"]:
        raise RuntimeError(f"{server.name}: {arrived} of {found['recipients']} arrived")
    stage.say(f"relay: {server.name} {found['delivered_per_second']:.0f}/s {found['sink']}")
    return {"rate": found["delivered_per_second"], "CPU": 1000 * cost.cpu_seconds / arrived}
