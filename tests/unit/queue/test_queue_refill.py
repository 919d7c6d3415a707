"""Looking for what is due takes a while; nobody looks again and again meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred

from tests.unit.queue.world import World


def test_a_refill_under_way_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    answer: Deferred[Any] = Deferred()
    looks: list[float] = []
    pump = world.queue._pump

    def counted() -> None:
        looks.append(world.clock.seconds())
        assert len(looks) < 20
        pump()

    with (
        patch.object(world.database, "read", lambda job: answer),
        patch.object(world.queue, "_pump", counted),
    ):
        world.run(303)  # the next refill begins after 300 seconds
    assert len(looks) <= 6
    answer.callback([])
