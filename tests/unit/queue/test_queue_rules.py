"""The small pure parts: retry schedule, lines of lanes, destinations."""

from __future__ import annotations

import pytest

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.queue.agenda import Agenda, Line
from mailframe.queue.destination import Destination, Pool
from mailframe.queue.pace import Pace
from mailframe.queue.retry import RetrySchedule

DOWN = Reply(451, status.NO_ANSWER, "down")


def schedule(random: float = 0.0) -> RetrySchedule:
    return RetrySchedule([300, 900, 3600], 86400, 14400, lambda: random)


def test_the_last_wait_repeats() -> None:
    assert [schedule().wait(n) for n in (1, 2, 3, 4, 50)] == [300, 900, 3600, 3600, 3600]


def test_jitter_only_adds() -> None:
    assert schedule(0.999).wait(1) == pytest.approx(330, abs=0.1)


def test_the_last_try_is_at_the_expiry() -> None:
    assert schedule().next_at(86000.0, 9, 0.0) == 86400.0
    assert not schedule().is_expired(86399.9, 0.0)
    assert schedule().is_expired(86400.0, 0.0)
    # Held past its time and released: it is not to be tried without a pause.
    assert schedule().next_at(90000.0, 1, 0.0) == 90300.0


def test_warnings_can_be_switched_off() -> None:
    assert schedule().wants_warning(14400.0, 0.0)
    assert not schedule().wants_warning(14399.0, 0.0)
    assert not RetrySchedule([1], 10, 0, lambda: 0.0).wants_warning(10**9, 0.0)


@pytest.mark.parametrize("retry", [[], [0], [300, -1]])
def test_a_schedule_without_waits_is_refused(retry: list[int]) -> None:
    with pytest.raises(ValueError, match="waits"):
        RetrySchedule(retry, 10, 0, lambda: 0.0)


def test_a_line_serves_fresh_lanes_first_and_each_once() -> None:
    line = Line()
    for lane, fresh in (("a", False), ("b", False), ("c", True), ("a", False), ("b", True)):
        line.push(lane, fresh)
    line.push("c", False)  # stays where it is better off
    assert len(line) == 3
    assert list(line.drain()) == [("c", True), ("b", True), ("a", False)]
    assert line.pop() is None
    line.push("b", False)
    assert list(line.drain()) == [("b", False)]


def test_the_agenda_keeps_the_earliest_time() -> None:
    agenda = Agenda()
    agenda.at(20.0, "a")
    agenda.at(10.0, "a")
    agenda.at(30.0, "a")
    agenda.at(15.0, "b")
    agenda.advance(9.9)
    assert agenda.line.pop() is None
    assert agenda.next_time() == 10.0
    agenda.advance(25.0)
    assert list(agenda.line.drain()) == [("a", False), ("b", False)]
    agenda.advance(99.0)
    assert agenda.line.pop() is None


def test_a_destination_grows_and_shrinks() -> None:
    destination = Destination(20, 300.0)
    assert destination.room == 5
    for _ in range(30):
        destination.succeeded()
    assert destination.room == 20
    destination.failed(0.0, DOWN)
    assert destination.room == 10
    destination.failed(0.0, DOWN)
    assert not destination.is_dead(0.0)
    destination.failed(0.0, DOWN)
    assert destination.is_dead(299.9)
    assert not destination.is_dead(300.0)
    assert destination.room == 1


def test_a_dead_destination_rests_longer_each_time_until_it_answers() -> None:
    destination = Destination(20, 300.0)
    for _ in range(3):
        destination.failed(0.0, DOWN)
    now, rests = 300.0, []
    for _ in range(6):
        destination.failed(now, DOWN)
        rests.append(destination.dead_until - now)
        now = destination.dead_until
    assert rests == [600, 1200, 2400, 3600, 3600, 3600]
    destination.succeeded()
    assert destination.limit == 2
    assert destination.is_idle
    for _ in range(3):
        destination.failed(now, DOWN)
    assert destination.dead_until - now == 300


def test_failures_of_attempts_already_under_way_do_not_lengthen_the_rest() -> None:
    destination = Destination(20, 300.0)
    for _ in range(20):
        destination.failed(10.0, DOWN)
    assert destination.dead_until == 310.0


@pytest.mark.parametrize(("per_minute", "at_once"), [(6, 1), (60, 1), (600, 10), (0, 50)])
def test_a_pace_allows_a_second_worth_at_once(per_minute: int, at_once: int) -> None:
    pace = Pace(per_minute)
    assert pace.allowed(100.0, 50) == at_once
    assert pace.wait(100.0) == 0.0


def test_a_pace_is_kept_over_time() -> None:
    pace, now, began = Pace(90), 1000.0, 0
    while now < 1600.0:
        if wait := pace.wait(now):
            now += wait
        else:
            pace.began(now)
            began += 1
    assert 900 <= began <= 902


def test_what_is_about_to_begin_counts() -> None:
    pace = Pace(6)
    pace.reserved = 1
    assert pace.wait(0.0) == 10.0
    pace.reserved = 0
    assert not pace.is_owed(0.0)
    pace.began(0.0)
    assert pace.wait(4.0) == 6.0
    assert pace.is_owed(9.9)
    assert not pace.is_owed(10.0)


def test_a_pool_keeps_room_for_fresh_mail() -> None:
    pool = Pool(10)
    pool.running = 8
    assert (pool.room(True), pool.room(False)) == (2, 0)
    pool.running = 12
    assert (pool.room(True), pool.room(False)) == (0, 0)
    single = Pool(1)
    assert (single.room(True), single.room(False)) == (1, 1)
