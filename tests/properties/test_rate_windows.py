"""Sliding windows against a list of everything that ever happened."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.policy.rate_windows import STEPS, Windows, bounded

SECONDS = 600.0
STEP = SECONDS / STEPS

MOVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(0, 400), st.integers(0, 5)), max_size=60
)


@given(MOVES, st.floats(0, 2e9))
def test_never_more_than_the_window_never_less_than_a_step_short(
    moves: list[tuple[str, float, int]], start: float
) -> None:
    windows = Windows(SECONDS)
    happened: list[tuple[str, float, int]] = []
    now = start
    for who, later, count in moves:
        now += later
        if count:
            windows.add(who, now, count)
            happened.append((who, now, count))
        for each in "abc":
            ages = [(now - when, n) for name, when, n in happened if name == each]
            total = windows.total(each, now)
            assert total <= sum(n for age, n in ages if age < SECONDS + 1e-3)
            assert total >= sum(n for age, n in ages if age < SECONDS - STEP - 1e-3)
    assert windows._steps == sum(len(w.counts) for w in windows._windows.values())


@settings(deadline=None)
@given(MOVES, st.lists(st.floats(-1e6, 1e6), max_size=10))
def test_clock_steps(moves: list[tuple[str, float, int]], jumps: list[float]) -> None:
    """Back: what was counted still counts, for one window at most."""
    windows = Windows(SECONDS)
    now = 1e9
    for who, later, count in moves:
        now += later
        windows.add(who, now, count + 1)
    for jump in jumps:
        before = {who: windows.total(who, now) for who in "abc"}
        now += jump
        for who in "abc":
            total = windows.total(who, now)
            assert total == before[who] if jump <= 0 else total <= before[who]
    now += SECONDS
    assert [windows.total(who, now) for who in "abc"] == [0, 0, 0]
    assert windows._steps == sum(len(w.counts) for w in windows._windows.values())


@given(MOVES, st.integers(1, 5))
def test_kept_and_loaded_is_the_same(moves: list[tuple[str, float, int]], at_once: int) -> None:
    windows, kept = Windows(SECONDS), {}
    now = 1e9
    for who, later, count in moves:
        now += later
        windows.add(who, now, count + 1)
        for name, counts in windows.take_changed(at_once):
            kept[name] = counts
    while windows.has_changed:
        kept |= dict(windows.take_changed(at_once))
    again = Windows(SECONDS)
    for name in sorted(kept, key=lambda name: kept[name][-1][0] if kept[name] else 0):
        again.load(name, kept[name], now)
    assert [again.total(who, now) for who in "abc"] == [windows.total(who, now) for who in "abc"]


@given(MOVES)
def test_what_is_taken_back_was_never_there(moves: list[tuple[str, float, int]]) -> None:
    windows, without = Windows(SECONDS), Windows(SECONDS)
    now = 1e9
    for who, later, count in moves:
        now += later
        if count % 2:
            windows.add(who, now, count)
            windows.add(who, now, -count)
        elif count:
            windows.add(who, now, count)
            without.add(who, now, count)
        assert windows.total(who, now) == without.total(who, now)


def test_memory_is_bounded() -> None:
    windows = Windows(SECONDS, most=100, most_steps=1000)
    now = 1e9
    for number in range(20_000):
        now += 0.01
        windows.add(f"host{number}", now)
    assert len(windows) == 100
    for number in range(20_000):
        now += 0.2
        windows.add(f"host{number % 90}", now)
        assert windows._steps <= 1000
    windows.take_changed(10**9)
    # what is over goes by itself
    windows.add("last", now + 2 * SECONDS)
    assert len(windows) == 1
    assert len(windows.take_changed(10**9)) > 50


@given(st.text(st.characters(), max_size=1000))
def test_any_name(name: str) -> None:
    short = bounded(name)
    assert len(short) <= 320 * 10
    assert short.encode().decode() == short
    assert bounded(short) == short or len(short) > 320
