"""Guessing made slow, without locking anybody out."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from mailframe.accounts import throttle as module
from mailframe.accounts.throttle import LoginThrottle, network_of
from mailframe.errors import LoginThrottled


def held_up(throttle: LoginThrottle, ip: str, account: str) -> bool:
    try:
        throttle.check(ip, account)
    except LoginThrottled:
        return True
    return False


def seconds_held_up(clock: Clock, throttle: LoginThrottle, ip: str, account: str) -> int:
    waited = 0
    while held_up(throttle, ip, account):
        clock.advance(1)
        waited += 1
    return waited


def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock, per_address=0, per_account=3, window=7200)
    waits = []
    for number in range(14):
        throttle.failed(f"192.0.2.{number}", "ann")
        waits.append(seconds_held_up(clock, throttle, "192.0.2.99", "ann"))
    assert waits == [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_a_thousand_failures_overflow_nothing() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(5000):
        throttle.failed("192.0.2.1", "ann")
    assert held_up(throttle, "192.0.2.1", "bob")


def test_all_is_forgotten_after_a_quiet_window() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock, per_account=2, window=3600)
    throttle.failed("192.0.2.1", "ann")
    clock.advance(3601)
    throttle.failed("192.0.2.2", "ann")
    assert not held_up(throttle, "192.0.2.3", "ann")
    clock.advance(3599)
    throttle.failed("192.0.2.2", "ann")
    assert held_up(throttle, "192.0.2.3", "ann")


def test_the_owner_is_not_locked_out_by_strangers() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock, per_account=3)
    throttle.succeeded("192.0.2.1", "ann")
    for number in range(50):
        throttle.failed(f"198.51.100.{number}", "ann")
    assert held_up(throttle, "203.0.113.1", "ann")
    assert not held_up(throttle, "192.0.2.1", "ann")


def test_a_known_place_is_held_up_for_its_own_failures() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock, per_account=3)
    throttle.succeeded("192.0.2.1", "ann")
    for _ in range(3):
        throttle.failed("192.0.2.1", "ann")
    assert held_up(throttle, "192.0.2.1", "ann")
    assert not held_up(throttle, "192.0.2.1", "bob")
    clock.advance(3)
    throttle.succeeded("192.0.2.1", "ann")
    throttle.failed("192.0.2.1", "ann")
    assert not held_up(throttle, "192.0.2.1", "ann")


def test_owning_one_account_buys_no_guesses_at_others() -> None:
    throttle = LoginThrottle(Clock(), per_address=4)
    for number in range(4):
        throttle.failed("192.0.2.1", f"victim{number}")
        throttle.succeeded("192.0.2.1", "mallory")
    assert held_up(throttle, "192.0.2.1", "victim9")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
    ],
)
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
    throttle = LoginThrottle(Clock(), per_address=1)
    throttle.failed(one, "ann")
    assert held_up(throttle, other, "bob") is same


def test_a_unix_socket_has_no_address_to_count() -> None:
    throttle = LoginThrottle(Clock(), per_address=1, per_account=2)
    throttle.failed("", "ann")
    assert not held_up(throttle, "", "bob")
    throttle.failed("", "ann")
    assert held_up(throttle, "", "ann")


def test_no_limits() -> None:
    throttle = LoginThrottle(Clock(), per_address=0, per_account=0)
    for _ in range(1000):
        throttle.failed("192.0.2.1", "ann")
    assert not held_up(throttle, "192.0.2.1", "ann")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 100)
    throttle = LoginThrottle(Clock(), per_account=1)
    for number in range(1000):
        throttle.failed(f"10.0.{number // 250}.{number % 250}", f"user{number}")
        throttle.succeeded(f"10.0.{number // 250}.{number % 250}", f"user{number}")
    assert len(throttle._addresses._records) == 100
    assert len(throttle._accounts._records) <= 100
    assert len(throttle._proved) == 100


class OtherLimits:
    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []

    def check_login(self, peer_ip: str, account: str) -> None:
        if len(self.failures) >= 2:
            raise LoginThrottled("limit")

    def login_failed(self, peer_ip: str, account: str) -> None:
        self.failures.append((peer_ip, account))


def test_other_limits_hear_of_every_failure_and_have_a_say() -> None:
    limits = OtherLimits()
    throttle = LoginThrottle(Clock(), per_address=0, per_account=0, limits=limits)
    for _ in range(2):
        throttle.check("192.0.2.1", "ann")
        throttle.failed("192.0.2.1", "ann")
    assert limits.failures == [("192.0.2.1", "ann")] * 2
    with pytest.raises(LoginThrottled):
        throttle.check("192.0.2.1", "ann")
