from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.spam.rehearsal import MOST_OCTETS, Rehearsal


def taught(kinds: str) -> tuple[Rehearsal, list[float], list[tuple[int, ...]]]:
    """``h`` and ``s``; each message has one feature, its number."""
    made = Rehearsal()
    shares, again = [], []
    for number, kind in enumerate(kinds):
        shares.append(made.begin(kind == "s"))
        again.append(tuple(made.end((number,))))
    return made, shares, again


def test_mixed_mail_is_learnt_as_it_comes() -> None:
    _, shares, again = taught("hshhshsshhhs")
    assert set(shares) == {1.0}
    assert set(again) == {()}


def test_a_heap_corrects_less_and_less_and_the_other_kind_comes_again() -> None:
    _, shares, again = taught("hh" + "s" * 10 + "h")
    assert shares[:6] == [1.0] * 6
    assert shares[6:12] == sorted(shares[6:12], reverse=True)
    assert shares[11] < 0.5
    assert shares[12] == 1.0
    assert again[2:5] == [()] * 3
    assert set(again[5:12]) == {(0,), (1,)}


def test_of_one_kind_alone_nothing_comes_again() -> None:
    _, _, again = taught("h" * 50)
    assert set(again) == {()}


def test_what_is_kept_is_the_latest_and_bounded() -> None:
    made, _, again = taught("h" * 500 + "s" * 200)
    assert min(again[600:])[0] == 500 - 64
    long = Rehearsal()
    for number in range(300):
        long.begin(number % 2 == 0)
        long.end(range(4_000))
    assert made.octets < long.octets < MOST_OCTETS + 2 * 64 * 80
    assert len(long.pack()) <= MOST_OCTETS
    long.begin(True)
    long.end(())


@given(st.text("hs", max_size=300), st.text("hs", max_size=40))
def test_one_that_was_kept_goes_on_as_before(before: str, after: str) -> None:
    made, _, _ = taught(before)
    other = Rehearsal.unpack(made.pack())
    for kind in after:
        assert made.begin(kind == "s") == other.begin(kind == "s")
        assert tuple(made.end((7, 8))) == tuple(other.end((7, 8)))
    assert made.pack() == other.pack()


@given(st.binary(max_size=300), st.integers(0, 2_000))
def test_what_is_damaged_is_refused(junk: bytes, at: int) -> None:
    octets = taught("hhsshhss" * 20)[0].pack()
    for damaged in (junk, octets[:at] + junk if at < len(octets) else octets + b"x" + junk):
        if damaged != octets:
            # a number that was changed may make another one of it, and nothing worse
            with contextlib.suppress(ValueError):
                Rehearsal.unpack(damaged)
    with pytest.raises(ValueError, match="cut off"):
        Rehearsal.unpack(octets[:-1])
