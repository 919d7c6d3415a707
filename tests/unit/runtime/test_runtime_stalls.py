"""A reactor that stands still is noticed, with the function that it stands in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.selectreactor import SelectReactor
from twisted.logger import Logger

from mailframe.runtime.stalls import StallWatch


class Lines(Logger):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def warn(self, format: str | None = None, **kwargs: object) -> None:
        self.events.append(kwargs)


class Turns:
    """A reactor of its own, turned by hand on the test's thread."""

    def __init__(self) -> None:
        self.reactor = SelectReactor()
        self.watch = StallWatch(self.reactor, longest=0.1)
        self.lines = Lines()
        self.watch.log = self.lines  # type: ignore[misc]
        self.watch.start()

    def turn(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.reactor.iterate(0.01)
        self.reactor.iterate(0)


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.watch.stop()


def stand_still(seconds: float) -> None:
    time.sleep(seconds)


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_short_ones_are_not_told(turns: Turns) -> None:
    turns.watch._longest = 2.0  # more than a machine with neighbours takes
    turns.turn(0.1)
    turns.reactor.callLater(0, stand_still, 0.2)
    turns.turn(0.1)
    assert turns.watch.told() == {"count": 0}
    assert turns.lines.events == []


def test_a_stall_is_told_with_its_place_and_its_work(turns: Turns) -> None:
    turns.turn(0.1)
    turns.reactor.callLater(0, stand_still, 0.4)
    turns.turn(0.1)
    found = turns.watch.longest
    assert found is not None
    assert found.seconds > 0.3
    assert found.cpu < 0.2
    assert "stand_still" in found.place
    (event,) = turns.lines.events
    assert event["milliseconds"] >= 300
    assert "stand_still" in str(event["place"])


def test_of_many_stalls_one_a_minute_is_told_and_all_are_counted(turns: Turns) -> None:
    for seconds in (0.25, 0.45, 0.25):
        turns.turn(0.1)
        turns.reactor.callLater(0, work, seconds)
    turns.turn(0.1)
    assert turns.watch.count >= 2
    assert len(turns.lines.events) == 1
    assert turns.watch.told()["milliseconds"] >= 300


def test_it_ends(turns: Turns) -> None:
    turns.watch.stop()
    assert not turns.reactor.getDelayedCalls()
    turns.watch.stop()
