"""``python -m tests.comparison``: the four programs measured, and a table of it (Markdown).

It takes some minutes, most of them spent on waiting. Salmon need not be installed beside
mailframe: COMPARISON_SALMON names the Python that has it.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from collections.abc import Callable

from tests.comparison import trials
from tests.comparison.counting import lines_of
from tests.comparison.subjects import SUBJECTS, Subject

Row = tuple[str, Callable[[Subject], str]]


def main() -> None:
    options = _options()
    # What was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = [one for one in SUBJECTS if not options.only or one.folder in options.only]
    subjects = []
    for subject in chosen:
        if subject.is_installed:
            subjects.append(subject)
        else:
            print(f"{subject.name} is not installed, and left out", file=sys.stderr)
    rows = [
        row for row in _rows(options) if not options.rows or row[0].startswith(tuple(options.rows))
    ]
    print("| | " + " | ".join(f"{one.name} {one.version}" for one in subjects) + " |")
    print("|---" * (len(subjects) + 1) + "|", flush=True)
    for title, measure in rows:
        print(f"| {title} | " + " | ".join(map(measure, subjects)) + " |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.comparison", description=__doc__)
    parser.add_argument("--only", nargs="*", help="folders of those to measure")
    parser.add_argument("--rows", nargs="*", help="how the titles of those to measure begin")
    parser.add_argument("--orders", type=int, default=200, help="that come while it is killed")
    parser.add_argument("--kills", type=int, default=5, help="in each run")
    parser.add_argument("--runs", type=int, default=3, help="with kills, each of another seed")
    parser.add_argument("--seed", type=int, default=1, help="of the first")
    return parser.parse_args()


def _rows(options: argparse.Namespace) -> list[Row]:
    seeds = range(options.seed, options.seed + options.runs)
    title = f"{options.runs} x {options.orders} orders, killed {options.kills} times each"

    def killed(subject: Subject) -> str:
        runs = [
            trials.kill_at_random(subject, orders=options.orders, kills=options.kills, seed=seed)
            for seed in seeds
        ]
        what = {
            "acknowledged": "acknowledged",
            "refused": "refused",
            "lost": "lost",
            "twice": "twice",
            "unconfirmed": "unconfirmed",
            "confirmed_twice": "confirmed twice",
            "same_id": "of these with one Message-ID",
        }
        return ", ".join(
            f"{sum(dataclasses.asdict(run)[name] for run in runs)} {said}"
            for name, said in what.items()
        )

    return [
        ("lines of the program", lambda one: _lines(one, one.program)),
        ("lines of its tests", lambda one: _lines(one, one.tests)),
        ("files of the program", lambda one: str(len(one.program))),
        ("names of the framework to know", lambda one: str(len(one.concepts))),
        ("its tests, seconds", lambda one: _suite(trials.suite_time(one, times=5))),
        (
            "until it listens, seconds of processor",
            lambda one: f"{trials.footprint(one).start:.1f}",
        ),
        ("memory when idle, MB", lambda one: f"{trials.footprint(one).megabytes:.0f}"),
        ("unknown address", lambda one: trials.refusals(one).unknown),
        ("forged sender", lambda one: trials.refusals(one).forged),
        ("database away", lambda one: _trouble(trials.database_away(one, orders=20))),
        ("handler raises", lambda one: _trouble(trials.handler_raises(one, orders=20))),
        ("relay down", lambda one: _trouble(trials.relay_down(one, orders=20))),
        (title, killed),
        ("orders a second", lambda one: _pace(one, options.orders)),
    ]


def _lines(subject: Subject, files: tuple[str, ...]) -> str:
    return str(lines_of(subject.directory / name for name in files))


def _suite(took: trials.SuiteTime) -> str:
    return f"{took.seconds:.1f}; of processor {took.processor:.1f}"


def _trouble(came: trials.Trouble) -> str:
    aside = f", {came.set_aside} set aside" if came.set_aside else ""
    return (
        f"{'/'.join(came.replies)}; of {came.sent}: {came.kept} kept, "
        f"{came.confirmed} confirmed{aside}"
    )


def _pace(subject: Subject, orders: int) -> str:
    """The best of three: other programs on the machine only ever make it slower."""
    runs = [trials.pace(subject, orders=orders) for _ in range(3)]
    best = max(runs, key=lambda run: run.confirmed)
    return f"{best.acknowledged:.0f} acknowledged, {best.confirmed:.0f} confirmed"


if __name__ == "__main__":
    main()
