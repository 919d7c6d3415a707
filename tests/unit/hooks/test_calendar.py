"""Hooks whose time has come."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from twisted.internet.defer import Deferred

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure
from mailframe.hooks.app import App
from mailframe.hooks.hook import AppError
from mailframe.hooks.schedules import Cron, Every, parse_schedule
from tests.unit.hooks.house import House, logged, texts

ATHENS = ZoneInfo("Europe/Athens")


def at(text: str, zone: Any = ATHENS) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


class Plan:
    """One schedule, and when it ran."""

    def __init__(self, when: str, start: float = 0.0, hook: Any = None, **more: Any) -> None:
        self.runs: list[float] = []
        app = App("shop")
        app.schedule(when, name="job")(hook or self._run)
        self.house = House([app], server_more={"zone": ATHENS, **more})
        self.clock = self.house.clock
        self.clock.rightNow = start
        self.house.start()

    async def _run(self) -> None:
        self.runs.append(self.clock.seconds())

    def until(self, end: float, step: float = 30.0) -> None:
        while self.clock.seconds() < end:
            self.clock.advance(min(step, end - self.clock.seconds()))

    def set_clock(self, by: float) -> None:
        """As ``runtime.steady`` does it: what waits goes on waiting."""
        self.clock.rightNow += by
        for call in self.clock.getDelayedCalls():
            call.time += by


# ---- what a schedule says


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("every 10m", Every(600.0)),
        ("every 1h30m", Every(5400.0)),
        ("0 7 * * 1-5", Cron("0 7 * * 1-5")),
    ],
)
def test_schedules(text: str, parsed: Any) -> None:
    assert parse_schedule(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every",
        "every 0s",
        "every 400d",
        "every ten minutes",
        "* * *",
        "60 * * * *",
        "0 0 30 2 *",
        "0 0 0 7 * *",
        "@daily",
        "x" * 10_000,
    ],
)
def test_what_is_none_is_said_at_the_decorator(text: str) -> None:
    with pytest.raises(AppError):
        App().schedule(text)


def test_an_hour_that_does_not_exist_and_one_that_comes_twice() -> None:
    daily = Cron("30 3 * * *")
    # 2025-03-30: from 03:00 to 04:00 there is nothing; what is due then is done at its end
    assert daily.after(at("2025-03-30T00:00"), ATHENS) == at("2025-03-30T04:00")
    # 2025-10-26: from 03:00 to 04:00 comes twice; it is done once
    first = daily.after(at("2025-10-26T00:00"), ATHENS)
    assert first == at("2025-10-26T03:30")
    assert first is not None
    assert daily.after(first, ATHENS) == at("2025-10-27T03:30")
    assert daily.after(first + 3_000, ATHENS) == at("2025-10-27T03:30")
    hourly = Cron("0 * * * *")
    times = [at("2025-10-26T02:30")]
    for _ in range(4):
        times.append(hourly.after(times[-1], ATHENS) or 0.0)
    assert [round(b - a) for a, b in pairwise(times[1:])] == [3600] * 3


# ---- runs


def test_every_counts_from_the_start() -> None:
    plan = Plan("every 10m", start=5.0)
    plan.until(1_900.0, step=1.0)
    assert plan.runs == [605.0, 1205.0, 1805.0]


def test_cron_runs_at_its_times_in_the_servers_zone() -> None:
    plan = Plan("0 7 * * 1-5", start=at("2025-06-13T06:00"))  # a Friday
    plan.until(at("2025-06-17T12:00"))
    assert plan.runs == [at("2025-06-13T07:00"), at("2025-06-16T07:00"), at("2025-06-17T07:00")]


def test_over_a_change_to_summer_and_back() -> None:
    plan = Plan("0 7 * * *", start=at("2025-03-29T06:00"))
    plan.until(at("2025-03-31T08:00"))
    assert plan.runs == [at(f"2025-03-{day}T07:00") for day in (29, 30, 31)]


def test_no_run_while_the_one_before_goes_on() -> None:
    late: list[Deferred[None]] = []

    async def slow() -> None:
        late.append(Deferred())
        await late[-1]

    plan = Plan("every 1m", hook=slow)
    with logged() as events:
        plan.until(185.0, step=1.0)
        assert len(late) == 1
        assert "still runs" in texts(events)
        late[0].callback(None)
        plan.until(240.0, step=1.0)
    assert len(late) == 2


def test_a_mistake_does_not_end_it() -> None:
    runs: list[int] = []

    def broken() -> None:
        runs.append(1)
        raise SystemExit

    plan = Plan("every 1m", hook=broken)
    with logged() as events:
        plan.until(125.0)
    assert len(runs) == 2
    assert "shop.job" in texts(events)


def test_one_of_several_workers_runs_it() -> None:
    ours = [False]
    plan = Plan("every 1m", is_ours=lambda: ours[0])
    plan.until(125.0)
    assert plan.runs == []
    ours[0] = True
    plan.until(185.0)
    assert len(plan.runs) == 1


def test_what_was_missed_is_not_made_up() -> None:
    plan = Plan("0 7 * * *", start=at("2025-06-13T06:00"))
    with logged() as events:
        plan.set_clock(5 * 3600.0)
        plan.until(at("2025-06-13T12:00"))
    assert plan.runs == []
    assert "left out" in texts(events)
    plan.until(at("2025-06-14T08:00"))
    assert plan.runs == [at("2025-06-14T07:00")]


def test_a_clock_that_is_set_back_a_little_repeats_nothing() -> None:
    plan = Plan("0 7 * * *", start=at("2025-06-13T06:59"))
    plan.until(at("2025-06-13T07:01"))
    plan.set_clock(-300.0)
    plan.until(at("2025-06-14T06:00"))
    assert plan.runs == [at("2025-06-13T07:00")]
    plan.until(at("2025-06-14T07:01"))
    assert plan.runs[1:] == [at("2025-06-14T07:00")]


def test_a_clock_that_was_a_year_ahead() -> None:
    plan = Plan("0 7 * * *", start=at("2026-06-13T08:00"))
    plan.until(at("2026-06-13T08:01"))
    plan.set_clock(-365 * 86_400.0)
    plan.until(at("2025-06-14T07:01"))
    assert plan.runs == [at("2025-06-14T07:00")]


def test_every_does_not_care_how_the_clock_is_set() -> None:
    plan = Plan("every 10m", start=1e9)
    plan.set_clock(-86_400.0)
    begun = plan.clock.seconds()
    plan.until(begun + 605.0)
    plan.set_clock(86_400.0)
    begun = plan.clock.seconds()
    plan.until(begun + 600.0)
    assert len(plan.runs) == 2


def test_mail_that_is_refused_is_told_with_reply_and_detail() -> None:
    async def hook() -> None:
        reply = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")
        raise PermanentFailure(reply, "zoe@shop.test")

    plan = Plan("every 1m", hook=hook)
    with logged() as events:
        plan.until(plan.clock.seconds() + 60.0)
    (report,) = plan.house.running.report()
    assert (report["calls"], report["failures"]) == (1, 1)
    last = texts(events).splitlines()[-1]
    assert last.startswith("the run of shop.job failed: ")
    assert last.endswith("550 5.1.1 No such user here (zoe@shop.test)")


def test_retired_and_stopped_ones_begin_nothing() -> None:
    plan = Plan("every 1m")
    plan.house.running.retire()
    plan.until(300.0)
    assert plan.runs == []
    assert plan.clock.getDelayedCalls() == []


def test_in_utc_too() -> None:
    plan = Plan("30 12 * * *", start=at("2025-06-13T12:00", UTC), zone=UTC)
    plan.until(at("2025-06-13T13:00", UTC))
    assert plan.runs == [at("2025-06-13T12:30", UTC)]
