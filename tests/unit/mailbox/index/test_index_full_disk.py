"""A full disk: what is there can be read, and what is refused is refused in those words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mailframe.core import status
from mailframe.core.facts import Fact
from mailframe.errors import TransientFailure
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.mailbox.index.handle import AccountIndex
from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed, add, append, now

MESSAGE = b"Subject: hello\r\n\r\ntext\r\n"


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexedFolder:
    """Three messages that nobody has read, and no room for what would be found in them."""
    folder = Indexed(House(tmp_path)).folder()
    append(folder, MESSAGE, MESSAGE + b"2", MESSAGE + b"3")

    def refuse(self: AccountIndex) -> sqlite3.Connection:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(AccountIndex, "_writing", refuse)
    return folder


def test_messages_are_read(full: IndexedFolder) -> None:
    facts = now(full.facts([1, 2, 3], Fact.ENVELOPE))
    assert sorted(facts) == [1, 2, 3]
    assert b"hello" in facts[2].envelope
    assert now(full.headers([1, 3])) == dict.fromkeys((1, 3), b"Subject: hello\r\n\r\n")


def test_it_is_looked_at_as_it_was(full: IndexedFolder) -> None:
    full.live.place.doubt()
    now(full.refresh())
    assert sorted(full.messages) == [1, 2, 3]


def test_changes_are_refused_in_plain_words(full: IndexedFolder) -> None:
    with pytest.raises(TransientFailure) as refused:
        now(full.store([1], add("\\Seen")))
    assert refused.value.reply.status == status.SYSTEM_FULL
