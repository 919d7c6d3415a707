"""Counting what several workers hold together."""

from __future__ import annotations

from twisted.internet.task import Clock

from mailframe.runtime.peers import Alone
from mailframe.runtime.tally import Tally
from mailframe.testing.peers import Bus


def pair() -> tuple[Bus, Clock, Tally, Tally]:
    bus, clock = Bus(), Clock()
    first, second = bus.join("a"), bus.join("b")
    return bus, clock, Tally(first, "t", clock), Tally(second, "t", clock)


def test_the_sum_of_all_workers_counts_a_moment_later() -> None:
    _, clock, here, there = pair()
    here.add("192.0.2.1", 2)
    there.add("192.0.2.1", 1)
    assert (here.total("192.0.2.1"), there.total("192.0.2.1")) == (2, 1)
    clock.advance(0.02)
    assert (here.total("192.0.2.1"), there.total("192.0.2.1")) == (3, 3)
    here.add("192.0.2.1", -2)
    clock.advance(0.02)
    assert (here.total("192.0.2.1"), there.total("192.0.2.1")) == (1, 1)
    assert here.total("192.0.2.2") == 0


def test_what_a_lost_worker_held_counts_no_more() -> None:
    bus, clock, here, there = pair()
    there.add("x", 5)
    here.add("x", 1)
    clock.advance(0.02)
    bus.leave("b")
    assert here.total("x") == 1


def test_a_newcomer_is_told_all_figures() -> None:
    bus, clock, here, there = pair()
    for number in range(2_500):
        here.add(f"k{number}", 1)
    there.add("k7", 2)
    clock.advance(0.02)
    newcomer = Tally(bus.join("c"), "t", clock)
    bus.welcome("c")
    assert newcomer.total("k7") == 3
    assert newcomer.total("k2499") == 1


def test_figures_that_are_told_twice_count_once() -> None:
    bus, clock, here, there = pair()
    there.add("x", 5)
    clock.advance(0.02)
    bus.welcome("a")  # b says all again
    assert here.total("x") == 5


def test_alone_nothing_is_told_and_no_timer_runs() -> None:
    clock = Clock()
    tally = Tally(Alone(), "t", clock)
    tally.add("x", 1)
    assert tally.total("x") == 1
    assert clock.getDelayedCalls() == []


def test_nothing_is_told_after_the_stop() -> None:
    _, clock, here, there = pair()
    here.add("x", 1)
    here.stop()
    clock.advance(1)
    assert there.total("x") == 0
