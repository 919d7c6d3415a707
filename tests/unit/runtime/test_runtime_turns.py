"""Calls that come all at once are made a slice in each turn."""

from __future__ import annotations

from twisted.internet.task import Clock

from mailframe.runtime.turns import SLICE, InTurn
from tests.unit.runtime.loops import turn


class Busy:
    def __init__(self) -> None:
        self.clock = Clock()
        self.turns = InTurn(self.clock)
        self.done: list[int] = []

    def call(self, number: int, seconds: float = SLICE / 3) -> None:
        def work() -> None:
            self.done.append(number)
            self.clock.rightNow += seconds

        self.turns.run(work)

    def turn(self) -> int:
        """How many were made in it."""
        before = len(self.done)
        turn(self.clock)
        return len(self.done) - before


def test_a_few_are_made_at_once() -> None:
    busy = Busy()
    for number in range(3):
        busy.call(number)
    assert busy.done == [0, 1, 2]


def test_many_are_made_in_their_order_over_many_turns() -> None:
    busy = Busy()
    for number in range(100):
        busy.call(number)
    each = [len(busy.done)]
    while len(busy.done) < 100:
        each.append(busy.turn())
    assert busy.done == list(range(100))
    assert max(each) <= 5
    assert min(each) >= 1


def test_a_long_one_leaves_no_room_for_others_in_its_turn() -> None:
    busy = Busy()
    for number in range(5):
        busy.call(number, seconds=1)
    assert [len(busy.done), *(busy.turn() for _ in range(5))] == [1, 1, 1, 1, 1, 0]


def test_who_comes_later_does_not_overtake() -> None:
    busy = Busy()
    busy.call(0, seconds=1)
    busy.call(1)
    busy.turn()
    busy.call(2, seconds=1)
    busy.call(3)
    busy.call(4)
    while busy.turn():
        pass
    assert busy.done == [0, 1, 2, 3, 4]


def test_a_call_may_bring_others() -> None:
    busy = Busy()

    def begin() -> None:
        busy.call(1)
        busy.call(2, seconds=1)
        busy.call(3)

    busy.turns.run(begin)
    while busy.turn():
        pass
    assert busy.done == [1, 2, 3]


def test_nothing_is_left_behind() -> None:
    busy = Busy()
    busy.call(0)
    busy.turn()
    assert not busy.clock.getDelayedCalls()
