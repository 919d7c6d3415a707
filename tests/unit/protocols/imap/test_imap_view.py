"""What a client knows, and what it is told when."""

from __future__ import annotations

import time

import pytest

from mailframe.core.folders import FolderChange
from mailframe.protocols.imap.commands import MessageSet
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.protocols.imap.view import SelectedView


def sets(*ranges: tuple[int | None, int | None]) -> MessageSet:
    return MessageSet(ranges)


def numbers(view: SelectedView, *ranges: tuple[int | None, int | None]) -> list[int]:
    return list(view.resolve(sets(*ranges), uid=False))


def uids(view: SelectedView, *ranges: tuple[int | None, int | None]) -> list[int]:
    return list(view.resolve(sets(*ranges), uid=True))


@pytest.fixture
def view() -> SelectedView:
    return SelectedView([2, 3, 5, 9])


def test_numbers_and_uids(view: SelectedView) -> None:
    assert len(view) == 4
    assert [view.number(uid) for uid in (2, 3, 5, 9)] == [1, 2, 3, 4]
    assert [view.number(uid) for uid in (0, 1, 4, 10, 2**32 - 1)] == [0] * 5
    assert 5 in view
    assert 4 not in view
    assert "5" not in view


def test_message_sets(view: SelectedView) -> None:
    assert numbers(view, (1, 2)) == [2, 3]
    assert numbers(view, (3, 2), (4, 4), (2, 2)) == [3, 5, 9]
    assert numbers(view, (None, None)) == [9]
    assert numbers(view, (None, 3)) == [5, 9]
    assert uids(view, (3, 8)) == [3, 5]
    assert uids(view, (4, 4)) == []
    assert uids(view, (None, None)) == [9]
    assert uids(view, (1, None), (3, 3)) == [2, 3, 5, 9]


def test_a_star_is_the_last_one_whatever_stands_before_it(view: SelectedView) -> None:
    # RFC 9051 section 9, seq-range: 700:* has the last message in it
    assert uids(view, (700, None)) == [9]


@pytest.mark.parametrize("wrong", [(5, 5), (1, 5), (2**32 - 1, None)])
def test_a_number_that_is_not_there(view: SelectedView, wrong: tuple[int, int | None]) -> None:
    with pytest.raises(BadCommand):
        numbers(view, wrong)


def test_an_empty_folder_has_no_last_message() -> None:
    view = SelectedView(())
    assert uids(view, (1, None)) == []
    for wrong in ((None, None), (1, None), (1, 1)):
        with pytest.raises(BadCommand):
            numbers(view, wrong)


def test_what_was_saved(view: SelectedView) -> None:
    saved = MessageSet(saved=True)
    assert list(view.resolve(saved, uid=True, saved=(3, 4, 9))) == [3, 9]
    assert list(view.resolve(saved, uid=False, saved=())) == []


def test_nothing_is_new_at_first(view: SelectedView) -> None:
    assert not view.has_news()
    news = view.drain(expunges=True)
    assert (news.exists, list(news.expunged), list(news.changed)) == (None, [], [])


def test_arrivals_are_known_when_they_were_told(view: SelectedView) -> None:
    view.note(FolderChange(arrived=(12, 14)))
    assert 12 not in view
    news = view.drain(expunges=False)
    assert (news.exists, list(news.arrived)) == (6, [12, 14])
    assert view.number(14) == 6


def test_expunges_wait_and_everything_else_goes_on(view: SelectedView) -> None:
    view.note(FolderChange(vanished=(3, 5)))
    view.note(FolderChange(arrived=(10,), changed=(2, 9)))
    news = view.drain(expunges=False)
    assert (news.exists, list(news.changed), list(news.expunged)) == (5, [2, 9], [])
    assert view.number(3) == 2
    assert view.has_news()
    news = view.drain(expunges=True)
    assert (list(news.expunged), list(news.vanished), news.exists) == ([3, 2], [3, 5], None)
    assert list(view.uids) == [2, 9, 10]
    assert not view.has_news()


def test_what_came_and_went_untold_is_never_told(view: SelectedView) -> None:
    view.note(FolderChange(arrived=(10, 11)))
    view.note(FolderChange(vanished=(10,)))
    news = view.drain(expunges=True)
    assert (news.exists, list(news.arrived), list(news.vanished)) == (5, [11], [])
    view.note(FolderChange(arrived=(12,)))
    view.note(FolderChange(vanished=(12,)))
    assert view.drain(expunges=True).exists is None
    assert not view.has_news()


