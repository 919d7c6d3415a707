"""``python -m tests.crash --states 100000 --seed 7``: the long form of the crash tests."""

from __future__ import annotations

import argparse
import sys
import time

from tests.crash.campaign import campaign, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--states", type=int, default=100_000, help="distinct ones, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="workloads whose names have this in them")
    options = parser.parse_args()
    began = time.monotonic()
    found = list(
        campaign(options.states, options.seed, processes=options.processes, only=options.only)
    )
    for line in table(found):
        print(line)
    print(f"seed {options.seed}, {time.monotonic() - began:.0f} s")
    for exploration in found:
        if (violation := exploration.shortest()) is not None:
            print(violation)
    return 1 if any(exploration.violations for exploration in found) else 0


sys.exit(main())
