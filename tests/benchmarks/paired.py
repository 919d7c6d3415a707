"""mailframe beside Postfix: the same machine, the same minutes, the same durability.

    python -m tests.benchmarks.paired [--rounds 3] [--loads "stored, 1;relayed"] [--json FILE]

Runs the two in turn, round by round and each round in the other order, and prints for every
load the medians and the ratios of the rounds with their spread. Absolute figures tell about
the machine and its neighbours; take the ratios. Needs root (Postfix does) and Debian's
postfix. ``--against COMMAND`` puts another mailframe's command in Postfix's place: what a
change brought is measured like that.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.paired_load import Figures, Load, Sink, run
from tests.benchmarks.paired_servers import Contender, MailframeServer, PostfixServer
from tests.interop.peers.process import free_port, listens, wait_until, workdir

LOADS = (
    Load("stored, 1 KB, 50 new connections", 2000, 1024, 50, reuse=False),
    Load("stored, 1 KB, 10 kept connections", 3000, 1024, 10, reuse=True),
    Load("stored, 10 KB, 50 new connections", 2000, 10240, 50, reuse=False),
    Load("stored, 10 KB, 10 kept connections", 2000, 10240, 10, reuse=True),
    Load("relayed, 1 KB, 20 new connections", 2000, 1024, 20, reuse=False, relayed=True),
    Load("relayed, 10 KB, 20 new connections", 2000, 10240, 20, reuse=False, relayed=True),
)
_WARM_UP = Load("warm-up", 200, 1024, 5, reuse=True)
Rounds = dict[str, list[Figures]]
"""By the server's name."""


def main() -> None:
    options = _options()
    loads = [load for load in LOADS if any(word in load.name for word in options.loads.split(";"))]
    with contextlib.ExitStack() as ends:
        results = _compare(ends, options, loads)
    for load, rounds in results.items():
        _print(load, rounds)
    if options.json:
        Path(options.json).write_text(json.dumps(_as_json(results), indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--loads", default="", help="parts of the loads' names, with semicolons between"
    )
    parser.add_argument("--json", help="write every run to this file")
    parser.add_argument("--against", help="command of another mailframe to stand in for Postfix")
    return parser.parse_args()


def _compare(
    ends: contextlib.ExitStack, options: argparse.Namespace, loads: Sequence[Load]
) -> dict[Load, Rounds]:
    directory = ends.enter_context(workdir("paired"))
    port = free_port()
    sink = Sink(port)
    ends.callback(sink.stop)
    wait_until(lambda: listens("127.0.0.1", port), "smtp-sink listens")
    other: MailframeServer | PostfixServer
    if options.against:
        other = MailframeServer(directory / "other", port, "other", options.against)
    else:
        other = PostfixServer(directory / "postfix", port)
    ends.callback(other.stop)
    ours = MailframeServer(directory / "mailframe", port, "mailframe", None)
    ends.callback(ours.stop)
    pair: list[Contender] = [other, ours]
    for server in pair:
        run(_WARM_UP, server, sink)
        run(dataclasses.replace(_WARM_UP, relayed=True), server, sink)
    results = {}
    for load in loads:
        results[load] = _rounds(load, pair, sink, options.rounds)
    return results


def _rounds(load: Load, pair: Sequence[Contender], sink: Sink, rounds: int) -> Rounds:
    found: Rounds = {server.name: [] for server in pair}
    for number in range(rounds):
        for server in pair if number % 2 == 0 else reversed(pair):
            figures = run(load, server, sink)
            found[server.name].append(figures)
            print(f"{load.name}: {server.name} {figures}", file=sys.stderr, flush=True)
    return found


def _print(load: Load, rounds: Rounds) -> None:
    (other, others), (ours, own) = rounds.items()
    print(f"\n{load.name} ({load.messages} messages, {len(own)} rounds)")
    print(f"  {'':18}{other:>12}{ours:>12}   ratio of each round: median (least-most)")
    for field in dataclasses.fields(Figures):
        theirs = [getattr(figures, field.name) for figures in others]
        values = [getattr(figures, field.name) for figures in own]
        ratios = [ours / other for ours, other in zip(values, theirs, strict=True)]
        print(
            f"  {field.name.replace('_per_second', '/s'):18}"
            f"{statistics.median(theirs):12.2f}{statistics.median(values):12.2f}"
            f"   {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        )


def _as_json(results: dict[Load, Rounds]) -> dict[str, object]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "loads": [
            {
                **dataclasses.asdict(load),
                "runs": {
                    name: [dataclasses.asdict(figures) for figures in runs]
                    for name, runs in rounds.items()
                },
            }
            for load, rounds in results.items()
        ],
    }


if __name__ == "__main__":
    main()
