"""Sent dates, RFC 5256 section 2.2."""

from __future__ import annotations

import calendar
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.message.sent_date import SentDate, sent_date

DAY = 86_400
NEW_YEAR = 19_723  # 2024-01-01, in days
MIDNIGHT = NEW_YEAR * DAY
TEN = MIDNIGHT + 10 * 3600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"Mon, 1 Jan 2024 10:00:00 +0000", TEN),
        (b"  Mon, 01 Jan 2024 10:00:00 +0000\t", TEN),
        (b"mon, 1 jan 2024 10:00 -0000", TEN),
        (b"1 Jan 2024 10:00:00 +0230", TEN - 9000),
        (b"1 Jan 2024 10:00:00 -0330", TEN + 12600),
        (b"1 Jan 2024 10:00:07 +0000", TEN + 7),
        (b"1 Jan 2024 23:59:60 +0000", MIDNIGHT + DAY),  # a leap second
        # RFC 5322 section 4.3
        (b"Mon, 1 Jan 24 10:00 EST", TEN + 5 * 3600),
        (b"1 Jan 2024 10:00 GMT", TEN),
        (b"1 Jan 2024 10:00:00 UT", TEN),
        # comments
        (b"Mon, 1 Jan 2024 10:00:00 +0200 (EET)", TEN - 7200),
        (b"Mon, 1 (first) Jan 2024 10:00:00 (a) +0000", TEN),
        # what is seen
        (b"Monday, 01-Jan-24 10:00:00 GMT", TEN),
        (b"Mon Jan  1 10:00:00 2024", TEN),
        # the day as written, whatever it is in UTC
        (b"1 Jan 2024 00:30:00 +0200", MIDNIGHT - 5400),
        (b"1 Jan 2024 23:30:00 -0200", MIDNIGHT + DAY + 5400),
        # a zone that is none is UTC
        (b"1 Jan 2024 10:00:00", TEN),
        (b"1 Jan 2024 10:00:00 NOWHERE", TEN),
        (b"1 Jan 2024 10:00:00 +9999", TEN),
        (b"1 Jan 2024 10:00:00 -9999", TEN),
        # a time that is none is midnight
        (b"1 Jan 2024 24:00:00 +0000", MIDNIGHT),
        (b"1 Jan 2024 99:99:99 +0200", MIDNIGHT - 7200),
        (b"1 Jan 2024 10:60:00 +0000", MIDNIGHT),
        (b"1 Jan 2024 xx:yy:zz +0200", MIDNIGHT - 7200),
        (b"1 Jan 2024 xx:yy:zz", MIDNIGHT),
        (b"Mon, 1 Jan 2024 +0200", MIDNIGHT - 7200),
        (b"Mon, 1 Jan 2024", MIDNIGHT),
        (b"1 January 2024", MIDNIGHT),
        (b"01-Jan-2024", MIDNIGHT),
        (b"1 Jan 2024 at noon", MIDNIGHT),
        (b"1 Jan 2024 \0", MIDNIGHT),
    ],
)
def test_dates(value: bytes, seconds: int) -> None:
    assert sent_date(value) == SentDate(seconds, NEW_YEAR)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b",",
        b"yesterday",
        b"31 Feb 2024 10:00:00 +0000",
        b"0 Jan 2024 10:00:00 +0000",
        b"1 Foo 2024 10:00:00 +0000",
        b"1 Foo 2024",
        b"31 Feb 2024",
        b"1 Jan 99999 10:00:00 +0000",
        b"1 Jan 20245",
        b"1 Jan 99999999999999999999 10:00:00 +0000",
        b"-1 Jan 2024 10:00:00 +0000",
        b"10:00:00 +0000",
        b"\0\xff\xfe",
        b"((((((1 Jan 2024",
        b"x" * 100_000,
        b" " * 100_000 + b"1 Jan 2024 10:00:00 +0000",
    ],
)
def test_no_dates(value: bytes) -> None:
    assert sent_date(value) is None


def test_before_the_epoch() -> None:
    assert sent_date(b"31 Dec 1969 23:59:59 +0000") == SentDate(-1, -1)


@given(
    st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31)),
    st.integers(-23 * 60, 23 * 60),
)
def test_all_dates(moment: datetime.datetime, minutes: int) -> None:
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    month = calendar.month_abbr[moment.month]
    text = f"{moment.day} {month} {moment.year} {moment:%H:%M:%S} {zone}"
    day = moment.toordinal() - datetime.date(1970, 1, 1).toordinal()
    seconds = calendar.timegm(moment.timetuple()) - 60 * minutes
    assert sent_date(text.encode()) == SentDate(seconds, day)


_PIECES = [
    b"Mon,", b"1", b"31", b"Feb", b"Jan", b"2024", b"10:00", b"::", b"+0200", b"-", b"(", b")",
    b".", b"+", b"EST", b"99999", b"\0", b"\xff", b"GMT",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES)).map(b" ".join) | st.binary())
def test_anything_is_read(value: bytes) -> None:
    sent = sent_date(value)
    assert sent is None or abs(sent.seconds - sent.day * DAY) <= 2 * DAY
