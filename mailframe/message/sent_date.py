"""The Date field as SEARCH and SORT take it (RFC 5256 section 2.2)."""

from __future__ import annotations

import datetime
import email.utils
import re
from typing import NamedTuple

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DAY = 86_400
_MAX_VALUE = 200  # longer ones are no dates
_COMMENT = re.compile(r"\([^()]*\)")
# A date without a time that could be read, and the zone behind it.
_DATE_ALONE = re.compile(
    r"(?:[A-Za-z]+,?\s*)?([0-9]{1,2}[ -]+[A-Za-z]{3,9}[ -]+[0-9]{4})(?![0-9])"
    r"(?:.*\s([+-][0-9]{4})\s*\Z)?",
    re.DOTALL,
)


class SentDate(NamedTuple):
    seconds: int
    """Since the epoch, in UTC."""
    day: int
    """Days since 1970, as written, the zone disregarded."""


def sent_date(value: bytes) -> SentDate | None:
    """None where it is no date. A time that is none is midnight, a zone that is none UTC."""
    try:
        parsed = _parsed(_COMMENT.sub(" ", value[:_MAX_VALUE].decode("latin-1")))
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


_Parsed = tuple[int, int, int, int, int, int, int, int, int, int | None]


def _parsed(text: str) -> _Parsed | None:
    """As ``email.utils.parsedate_tz``, which wants a time that consists of numbers."""
    try:
        parsed = email.utils.parsedate_tz(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        parsed = None
    if parsed is not None:
        return parsed
    # RFC 5256 section 2.2: a time that is none is midnight
    date = _DATE_ALONE.match(text.strip())
    if date is None:
        return None
    day = " ".join(re.split("[ -]+", date[1]))
    return email.utils.parsedate_tz(f"{day} 00:00:00 {date[2] or '+0000'}")
