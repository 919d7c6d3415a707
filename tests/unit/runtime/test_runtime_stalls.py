"""A reactor that stands still is noticed, with the function that it stands in."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
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


def keep_the_lock(seconds: float) -> None:
    """In one function of C, so that no other thread of Python runs meanwhile."""
    end = time.monotonic() + seconds
    sum(itertools.takewhile(end.__gt__, iter(time.monotonic, None)))


def rest(turns: Turns) -> None:
    """Until the timer does: the watch looks for work itself from then on."""
    end = time.monotonic() + 20
    while turns.reactor.getDelayedCalls():
        assert time.monotonic() < end
        turns.turn(0.05)


def test_a_reactor_without_work_is_not_woken(turns: Turns) -> None:
    turns.watch._longest = 2.0  # more than a machine with neighbours takes
    rest(turns)
    turns.reactor.callLater(0, stand_still, 0.2)
    turns.turn(0.1)
    assert turns.reactor.getDelayedCalls()
    assert turns.watch.told() == {"count": 0}
    rest(turns)


@pytest.mark.parametrize("stand", [stand_still, work, keep_the_lock])
def test_the_end_of_a_rest_is_noticed(turns: Turns, stand: Callable[[float], None]) -> None:
    rest(turns)
    turns.reactor.callLater(0, stand, 0.6)
    turns.turn(0.1)
    turns.turn(0.2)  # the watch may not have run until now
    found = turns.watch.longest
    assert found is not None
    assert found.seconds > 0.4
    if stand is not keep_the_lock:
        assert (found.cpu < 0.3) is (stand is stand_still)
        assert stand.__name__ in found.place


def test_what_is_asked_at_the_end_harms_nobody(turns: Turns) -> None:
    rest(turns)
    stand_still(0.5)  # the watch sees it, and nothing turns
    turns.watch.stop()
    turns.turn(0.1)
    assert not turns.reactor.getDelayedCalls()


def test_it_ends(turns: Turns) -> None:
    turns.watch.stop()
    assert not turns.reactor.getDelayedCalls()
    turns.watch.stop()
