"""Times, paces and tallies: what the report's figures are made of."""

from __future__ import annotations

import json
import random

import pytest

from mailframe.bench.latency import Latencies
from mailframe.bench.pace import Pace
from mailframe.bench.tally import Tally


def test_percentiles_are_within_a_percent_and_the_extremes_exact() -> None:
    seconds = [random.Random(3).lognormvariate(-6, 2) for _ in range(20_000)]
    times = Latencies()
    for each in seconds:
        times.add(each)
    seconds.sort()
    for percent in (50, 90, 99, 99.9):
        exact = seconds[int(len(seconds) * percent / 100)]
        assert times.percentile(percent) == pytest.approx(exact, rel=0.02)
    assert times.most == seconds[-1]
    assert times.mean == pytest.approx(sum(seconds) / len(seconds))


def test_nothing_and_strange_times() -> None:
    times = Latencies()
    assert times.percentile(50) == times.mean == 0
    for each in (0.0, -1.0, 1e9):
        times.add(each)
    assert times.count == 3
    assert times.percentile(99) > 1000


def test_a_percentile_is_no_more_than_the_most() -> None:
    times = Latencies()
    times.add(0.0100001)
    assert times.milliseconds()["p50"] <= times.milliseconds()["max"]


def test_tallies_of_processes_add_up() -> None:
    total = Tally()
    for begun, seconds in ((10.0, 0.1), (9.0, 0.3)):
        tally = Tally()
        tally.begun, tally.ended = begun, begun + 5
        tally.counts["messages"] += 2
        tally.fail("RCPT", "550 no", 550)
        tally.timing("message").add(seconds)
        total.merge(Tally.of_flat(json.loads(json.dumps(tally.flat()))))
    assert (total.begun, total.ended, total.seconds) == (9.0, 15.0, 6.0)
    assert total.counts["messages"] == 4
    assert total.failures == {"RCPT 550": 2}
    assert total.texts == {"RCPT 550": "550 no"}
    assert total.timing("message").count == 2
    assert total.timing("message").most == 0.3


def test_a_closed_loop_gives_out_what_there_is() -> None:
    pace = Pace(100.0, total=2)
    assert [pace.take(now) for now in (100.0, 101.5, 102.0)] == [100.0, 101.5, None]
    assert pace.over(102.0)


def test_an_open_loop_tells_when_a_start_was_due() -> None:
    pace = Pace(100.0, total=4, rate=2.0)
    assert pace.take(100.0) == 100.0
    assert pace.take(100.4) is None
    assert pace.due() == 100.5
    # Whoever is late has its lateness in the latency.
    assert [pace.take(103.0) for _ in range(4)] == [100.5, 101.0, 101.5, None]


def test_the_end_by_the_clock_or_by_hand() -> None:
    pace = Pace(100.0, seconds=1.0)
    assert pace.take(100.9) == 100.9
    assert pace.take(101.0) is None
    other = Pace(100.0, total=5)
    other.stop()
    assert other.take(100.0) is None
    with pytest.raises(ValueError, match="ends"):
        Pace(0.0)
