"""The clock is set by a day while mail waits: retries keep their distance, messages their age."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.queue.schema import State
from tests.unit.queue.world import BUSY, World, to

DAY = 86_400.0


def jump(world: World, by: float) -> None:
    """As ``SteadyTime`` does it: every pending call moves along."""
    calls = world.clock.getDelayedCalls()
    world.clock.rightNow += by
    for call in calls:
        call.delay(by)
    world.queue.clock_jumped(by)


@pytest.mark.parametrize("by", [DAY, -DAY, 6 * DAY])
def test_a_program_has_as_much_time_as_ever_and_dead_letters_stay_dead(
    tmp_path: Path, by: float
) -> None:
    world = World(tmp_path).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to("orders@app.example"))
    world.run(100)
    jump(world, by)
    world.run(4.9 * DAY)
    assert world.rows("state") == [(State.DEFERRED,)]
    world.run(0.2 * DAY)
    assert world.rows("state") == [(State.DEAD,)]
    tried = len(world.app.tried)
    jump(world, -by)
    world.run(2 * DAY)
    assert world.rows("state") == [(State.DEAD,)]
    assert len(world.app.tried) == tried


@pytest.mark.parametrize("by", [DAY, -DAY, 6 * DAY])
def test_retries_keep_their_distance(tmp_path: Path, by: float) -> None:
    world = World(tmp_path).start()
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example"))
    world.run(100)
    begun = world.clock.seconds()
    jump(world, by)
    world.run(199)
    assert len(world.mx.tried) == 1
    world.run(2)
    assert len(world.mx.tried) == 2
    assert world.mx.tried[1][0] == pytest.approx(begun + by + 200, abs=2)
    # five days after it came, as ever, and not because the clock says so
    world.run(4.9 * DAY)
    assert world.rows("address", "queue_id = 'A1'") == [("bob@far.example",)]
    world.run(0.2 * DAY)
    assert world.rows("address", "queue_id = 'A1'") == []
