"""Every state that a power cut may leave of every workload keeps every promise."""

from __future__ import annotations

from tests.crash.campaign import campaign, table

STATES = 13_000
SEED = 1


def test_every_promise_holds_in_every_state() -> None:
    found = list(campaign(STATES, SEED))
    for line in table(found):
        print(line)
    for exploration in found:
        exploration.require()
    assert sum(exploration.states for exploration in found) >= 10_000
