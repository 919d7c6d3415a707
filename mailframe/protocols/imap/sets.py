"""Sets of message numbers and uids (RFC 9051 section 9, sequence-set): read, joined, written.

All of it is linear in the number of elements (normalising sorts), never in the numbers: a
range stays two numbers however many messages it spans.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from mailframe.protocols.imap.commands import MessageSet

Ranges = tuple[tuple[int, int], ...]
"""Inclusive, ascending, and not touching one another."""

_LAST = 2**32 - 1


def parse(octets: bytes) -> MessageSet:
    """Numbers, ``:``, ``,`` and ``*``. Raises ValueError with a text for the client."""
    return MessageSet(tuple([_range(part) for part in octets.split(b",")]))


def _range(part: bytes) -> tuple[int | None, int | None]:
    if part.isdigit():
        number = _number(part)
        return number, number
    first, colon, last = part.partition(b":")
    if not colon:
        return _number(first), _number(first)
    return _number(first), _number(last)


def _number(digits: bytes) -> int | None:
    if digits == b"*":
        return None
    if not digits.isdigit() or len(digits) > 20:
        raise ValueError("Not a message set")
    number = int(digits)
    if not 0 < number <= _LAST:
        raise ValueError("Number out of range in a message set")
    return number


def fixed_ranges(messages: MessageSet) -> Ranges | None:
    """The same numbers, normalised; None if ``*`` or ``$`` stands among them."""
    pairs = []
    for first, last in messages.ranges:
        if first is None or last is None:
            return None
        pairs.append((first, last) if first <= last else (last, first))
    return None if messages.saved else normalised(pairs)


def resolved(messages: MessageSet, last: int) -> Ranges:
    """With ``last`` for ``*`` (RFC 9051 section 9: ``3:*`` of two messages is 2:3). The set
    must not be ``$``."""
    pairs = []
    for first, end in messages.ranges:
        low = last if first is None else first
        high = last if end is None else end
        pairs.append((low, high) if low <= high else (high, low))
    return normalised(pairs)


def normalised(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Of ranges in any order, each with its lower number first."""
    joined: list[tuple[int, int]] = []
    low, high = 0, -1
    for first, last in sorted(pairs):
        if first <= high + 1 and high >= 0:
            high = max(high, last)
            continue
        if high >= 0:
            joined.append((low, high))
        low, high = first, last
    if high >= 0:
        joined.append((low, high))
    return tuple(joined)


def ranges_of(uids: Iterable[int]) -> Ranges:
    """Of numbers in ascending order."""
    return tuple(_runs(uids))


def picked(uids: Sequence[int], ranges: Ranges) -> list[int]:
    """Those of the ascending ``uids`` that are within the ranges."""
    found: list[int] = []
    at = 0
    for first, last in ranges:
        at = bisect_left(uids, first, at)
        end = bisect_right(uids, last, at)
        found.extend(uids[at:end])
        at = end
    return found


def count(ranges: Ranges) -> int:
    """How many numbers."""
    return sum(last - first + 1 for first, last in ranges)


def format_uids(uids: Iterable[int]) -> bytes:
    """``1:3,5``. Numbers that do not ascend stay in their order, as a sorted result needs it
    (RFC 5267 section 3.1); an empty set, which the grammar cannot write, is empty."""
    return format_ranges(_runs(uids))


def format_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    return b",".join(
        [b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in ranges]
    )


def _runs(uids: Iterable[int]) -> list[tuple[int, int]]:
    """Every run of numbers that follow one another."""
    runs = []
    first = last = -1
    for uid in uids:
        if uid == last + 1 and last >= 0:
            last = uid
            continue
        if last >= 0:
            runs.append((first, last))
        first = last = uid
    if last >= 0:
        runs.append((first, last))
    return runs
