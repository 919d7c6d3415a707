"""The wall clock is set, and nobody's timer notices."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from mailframe.runtime.steady import SteadyTime

DAY = 86_400.0


class Reactor(Clock):
    """Time as Twisted's reactor has it: ``callLater`` and all go by ``seconds``."""

    def __init__(self) -> None:
        super().__init__()
        self.even = 1000.0
        self.wall = 1_800_000_000.0

    def callLater(self, when: float, what: Any, *args: Any, **kwargs: Any) -> Any:
        self.rightNow = self.seconds()
        return super().callLater(when, what, *args, **kwargs)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.even += 1
            self.wall += 1
            self.rightNow = self.seconds()
            Clock.advance(self, 0)


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.mark.parametrize("by", [DAY, -DAY, 3600.0, -5.0])
def test_what_waits_goes_on_waiting(reactor: Reactor, by: float) -> None:
    jumps: list[float] = []
    time = SteadyTime(reactor, jumps.append, wall=lambda: reactor.wall, even=lambda: reactor.even)
    time.start()
    rung: list[float] = []
    reactor.callLater(60, lambda: rung.append(reactor.even))
    reactor.callLater(5, lambda: rung.append(reactor.even))
    reactor.pass_time(10)
    reactor.wall += by
    reactor.pass_time(10)
    assert jumps == [by]
    assert abs(reactor.seconds() - reactor.wall) < 0.01
    reactor.callLater(7, lambda: rung.append(reactor.even))
    reactor.pass_time(60)
    assert rung == [1005, 1027, 1060]
    time.stop()
    assert reactor.getDelayedCalls() == []


def test_small_steps_are_followed_in_silence(reactor: Reactor) -> None:
    jumps: list[float] = []
    time = SteadyTime(reactor, jumps.append, wall=lambda: reactor.wall, even=lambda: reactor.even)
    time.start()
    for _ in range(20):
        reactor.wall += 0.4
        reactor.pass_time(4)
    assert jumps == []
    assert abs(reactor.seconds() - reactor.wall) < 0.5
    time.stop()
