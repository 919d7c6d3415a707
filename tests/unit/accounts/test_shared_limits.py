"""What one worker has seen of a client, every worker knows."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from mailframe.accounts.pop_before_smtp import RecentFetches
from mailframe.accounts.throttle import LoginThrottle
from mailframe.errors import LoginThrottled
from mailframe.policy.rate_store import WindowStore
from mailframe.testing.peers import Bus


def throttles() -> tuple[Bus, Clock, LoginThrottle, LoginThrottle]:
    bus, clock = Bus(), Clock()
    clock.advance(1_000)
    here, there = (LoginThrottle(clock, per_account=3, peers=bus.join(name)) for name in "ab")
    return bus, clock, here, there


def test_failures_at_one_worker_hold_a_guesser_up_at_the_other() -> None:
    _, _, here, there = throttles()
    for number in range(3):
        here.failed(f"192.0.2.{number}", "ann")
    there.failed("192.0.2.9", "ann")
    for throttle in (here, there):
        with pytest.raises(LoginThrottled):
            throttle.check("198.51.100.1", "ann")


def test_a_place_proved_at_one_worker_is_known_to_the_other() -> None:
    _, _, here, there = throttles()
    here.succeeded("198.51.100.1", "ann")
    for number in range(5):
        there.failed(f"192.0.2.{number}", "ann")
    there.check("198.51.100.1", "ann")
    with pytest.raises(LoginThrottled):
        there.check("198.51.100.2", "ann")


def test_a_worker_that_joins_holds_up_whom_the_others_do() -> None:
    bus, clock, here, _ = throttles()
    here.succeeded("198.51.100.1", "ann")
    for number in range(5):
        here.failed(f"192.0.2.{number}", "ann")
    newcomer = LoginThrottle(clock, per_account=3, peers=bus.join("c"))
    bus.welcome("c")
    newcomer.check("198.51.100.1", "ann")
    with pytest.raises(LoginThrottled):
        newcomer.check("198.51.100.2", "ann")


def test_who_fetched_at_one_worker_may_send_at_the_other() -> None:
    bus, clock = Bus(), Clock()
    clock.advance(1_000)
    here, there = (RecentFetches(clock, window=60, peers=bus.join(name)) for name in "ab")
    here.note("192.0.2.1", "ann")
    assert there.may_relay("192.0.2.1") == "ann"
    newcomer = RecentFetches(clock, window=60, peers=bus.join("c"))
    bus.welcome("c")
    assert newcomer.may_relay("192.0.2.1") == "ann"
    clock.advance(61)
    assert [each.may_relay("192.0.2.1") for each in (here, there, newcomer)] == [None] * 3


def test_what_one_worker_counts_fills_the_windows_of_the_other() -> None:
    bus, clock = Bus(), Clock()
    clock.advance(1_000)
    stores = [WindowStore(None, clock, peers=bus.join(name)) for name in "ab"]
    here, there = (store.windows("messages per user in 3600", 3600) for store in stores)
    here.add("ann", clock.seconds(), 3)
    there.add("ann", clock.seconds(), 2)
    here.add("ann", clock.seconds(), -1)  # taken back
    assert [each.total("ann", clock.seconds()) for each in (here, there)] == [4, 4]
    there.clear("ann")
    assert [each.total("ann", clock.seconds()) for each in (here, there)] == [0, 0]


def test_a_count_is_kept_by_the_worker_that_counted() -> None:
    bus, clock = Bus(), Clock()
    stores = [WindowStore(None, clock, peers=bus.join(name)) for name in "ab"]
    here, there = (store.windows("messages per user in 3600", 3600) for store in stores)
    here.add("ann", clock.seconds(), 3)
    assert [who for who, _ in here.take_changed(10)] == ["ann"]
    assert there.take_changed(10) == []
