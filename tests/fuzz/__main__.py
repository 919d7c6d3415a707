"""``python -m tests.fuzz [smtp|lmtp|pop3|imap ...] [--count N] [--seed S] [--only NUMBER]``

Runs N mutated dialogues in all, shared among the targets and the processors. Exit status 1
and the first findings when an engine raised or when a split of the input mattered.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator

from tests.fuzz.campaign import Finding, one_case
from tests.fuzz.targets import TARGETS

_BATCH = 2000
_ENOUGH = 10


def batch(job: tuple[str, int, int, int]) -> tuple[int, list[Finding]]:
    name, seed, start, end = job
    target = TARGETS[name]
    found = (one_case(target, seed, number) for number in range(start, end))
    return end - start, [finding for finding in found if finding is not None]


def jobs(names: list[str], seed: int, count: int) -> Iterator[tuple[str, int, int, int]]:
    share = -(-count // len(names))
    for start in range(0, share, _BATCH):
        for name in names:
            yield name, seed, start, min(start + _BATCH, share)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="smtp|lmtp|pop3|imap")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run this one case of the (one) target")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no such target: {', '.join(unknown)}")
    if arguments.only is not None:
        finding = one_case(TARGETS[names[0]], arguments.seed, arguments.only)
        print(finding or "all is well")
        return 1 if finding else 0
    return run(names, arguments.seed, arguments.count, arguments.processes)


def run(names: list[str], seed: int, count: int, processes: int) -> int:
    done, findings, began = 0, [], time.monotonic()
    with multiprocessing.Pool(processes) as pool:
        for number, found in pool.imap_unordered(batch, jobs(names, seed, count)):
            done += number
            findings += found
            rate = done / (time.monotonic() - began)
            print(f"\r{done} dialogues, {rate:.0f}/s, {len(findings)} findings", end="")
            sys.stdout.flush()
            if len(findings) >= _ENOUGH:
                pool.terminate()
                break
    print()
    for finding in findings[:_ENOUGH]:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
