"""What stays is not looked at again and again, and garbage does not grow without end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from mailframe.runtime import garbage


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setattr(garbage, "_LEAST", 1_000)
    made = Clock()
    garbage.spare_what_stays(made.seconds)
    yield made
    garbage.look_at_all()
    gc.collect()


class Knot:
    """In a cycle with itself."""

    def __init__(self) -> None:
        self.self = self


def test_what_survives_a_full_search_is_set_aside() -> None:
    before = gc.get_freeze_count()
    kept = [Knot() for _ in range(500)]
    gc.collect()
    assert gc.get_freeze_count() >= before + len(kept)
    assert not any(isinstance(each, Knot) for each in gc.get_objects())


def test_what_is_new_is_found_as_ever() -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    gc.collect()
    assert gone() is None


def test_what_died_after_it_was_set_aside_is_found_after_a_doubling(clock: Clock) -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    gc.collect()
    del knot
    gc.collect()
    assert gone() is not None  # the price
    kept = [Knot() for _ in range(gc.get_freeze_count() + 5_000)]
    gc.collect()
    gc.collect()
    assert gone() is not None  # it may pass
    clock.advance(400)
    gc.collect()
    gc.collect()
    assert gone() is None
    assert len(kept) > 5_000


def test_growth_that_passes_has_nobody_wait(clock: Clock) -> None:
    stays = gc.get_freeze_count()
    for _ in range(3):
        guest = [[number] for number in range(2 * stays + 5_000)]
        gc.collect()
        del guest
        clock.advance(400)
        gc.collect()
    assert gc.get_freeze_count() >= stays - 100  # nothing was taken back from what was set aside


def test_twice_is_once() -> None:
    garbage.spare_what_stays()
    assert sum(isinstance(each, garbage._Spared) for each in gc.callbacks) == 1


def test_all_is_counted_only_when_it_may_be_too_much(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    count, counted = gc.get_freeze_count, []

    def noting() -> int:
        counted.append(count())
        return counted[-1]

    monkeypatch.setattr(gc, "get_freeze_count", noting)
    gc.collect()
    for _ in range(10):
        gc.collect()
    assert counted == []
    stays = count()
    for _ in range(10):
        passing = [[number] for number in range(stays // 4)]
        gc.collect()
        del passing
        clock.advance(400)
    assert 1 <= len(counted) <= 3
    assert count() >= stays - 100  # nothing was taken back from what was set aside
