"""POP-before-SMTP: the door opens for that address and closes again."""

from __future__ import annotations

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.accounts.pop_before_smtp import RecentFetches
from mailframe.interfaces import IRecentFetches


def test_it_opens_and_closes() -> None:
    clock = Clock()
    fetches = RecentFetches(clock)
    verifyObject(IRecentFetches, fetches)
    assert fetches.may_relay("192.0.2.1") is None
    fetches.note("192.0.2.1", "ann@example.test")
    clock.advance(899)
    assert fetches.may_relay("192.0.2.1") == "ann@example.test"
    clock.advance(1)
    assert fetches.may_relay("192.0.2.1") is None


def test_a_later_fetch_prolongs_it() -> None:
    clock = Clock()
    fetches = RecentFetches(clock, window=10)
    fetches.note("192.0.2.1", "ann@example.test")
    fetches.note("192.0.2.9", "eve@example.test")
    clock.advance(6)
    fetches.note("192.0.2.1", "bob@example.test")
    clock.advance(6)
    assert fetches.may_relay("192.0.2.1") == "bob@example.test"
    assert fetches.may_relay("192.0.2.9") is None


def test_only_that_address() -> None:
    fetches = RecentFetches(Clock())
    fetches.note("192.0.2.1", "ann@example.test")
    fetches.note("2001:db8::1", "ann@example.test")
    for other in ("192.0.2.2", "2001:db8::2", "", "nonsense", "192.0.2.1.5"):
        assert fetches.may_relay(other) is None


def test_one_address_in_several_spellings() -> None:
    fetches = RecentFetches(Clock())
    fetches.note("::ffff:192.0.2.1", "ann@example.test")
    fetches.note("2001:DB8:0::1", "eve@example.test")
    assert fetches.may_relay("192.0.2.1") == "ann@example.test"
    assert fetches.may_relay("2001:db8::1") == "eve@example.test"


def test_a_unix_socket_opens_nothing() -> None:
    fetches = RecentFetches(Clock())
    fetches.note("", "ann@example.test")
    assert fetches.may_relay("") is None


def test_what_is_kept_is_bounded() -> None:
    fetches = RecentFetches(Clock(), most=3)
    for number in range(5):
        fetches.note(f"192.0.2.{number}", "ann@example.test")
    known = [number for number in range(5) if fetches.may_relay(f"192.0.2.{number}")]
    assert known == [2, 3, 4]
