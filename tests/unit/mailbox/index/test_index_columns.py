"""Rows that hold what was never written there: the index is begun anew, and no message is lost."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pytest

from mailframe.core.facts import Fact
from mailframe.errors import MessageGone, TransientFailure
from tests.unit.mailbox.index.indexed import Indexed, append, now

CONTENT = b"From: a@example.org\r\nSubject: s\r\n\r\ntext\r\n"
ALL = Fact.ENVELOPE | Fact.BODY | Fact.STRUCTURE | Fact.PREVIEW | Fact.IDS | Fact.PARTS


def spoiled(indexed: Indexed, change: str, value: object) -> None:
    """A server later, with that change in its index."""
    folder = indexed.folder()
    append(folder, CONTENT, CONTENT.replace(b"text", b"more"), flags=["\\Seen"])
    now(folder.facts([1, 2], ALL))
    now(folder.headers([1, 2]))
    indexed.live.indexes.close()
    connection = sqlite3.connect(indexed.house.maildir.parent / "index.db", isolation_level=None)
    assert connection.execute(change, (value,)).rowcount == 1
    connection.close()
    indexed.restart()


def look(indexed: Indexed) -> list[bytes]:
    """All that can be asked of the folder; the octets of its messages."""
    folder = indexed.folder()
    uids = list(folder.messages)
    facts: dict[int, Any] = now(folder.facts(uids, ALL))
    assert all(b'"a"' in each.envelope for each in facts.values())
    assert len(now(folder.headers(uids))) == len(facts) == len(uids)
    assert all(state.received > 0 for state in folder.messages.values())
    return sorted(now(folder.contents(uids)).values())


@pytest.mark.parametrize("value", [b"\xff\x00", "x"], ids=["blob", "text"])
@pytest.mark.parametrize("column", ["modseq", "size", "octets", "received", "saved", "content"])
def test_a_message_with_no_number(indexed: Indexed, column: str, value: object) -> None:
    spoiled(indexed, f"UPDATE message SET {column} = ? WHERE uid = 1", value)
    with contextlib.suppress(TransientFailure):  # who looks first may be told to come again
        look(indexed)
    assert len(look(indexed)) == 2


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("message", "flags", b"\x00"),
        ("content", "envelope", "x"),
        ("content", "body", -1),
        ("content", "structure", 1 << 62),
        ("content", "parts", "x"),
        ("content", "preview", b"x"),
        ("content", "email_id", b"x"),
        ("header", "octets", "x"),
        ("folder", "modseq", "x"),
        ("folder", "uid_next", b"x"),
    ],
)
def test_a_column_of_another_type(indexed: Indexed, table: str, column: str, value: object) -> None:
    key = {"message": "uid", "header": "content"}.get(table, "id")
    spoiled(indexed, f"UPDATE {table} SET {column} = ? WHERE {key} = 1", value)
    with contextlib.suppress(TransientFailure):  # who looks first may be told to come again
        look(indexed)
    assert len(look(indexed)) == 2


def test_what_was_read_is_in_no_row(indexed: Indexed) -> None:
    spoiled(indexed, "UPDATE message SET content = ? WHERE uid = 1", 77)
    with pytest.raises(TransientFailure, match="none"):
        look(indexed)
    assert len(look(indexed)) == 2


def test_a_file_name_that_is_no_file_is_looked_for_once_it_is_missed(indexed: Indexed) -> None:
    """Though the directories are as they were when they were last read."""
    spoiled(indexed, "UPDATE message SET base = ? WHERE uid = 1", "x")
    indexed.house.clock.advance(100)
    assert list(now(indexed.folder().contents([1, 2]))) == [2]
    indexed.restart()
    assert list(indexed.folder().messages) == [2, 3]
    assert len(look(indexed)) == 2


def test_a_size_that_cannot_be_is_counted_anew(indexed: Indexed) -> None:
    spoiled(indexed, "UPDATE message SET size = ? WHERE uid = 1", 1 << 62)
    assert now(indexed.folder().open(1)).size == len(CONTENT)


def test_a_mistake_of_ours_costs_no_index(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, CONTENT)

    def mistaken(connection: sqlite3.Connection) -> None:
        raise KeyError("x")

    for ask in (folder.live.index.run, folder.live.index.read):
        with pytest.raises(KeyError):
            now(_awaited(ask(mistaken)))
    assert indexed.folder().uid_validity == folder.uid_validity


async def _awaited(deferred: Any) -> None:
    await deferred


def test_what_was_expunged_is_not_missed(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens all the time, and reading the directories is dear."""
    folder = indexed.folder()
    append(folder, CONTENT, CONTENT)
    now(folder.expunge([1]))
    monkeypatch.setattr(type(folder.live), "note_missing", lambda live: pytest.fail("missed"))
    assert list(now(folder.contents([1, 2]))) == [2]


def test_a_message_that_is_gone_is_no_damage(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, CONTENT)
    for path in indexed.house.maildir.glob("*/*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(MessageGone):
        now(folder.open(1))
    assert indexed.folder().uid_validity == folder.uid_validity
