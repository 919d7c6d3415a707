"""What is remembered for a while, and how late the reactor is."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.metrics.gauges import Remembered
from mailframe.metrics.lag import Lag
from mailframe.runtime.aio import as_deferred, fired


class Slow:
    """Something that is found out when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Deferred[int]] = []

    async def find(self) -> int:
        self.asked.append(Deferred())
        return await self.asked[-1]


def test_it_is_found_once_for_all_who_ask_meanwhile() -> None:
    slow, clock = Slow(), Clock()
    remembered = Remembered(slow.find, 10, clock.seconds)
    waiting = [as_deferred(remembered.get()) for _ in range(3)]
    assert len(slow.asked) == 1
    slow.asked[0].callback(7)
    assert [fired(each) for each in waiting] == [7, 7, 7]
    clock.advance(9.9)
    assert fired(as_deferred(remembered.get())) == 7
    clock.advance(0.2)
    as_deferred(remembered.get())
    assert len(slow.asked) == 2


def test_what_takes_long_is_asked_for_less_often() -> None:
    slow, clock = Slow(), Clock()
    remembered = Remembered(slow.find, 10, clock.seconds)
    as_deferred(remembered.get())
    clock.advance(3)
    slow.asked[0].callback(7)
    clock.advance(59)
    assert fired(as_deferred(remembered.get())) == 7
    clock.advance(2)
    as_deferred(remembered.get())
    assert len(slow.asked) == 2


def test_an_error_is_told_and_not_remembered() -> None:
    slow, clock = Slow(), Clock()
    remembered = Remembered(slow.find, 10, clock.seconds)
    waiting = [as_deferred(remembered.get()) for _ in range(2)]
    slow.asked[0].errback(OSError("gone"))
    for each in waiting:
        with pytest.raises(OSError, match="gone"):
            fired(each)
    again = as_deferred(remembered.get())
    slow.asked[1].callback(8)
    assert fired(again) == 8


def test_who_gives_up_waiting_hinders_nobody() -> None:
    slow, clock = Slow(), Clock()
    remembered = Remembered(slow.find, 10, clock.seconds)
    first, second = as_deferred(remembered.get()), as_deferred(remembered.get())
    first.addErrback(lambda _: None)
    first.cancel()
    slow.asked[0].callback(7)
    assert fired(second) == 7


def longest(lag: Lag) -> float:
    return lag.families()[1].series[0][1][0]


def test_the_longest_lag_is_of_the_last_minutes() -> None:
    clock = Clock()
    lag = Lag(clock.seconds)
    lag.observe(0.5)
    lag.observe(0.1)
    assert longest(lag) == 0.5
    assert longest(lag) == 0.5  # whoever else asks
    clock.advance(61)
    lag.observe(0.2)
    assert longest(lag) == 0.5
    clock.advance(61)
    assert longest(lag) == 0.2
    clock.advance(61)
    assert longest(lag) == 0


def test_lags_are_counted() -> None:
    lag = Lag(Clock().seconds)
    for late in (0.0, 0.003, 0.15, 7.0):
        lag.observe(late)
    family = lag.families()[0]
    assert family.series[0][1][-1] == pytest.approx(7.153)
    assert sum(family.series[0][1][:-1]) == 4
