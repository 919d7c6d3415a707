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
        campaign = Campaign(place, options.seed, options.longest, say=_say)
        verdict = campaign.run(options.kills)
        tracebacks = place.mailframe.tracebacks
    starts, ledger = campaign.starts, campaign.ledger
    figures: dict[str, object] = {
        "seed": options.seed,
        "kills": options.kills,
        "of them before it was ready": campaign.killed_starting,
        "seconds": round(time.monotonic() - begun),
        "seconds to start": f"{min(starts):.2f} to {max(starts):.2f}",
        "acknowledged": dict(ledger.answers),
        "refused": dict(ledger.refusals),
        **verdict.counts,
        "attempts in flight at a kill": campaign.in_flight.total(),
        "of those repeated at the next hop": verdict.repeated,
        "tracebacks": len(tracebacks),
    }
    for name, figure in figures.items():
        _say(f"{name}: {figure}")
    for problem in verdict.problems + tracebacks[:3]:
        _say(f"PROBLEM {problem}")
    return 1 if verdict.problems or tracebacks else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
