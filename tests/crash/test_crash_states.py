"""Every state that a power cut may leave of every workload keeps every promise.

By default some of the states; ``python -m tests.crash`` has as many as one likes."""

from __future__ import annotations

from tests.crash.campaign import campaign, table
from tests.share import plays_all

STATES = 13_000 if plays_all() else 4_500
AT_LEAST = 10_000 if plays_all() else 2_500
SEED = 1


def test_every_promise_holds_in_every_state() -> None:
    found = list(campaign(STATES, SEED))
    for line in table(found):
        print(line)
    for exploration in found:
        exploration.require()
    assert sum(exploration.states for exploration in found) >= AT_LEAST
