from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailframe.runtime.rounds import Rounds


class Patrol:
    """Rounds every ten seconds, and what was looked at when."""

    def __init__(self, interval: float = 10) -> None:
        self.clock = Clock()
        self.seen: list[tuple[float, str]] = []
        self.rounds: Rounds[str] = Rounds(self.clock, interval, self.look)

    def look(self, thing: str) -> None:
        self.seen.append((self.clock.seconds(), thing))
        if thing == "broken":
            raise RuntimeError("planned")


def test_everything_is_looked_at_in_its_own_time() -> None:
    patrol = Patrol()
    patrol.rounds.begin("a")
    patrol.clock.advance(4)
    patrol.rounds.begin("b")
    patrol.clock.pump([1] * 20)
    assert patrol.seen == [(10, "a"), (14, "b"), (20, "a"), (24, "b")]


def test_there_is_one_timer_for_all_and_none_for_nothing() -> None:
    patrol = Patrol()
    for thing in "abc":
        patrol.rounds.begin(thing)
    assert len(patrol.clock.getDelayedCalls()) == 1
    for thing in "abc":
        patrol.rounds.end(thing)
    assert patrol.clock.getDelayedCalls() == []
    assert len(patrol.rounds) == 0


def test_what_has_ended_is_not_looked_at() -> None:
    patrol = Patrol()
    patrol.rounds.begin("a")
    patrol.rounds.begin("b")
    patrol.rounds.end("a")
    patrol.rounds.end("never there")
    patrol.clock.advance(10)
    assert patrol.seen == [(10, "b")]


def test_a_look_may_end_another() -> None:
    clock, seen = Clock(), list[str]()

    def look(thing: str) -> None:
        seen.append(thing)
        rounds.end("b")

    rounds: Rounds[str] = Rounds(clock, 10, look)
    rounds.begin("a")
    rounds.begin("b")
    clock.advance(10)
    assert seen == ["a"]
    assert len(rounds) == 1


def test_one_that_fails_is_logged_and_the_next_is_looked_at() -> None:
    patrol, logged = Patrol(), list[dict[str, object]]()
    patrol.rounds.begin("broken")
    patrol.rounds.begin("whole")
    globalLogPublisher.addObserver(logged.append)
    try:
        patrol.clock.advance(10)
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert patrol.seen == [(10, "broken"), (10, "whole")]
    assert [event["thing"] for event in logged] == ["broken"]


def test_without_an_interval_nothing_is_looked_at() -> None:
    patrol = Patrol(interval=0)
    patrol.rounds.begin("a")
    patrol.rounds.end("a")
    assert patrol.clock.getDelayedCalls() == []
