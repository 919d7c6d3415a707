"""Sinks hear of every step, in order, and hold up nobody."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface import implementer

from mailframe.interfaces import IEventSink, Step
from mailframe.journal import sinks
from mailframe.journal.sinks import SinkFeed


def row(number: int) -> tuple[Any, ...]:
    return (float(number), f"id{number}", "session", "accept", "", {"size": number})


@implementer(IEventSink)
class Sink:
    def __init__(self, name: str = "sink") -> None:
        self.name = name
        self.heard: list[int] = []
        self.calls: list[int] = []
        self.answer: Any = None

    def hear(self, steps: tuple[Step, ...]) -> Any:
        self.calls.append(len(steps))
        self.heard += [int(step.time) for step in steps]
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Logged(list[str]):
    def __call__(self, event: LogEvent) -> None:
        if "lost" in event:
            self.append(f"{event['sink']} {event['lost']} {event['why']}")


@pytest.fixture
def logged() -> Any:
    found = Logged()
    globalLogPublisher.addObserver(found)
    yield found
    globalLogPublisher.removeObserver(found)


def feed_of(*found: Sink) -> tuple[SinkFeed, Clock]:
    clock = Clock()
    clock.advance(1000)
    feed = SinkFeed(clock)
    feed.follow(found)
    return feed, clock


def test_steps_are_heard_with_all_that_was_recorded() -> None:
    heard: list[Step] = []
    sink = Sink()
    sink.hear = lambda steps: heard.extend(steps)  # type: ignore[method-assign]
    feed, _ = feed_of(sink)
    feed([row(7)])
    assert heard == [Step(7.0, "id7", "accept", "", "session", {"size": 7})]


def test_one_call_at_a_time_and_what_comes_meanwhile_waits() -> None:
    sink = Sink()
    sink.answer = first = Deferred[None]()
    feed, _ = feed_of(sink)
    feed([row(1)])
    feed([row(2)])
    feed([row(3)])
    assert sink.heard == [1]
    sink.answer = None
    first.callback(None)
    assert (sink.heard, sink.calls) == ([1, 2, 3], [1, 2])


def test_many_are_told_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "TOGETHER", 2)
    sink = Sink()
    feed, _ = feed_of(sink)
    feed([row(number) for number in range(5)])
    assert (sink.heard, sink.calls) == ([0, 1, 2, 3, 4], [2, 2, 1])


def test_too_many_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setattr(sinks, "BUFFER", 3)
    slow, quick = Sink("slow"), Sink("quick")
    slow.answer = Deferred[None]()
    feed, clock = feed_of(slow, quick)
    for number in range(10):
        feed([row(number)])
    assert (slow.heard, quick.heard) == ([0], list(range(10)))
    assert feed.dropped == 6
    assert logged == ["slow 1 it is behind"]
    slow.answer = None
    clock.advance(sinks._QUIET + 1)  # it is given up meanwhile, and hears those that had room
    assert slow.heard == [0, 1, 2, 3]
    slow.answer = ValueError("no")
    feed([row(99)])
    assert len(logged) == 2


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError()])
def test_what_it_raises_costs_these_steps_only(error: Exception, logged: Logged) -> None:
    bad, good = Sink("bad"), Sink("good")
    bad.answer = error
    feed, _ = feed_of(bad, good)
    feed([row(1)])
    bad.answer = None
    feed([row(2)])
    assert (bad.heard, good.heard) == ([1, 2], [1, 2])
    assert feed.dropped == 1
    assert logged == [f"bad 1 {error!r}"]


def test_one_that_never_ends_is_given_up(logged: Logged) -> None:
    sink = Sink()
    sink.answer = Deferred[None]()
    feed, clock = feed_of(sink)
    feed([row(1)])
    sink.answer = None
    feed([row(2)])
    clock.advance(sinks.SECONDS - 1)
    assert sink.heard == [1]
    clock.advance(2)
    assert sink.heard == [1, 2]
    assert len(logged) == 1


def test_others_may_take_their_place_and_who_stays_misses_nothing() -> None:
    old, stays, new = Sink(), Sink(), Sink()
    stays.answer = first = Deferred[None]()
    feed, _ = feed_of(old, stays)
    feed([row(1)])
    feed([row(2)])
    feed.follow([stays, new])
    feed([row(3)])
    stays.answer = None
    first.callback(None)
    assert (old.heard, stays.heard, new.heard) == ([1, 2], [1, 2, 3], [3])


def test_at_the_end_what_waits_is_told_for_some_seconds() -> None:
    sink, hangs = Sink(), Sink()
    hangs.answer = Deferred[None]()
    sink.answer = first = Deferred[None]()
    feed, clock = feed_of(sink, hangs)
    feed([row(1)])
    feed([row(2)])
    ended: list[None] = []
    feed.stop().addCallback(ended.append)
    sink.answer = None
    first.callback(None)
    assert sink.heard == [1, 2]
    assert ended == []
    clock.advance(sinks._LAST_WORDS + 1)
    assert ended == [None]
