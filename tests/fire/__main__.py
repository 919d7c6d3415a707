"""``python -m tests.fire --kills 200 --seed 1``: the campaign, and its figures."""

from __future__ import annotations

import argparse
import sys
import time

from tests.fire.ground import ground
from tests.fire.kills import Campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fire", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=1.5, help="seconds of load before a kill")
    options = parser.parse_args()
    begun = time.monotonic()
    with ground() as place:
        campaign = Campaign(
            place, options.seed, options.longest, say=lambda line: print(line, flush=True)
        )
        verdict = campaign.run(options.kills)
        tracebacks = place.mailframe.tracebacks
    print(
        f"seed {options.seed}, {options.kills} kills, {campaign.killed_starting} of them before it was ready"
    )
    print(
        f"{time.monotonic() - begun:.0f} s; starts {min(campaign.starts):.2f} to {max(campaign.starts):.2f} s"
    )
    print("answers", dict(campaign.ledger.answers), "refusals", dict(campaign.ledger.refusals))
    print("counts", dict(verdict.counts))
    print(
        f"repeated at the next hop: {verdict.repeated}, in flight at a kill: {campaign.in_flight.total()}"
    )
    print(f"tracebacks: {len(tracebacks)}")
    for each in verdict.problems + tracebacks[:3]:
        print("PROBLEM", each)
    return 1 if verdict.problems or tracebacks else 0


if __name__ == "__main__":
    sys.exit(main())
