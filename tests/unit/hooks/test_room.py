"""So much at a time; the rest in line."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.errors import TransientFailure
from mailframe.hooks.room import Room
from mailframe.runtime.aio import as_deferred


class Hall:
    def __init__(self, most: int, **more: Any) -> None:
        self.clock = Clock()
        self.room = Room(self.clock, "seats", most, **more)
        self.entered: list[str] = []
        self.refused: list[str] = []

    def enter(self, who: str, amount: int = 1, patience: float = 10.0) -> Deferred[Any]:
        task = as_deferred(self.room.enter(amount, patience))
        task.addCallbacks(
            lambda _: self.entered.append(who),
            lambda failure: self.refused.append(f"{who} {failure.type.__name__}"),
        )
        return task


def test_in_the_order_in_which_they_came() -> None:
    hall = Hall(2)
    for who in "abcd":
        hall.enter(who)
    assert hall.entered == ["a", "b"]
    hall.room.leave(1)
    assert hall.entered == ["a", "b", "c"]
    hall.enter("e")
    hall.room.leave(1)
    hall.room.leave(1)
    assert hall.entered == ["a", "b", "c", "d", "e"]


def test_who_needs_more_than_there_is_has_it_alone() -> None:
    hall = Hall(10)
    hall.enter("small", 3)
    hall.enter("huge", 50)
    hall.enter("late", 1)
    assert hall.entered == ["small"], "nobody overtakes"
    hall.room.leave(3)
    assert hall.entered == ["small", "huge"]
    hall.room.leave(50)
    assert hall.entered == ["small", "huge", "late"]
    assert hall.room.taken == 1


def test_patience_ends_and_those_behind_go_on() -> None:
    hall = Hall(10)
    hall.enter("first", 8)
    hall.enter("second", 5, patience=10)
    hall.enter("third", 2, patience=60)
    hall.clock.advance(10)
    assert hall.refused == ["second TransientFailure"]
    assert hall.entered == ["first", "third"]
    assert hall.clock.getDelayedCalls() == []


def test_who_leaves_the_line_leaves_no_trace() -> None:
    hall = Hall(1)
    hall.enter("a")
    waiting = hall.enter("b")
    hall.enter("c")
    waiting.cancel()
    assert hall.refused == ["b CancelledError"]
    hall.room.leave(1)
    assert hall.entered == ["a", "c"]
    hall.room.leave(1)
    assert (hall.room.taken, hall.room.waiting) == (0, 0)
    assert hall.clock.getDelayedCalls() == []


def test_the_line_is_bounded() -> None:
    hall = Hall(1, line=2)
    for who in "abcd":
        hall.enter(who)
    assert hall.refused == ["d TransientFailure"]


def test_a_long_line_is_no_deep_stack() -> None:
    hall = Hall(1, line=10_000)
    done: list[int] = []

    async def visit(number: int) -> None:
        try:
            await hall.room.enter(1, 60)
        except TransientFailure:
            return
        done.append(number)
        hall.room.leave(1)

    hall.enter("first")
    for number in range(5_000):
        as_deferred(visit(number))
    hall.room.leave(1)
    assert done == list(range(5_000))
    assert hall.room.taken == 0
