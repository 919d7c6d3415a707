"""Answers that are at hand, for as long as they hold."""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.mailbox.index.answers import Answers
from tests.unit.accounts.house import now


class Folder:
    def __init__(self) -> None:
        self.modseq = 1
        self.asked = 0
        self.answers = Answers()
        self.changes_meanwhile = False

    async def ask(self) -> Sequence[int]:
        self.asked += 1
        self.modseq += self.changes_meanwhile
        return [self.asked]

    def of(self, question: str) -> Sequence[int]:
        return now(self.answers.of(question, lambda: self.modseq, self.ask))  # type: ignore[arg-type]


def test_a_change_of_the_folder_ends_them() -> None:
    folder = Folder()
    assert [folder.of("a"), folder.of("a"), folder.of("b")] == [[1], [1], [2]]
    folder.modseq += 1
    assert folder.of("a") == [3]


def test_what_changed_while_it_was_asked_is_not_kept() -> None:
    folder = Folder()
    folder.changes_meanwhile = True
    assert [folder.of("a"), folder.of("a")] == [[1], [2]]


def test_the_oldest_are_forgotten() -> None:
    folder = Folder()
    for number in range(20):
        folder.of(str(number))
    folder.of("19")
    assert folder.asked == 20
    folder.of("0")
    assert folder.asked == 21