def test_a_change_is_told_once_and_not_of_the_gone_or_the_new(view: SelectedView) -> None:
    view.note(FolderChange(changed=(5, 9)))
    view.note(FolderChange(changed=(2, 5)))
    view.note(FolderChange(arrived=(10,), vanished=(9,)))
    view.note(FolderChange(changed=(10,)))
    assert list(view.drain(expunges=False).changed) == [2, 5]
    assert list(view.drain(expunges=True).changed) == []


def test_our_own_store_is_no_news(view: SelectedView) -> None:
    view.expect((2, 3, 5))
    view.note(FolderChange(changed=(2, 3)))
    view.settle((2, 3))
    assert not view.has_news()
    view.note(FolderChange(changed=(2,)))
    assert list(view.drain(expunges=True).changed) == [2]


def test_a_change_of_others_meanwhile_is_news(view: SelectedView) -> None:
    view.note(FolderChange(changed=(9,)))  # before
    view.expect((2, 3, 9))
    view.note(FolderChange(changed=(2, 3, 5)))  # somebody else: 3 needs nothing more from us
    view.note(FolderChange(changed=(2, 9)))  # ours
    view.settle((2, 9))
    assert list(view.drain(expunges=True).changed) == [2, 3, 5, 9]


def test_a_store_that_failed_hides_nothing(view: SelectedView) -> None:
    view.expect((2, 3))
    view.note(FolderChange(changed=(2,)))
    view.settle()
    assert list(view.drain(expunges=True).changed) == [2]


def test_what_is_told_twice_is_told_once(view: SelectedView) -> None:
    view.note(FolderChange(arrived=(10,), vanished=(3,)))
    view.note(FolderChange(arrived=(10, 4), vanished=(3, 77)))
    news = view.drain(expunges=True)
    assert (list(news.expunged), news.exists, list(news.arrived)) == ([2], 4, [10])


def test_memory_is_bounded_by_the_folder() -> None:
    view = SelectedView(range(1, 101))
    for turn in range(2000):
        view.note(FolderChange(changed=tuple(range(1, 101))))
        view.note(FolderChange(arrived=(1000 + turn,)))
        view.note(FolderChange(vanished=(1000 + turn,)))
    waiting = len(view._changed) + len(view._arrived) + len(view._vanished)
    assert waiting < 4000
    news = view.drain(expunges=True)
    assert (len(news.changed), news.exists, list(news.vanished)) == (100, None, [])


def test_a_large_folder_is_cheap() -> None:
    count = 100_000
    view = SelectedView(range(1, count + 1))
    began = time.process_time()
    assert view._uids.itemsize == 4
    view.note(FolderChange(vanished=range(1, count, 2)))
    news = view.drain(expunges=True)
    assert len(news.expunged) == count // 2 == len(view)
    every_other = tuple((uid, uid) for uid in range(2, count, 4))
    assert len(view.resolve(sets(*every_other), uid=True)) == count // 4
    # A quadratic removal takes a minute.
    assert time.process_time() - began < 2


class TestSpans:
    """What SEARCH names, as ranges of uids."""

    @pytest.mark.parametrize(
        ("ranges", "uid", "expected"),
        [
            (((1, 2),), False, [(3, 5)]),
            (((2, 99),), False, [(5, 20)]),
            (((5, 99),), False, []),
            (((None, 3),), False, [(8, 20)]),
            (((1, 1), (4, 4), (2, 2)), False, [(3, 5), (20, 20)]),
            (((4, 9),), True, [(5, 8)]),
            (((30, None),), True, [(20, 20)]),
            (((21, 99),), True, []),
            (((3, 5), (8, 8)), True, [(3, 8)]),
        ],
    )
    def test_spans(
        self,
        ranges: tuple[tuple[int | None, int | None], ...],
        uid: bool,
        expected: list[tuple[int, int]],
    ) -> None:
        view = SelectedView([3, 5, 8, 20])
        assert view.spans(MessageSet(ranges), uid=uid) == expected

    @pytest.mark.parametrize("uid", [False, True])
    def test_nothing_is_there(self, uid: bool) -> None:
        assert SelectedView([]).spans(MessageSet(((1, None), (None, None))), uid=uid) == []

    def test_ten_thousand_sets_do_not_look_at_every_message(self) -> None:
        view = SelectedView(range(1, 100_001))
        began = time.process_time()
        for first in range(1, 10_001):
            assert view.spans(MessageSet(((first, None),)), uid=False) == [(first, 100_000)]
        assert time.process_time() - began < 1
