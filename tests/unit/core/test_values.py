"""Replies, envelopes, ids and units."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Notify, Recipient
from mailframe.core.ids import IdSource
from mailframe.core.reply import Reply
from mailframe.core.status import Status
from mailframe.core.units import format_duration, format_size, parse_duration, parse_size


def test_class_digit_comes_from_the_code() -> None:
    assert Reply(550, status.BAD_DESTINATION_MAILBOX, "no").enhanced == "5.1.1"
    assert Reply(450, status.BAD_DESTINATION_MAILBOX, "no").enhanced == "4.1.1"
    assert str(Reply(250, None, "ok\nthere")) == "250 ok there"
    assert str(Reply(250, Status(1, 0), "ok")) == "250 2.1.0 ok"


@pytest.mark.parametrize(("code", "text"), [(199, ""), (600, ""), (250, "a\rb"), (250, "a\0b")])
def test_impossible_replies_cannot_be_made(code: int, text: str) -> None:
    with pytest.raises(ValueError, match="repl"):
        Reply(code, None, text)


def test_status_parse() -> None:
    assert Status.parse("5.7.26") == (5, Status(7, 26))
    assert Status.parse("3.1.1") is None
    assert Status.parse("5.1") is None
    assert Status.parse("5.1.1\n") is None
    assert Status.parse("٥.1.1") is None


def test_default_notify_is_failure_and_delay() -> None:
    default = Recipient(Address.parse("a@b"))
    assert default.wants(Notify.FAILURE)
    assert default.wants(Notify.DELAY)
    assert not default.wants(Notify.SUCCESS)
    never = Recipient(Address.parse("a@b"), notify=frozenset([Notify.NEVER]))
    assert not never.wants(Notify.FAILURE)


def test_ids_increase_even_when_the_clock_steps_back() -> None:
    times = iter([1.8e9, 1.8e9, 1.7e9, 1.9e9])
    source = IdSource(lambda: next(times), 7)
    ids = [source() for _ in range(4)]
    assert all(earlier < later for earlier, later in itertools.pairwise(ids))
    assert {len(id_) for id_ in ids} == {12}


def test_ids_count_the_microseconds_in_base_32() -> None:
    """All ten digits, also where the lower four begin anew."""
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    base = 1_577_836_800
    before, after = (5 << 20) - 1, (5 << 20) + 33 * 1024
    for micros in (before, after, 1, (1 << 40) + 7):
        id = IdSource(lambda micros=micros: base + (micros + 0.5) / 1e6, 0)()
        assert [alphabet.index(digit) for digit in id[:10]] == [
            (micros >> 5 * place) & 31 for place in range(9, -1, -1)
        ]


def test_ids_of_two_processes_differ_at_the_same_instant() -> None:
    assert IdSource(lambda: 1.8e9, 1)() != IdSource(lambda: 1.8e9, 2)()


@pytest.mark.parametrize(
    ("text", "octets"), [("35M", 35 << 20), ("2G", 2 << 30), ("10", 10), ("1 KiB", 1024)]
)
def test_sizes(text: str, octets: int) -> None:
    assert parse_size(text) == octets


@pytest.mark.parametrize("text", ["", "2 gigs", "-1", "1.5G", "١M", "M"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="500M"):
        parse_size(text)


def test_durations() -> None:
    assert parse_duration("5m") == 300
    assert parse_duration("1h30m") == 5400
    assert parse_duration("5d") == 432000
    for bad in ("", "5", "m", "5m x", "5 minutes"):
        with pytest.raises(ValueError, match="15m"):
            parse_duration(bad)


@given(st.integers(0, 1 << 50))
def test_formatted_sizes_are_short(octets: int) -> None:
    assert len(format_size(octets)) <= 6


def test_formats() -> None:
    assert format_size(1536) == "1.5K"
    assert format_size(12) == "12"
    assert format_duration(4321) == "1h12"
    assert format_duration(59) == "59s"
    assert format_duration(200000) == "2d07h"
