"""Message sets: reading, joining, writing."""

from __future__ import annotations

from array import array

import pytest

from mailframe.protocols.imap import sets
from mailframe.protocols.imap.commands import MessageSet


def test_pairs_as_written() -> None:
    assert sets.parse(b"4:2,7,9:*,*") == MessageSet(((4, 2), (7, 7), (9, None), (None, None)))


@pytest.mark.parametrize("octets", [b"", b",", b"0:1", b"1:", b"a", b"1:2:3", b"9" * 30])
def test_no_set(octets: bytes) -> None:
    with pytest.raises(ValueError, match="set"):
        sets.parse(octets)


def test_fixed_ranges() -> None:
    assert sets.fixed_ranges(sets.parse(b"9,4:2,5,12:10")) == ((2, 5), (9, 12))
    assert sets.fixed_ranges(sets.parse(b"9,4:*")) is None
    assert sets.fixed_ranges(MessageSet(saved=True)) is None


def test_star_is_the_last_message() -> None:
    assert sets.resolved(sets.parse(b"5:*,1"), 3) == ((1, 1), (3, 5))
    assert sets.resolved(sets.parse(b"*"), 9) == ((9, 9),)


def test_picked() -> None:
    uids = array("L", [1, 3, 5, 7, 9])
    assert sets.picked(uids, ((2, 5), (9, 2**32 - 1))) == [3, 5, 9]
    assert sets.picked(uids, ()) == []
    assert sets.count(((2, 5), (9, 9))) == 5


@pytest.mark.parametrize(
    ("uids", "octets"),
    [
        ([], b""),
        ([1], b"1"),
        ([1, 2, 3, 5], b"1:3,5"),
        ([5, 4, 3, 4], b"5,4,3:4"),
        ([4294967294, 4294967295], b"4294967294:4294967295"),
    ],
)
def test_format(uids: list[int], octets: bytes) -> None:
    assert sets.format_uids(uids) == octets
