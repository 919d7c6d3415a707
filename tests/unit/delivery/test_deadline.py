"""One timer for limits that move."""

from __future__ import annotations

from twisted.internet.task import Clock

from mailframe.delivery.deadline import Deadline


def passing(clock: Clock) -> tuple[Deadline, list[float]]:
    passed: list[float] = []
    return Deadline(clock, lambda: passed.append(clock.seconds())), passed


def advance(clock: Clock, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        clock.advance(0.1)


def test_it_passes_when_it_was_set_for() -> None:
    clock = Clock()
    deadline, passed = passing(clock)
    for seconds in (0.5, 5.0, 12.0, 300.0):
        passed.clear()
        begun = clock.seconds()
        deadline.set(seconds)
        advance(clock, seconds + 10)
        assert len(passed) == 1
        assert abs(passed[0] - begun - seconds) < 0.3


def test_it_is_put_off_without_a_new_timer() -> None:
    clock = Clock()
    deadline, passed = passing(clock)
    deadline.set(300)
    timers = clock.getDelayedCalls()
    for _ in range(40):
        clock.advance(0.1)
        deadline.set(300)
    assert clock.getDelayedCalls() == timers
    advance(clock, 295)
    assert not passed
    advance(clock, 6)
    assert len(passed) == 1


def test_a_nearer_one_counts() -> None:
    clock = Clock()
    deadline, passed = passing(clock)
    deadline.set(300)
    clock.advance(1)
    deadline.set(1)
    assert len(clock.getDelayedCalls()) == 1
    advance(clock, 1.2)
    assert len(passed) == 1


def test_what_is_lifted_or_cleared_never_passes() -> None:
    clock = Clock()
    deadline, passed = passing(clock)
    deadline.set(3)
    deadline.lift()
    assert not deadline.is_set
    advance(clock, 10)
    deadline.set(3)
    deadline.clear()
    assert not clock.getDelayedCalls()
    advance(clock, 10)
    assert not passed


def test_it_waits_on_when_the_clock_is_set() -> None:
    """As ``SteadyTime`` does it: time jumps, and all that waits is put off by as much."""
    clock = Clock()
    deadline, passed = passing(clock)
    deadline.set(60)
    clock.rightNow += 86_400
    for call in clock.getDelayedCalls():
        call.delay(86_400)
    advance(clock, 59)
    assert not passed
    advance(clock, 2)
    assert len(passed) == 1


def test_it_may_be_set_when_it_passes() -> None:
    clock = Clock()
    passed: list[float] = []

    def again() -> None:
        passed.append(clock.seconds())
        if len(passed) < 3:
            deadline.set(2)

    deadline = Deadline(clock, again)
    deadline.set(2)
    advance(clock, 20)
    assert len(passed) == 3
