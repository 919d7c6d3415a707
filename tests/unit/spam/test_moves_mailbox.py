"""Moves in a real mailbox teach the filter, as an IMAP client makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailframe.interfaces import IFolder
from mailframe.mailbox.folders.store import FolderStore
from mailframe.runtime.workers import InlineWorkers
from mailframe.spam.moves import MoveLessons
from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed
from tests.unit.spam.spam_world import ANN, HOST, Filtering, ham, now, spam
from tests.unit.spam.test_moves import Journal


class Mailbox:
    """A server's folders and its filter, all on the calling thread."""

    def __init__(self, path: Path) -> None:
        self.filtering = Filtering(str(path / "spam.db"))
        self.house = House(path)
        self.indexed = Indexed(self.house)
        self.folders = FolderStore(
            str(path),
            self.house.disk,
            InlineWorkers(),
            live=self.indexed.live,
            quotas=self.house.store.quotas,
            clock=self.house.clock,
        )
        self.journal = Journal()
        moves = MoveLessons(
            self.filtering.filter, self.indexed.events, self.open, self.journal, hostname=HOST
        )
        moves.start()

    async def open(self, account: str, name: str) -> IFolder:
        return await self.folders.open(account).folder(name)

    def folder(self, name: str) -> Any:
        folder = now(self.open(ANN, name))
        now(folder.refresh())
        return folder

    def make(self, name: str, *uses: str) -> None:
        now(self.folders.open(ANN).create(name, uses))

    def label(self, message: bytes) -> bool | None:
        return now(self.filtering.filter.label(message, ANN))


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    made = Mailbox(tmp_path)
    yield made
    made.filtering.close()


def test_there_and_back_again(mailbox: Mailbox) -> None:
    mailbox.make("Rubbish", "\\Junk")
    mailbox.house.deliver(spam(1), "Q1/ann", prefix=b"Return-Path: <x@example.com>\r\n")
    mailbox.house.clock.advance(1)
    mailbox.house.deliver(ham(2), "Q2/ann", prefix=b"Return-Path: <x@example.com>\r\n")
    inbox, junk = mailbox.folder("INBOX"), mailbox.folder("Rubbish")
    now(inbox.move([1, 2], junk))
    assert (mailbox.label(spam(1)), mailbox.label(ham(2))) == (True, True)
    now(junk.move([2], inbox))
    assert (mailbox.label(spam(1)), mailbox.label(ham(2))) == (True, False)
    assert [step[2] for step in mailbox.journal.steps] == ["spam", "spam", "ham"]


def test_a_folder_may_be_for_junk_by_its_name(mailbox: Mailbox) -> None:
    mailbox.make("Junk")
    mailbox.house.deliver(spam(1))
    now(mailbox.folder("INBOX").move([1], mailbox.folder("Junk")))
    assert mailbox.label(spam(1)) is True


def test_to_the_trash_is_no_judgement(mailbox: Mailbox) -> None:
    mailbox.make("Junk", "\\Junk")
    mailbox.make("Trash", "\\Trash")
    mailbox.make("Work")
    mailbox.house.deliver(spam(1), folder="Junk")
    mailbox.house.deliver(ham(2))
    now(mailbox.folder("Junk").move([1], mailbox.folder("Trash")))
    now(mailbox.folder("INBOX").move([1], mailbox.folder("Work")))
    assert (mailbox.label(spam(1)), mailbox.label(ham(2))) == (None, None)


def test_clients_that_copy_and_remove_teach_too(mailbox: Mailbox) -> None:
    mailbox.make("Junk", "\\Junk")
    mailbox.house.deliver(spam(1))
    inbox = mailbox.folder("INBOX")
    now(inbox.copy([1], mailbox.folder("Junk")))
    now(inbox.expunge([1]))
    assert mailbox.label(spam(1)) is True
