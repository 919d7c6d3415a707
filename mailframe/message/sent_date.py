"""The Date field as SEARCH and SORT take it (RFC 5256 section 2.2)."""

from __future__ import annotations

import datetime
import email.utils
from typing import NamedTuple

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DAY = 86_400
_MAX_VALUE = 200  # longer ones are no dates


class SentDate(NamedTuple):
    seconds: int
    """Since the epoch, in UTC."""
    day: int
    """Days since 1970, as written, the zone disregarded."""


def sent_date(value: bytes) -> SentDate | None:
    """None where it is no date. A time that is none is midnight, a zone that is none UTC."""
    try:
        parsed = email.utils.parsedate_tz(value[:_MAX_VALUE].decode("latin-1"))
        if parsed is None:
            return None
        day = datetime.date(*parsed[:3]).toordinal() - _EPOCH
    except (ValueError, TypeError, IndexError, OverflowError):
        # the library trips over some dates that are none
        return None
    hour, minute, second = parsed[3:6]
    is_time = 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second <= 60
    time = hour * 3600 + minute * 60 + second if is_time else 0
    zone = parsed[9] or 0
    return SentDate(day * _DAY + time - (zone if abs(zone) < _DAY else 0), day)
