"""Rows of ``content`` and what hangs on them: which are missing, and writing what was read.

A message is read in two steps, since lists of messages are wanted at once and searching is
not: facts and header section, and then (``searchable``) what SEARCH and SORT look at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from mailframe.core.facts import MessageFacts
from mailframe.mailbox.index.place import as_name, as_stored
from mailframe.message.parts import parts_to_bytes
from mailframe.message.searchable import Searchable

_BATCH = 256
_BATCH_OCTETS = 4 << 20


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that is to be read, for its facts or for its words."""

    uid: int
    base: str
    place: str
    octets: int
    """On disk."""
    is_verbatim: bool
    """The file is in wire format: what it has on disk is what is announced."""
    content: int = 0
    """Its row, where only the words are missing; and of that row:"""
    email_id: str = ""
    parts: bytes = b""

    @property
    def at(self) -> int:
        """By what batches of these follow one another."""
        return self.content or self.uid

    @property
    def file_name(self) -> str:
        directory, _, info = self.place.partition("/")
        return f"{directory}/{self.base}{info}"


@dataclass(frozen=True, slots=True)
class ReadFacts:
    uid: int
    base: str
    facts: MessageFacts
    header: bytes | None
    searchable: Searchable | None
    """None: that is left for later."""


@dataclass(frozen=True, slots=True)
class ReadWords:
    content: int
    email_id: str
    """With it a row is the same that it was: numbers are used again."""
    searchable: Searchable


def without_facts(
    connection: sqlite3.Connection,
    folder: int,
    after: int,
    last: int,
    wanted: frozenset[int] | None,
) -> list[Unread]:
    """The next batch behind uid ``after``: some small messages, or one large one. ``wanted``
    None: all."""
    rows = connection.execute(
        "SELECT uid, base, place, octets, size FROM message"
        " WHERE folder = ? AND uid > ? AND uid <= ? AND content IS NULL ORDER BY uid",
        (folder, after, last),
    )
    return _batch(
        Unread(uid, as_name(base), as_name(place), octets, octets == size)
        for uid, base, place, octets, size in rows
        if wanted is None or uid in wanted
    )


def without_words(
    connection: sqlite3.Connection, folder: int, after: int, between: tuple[int, int]
) -> list[Unread]:
    """The next batch behind row ``after`` of ``content``."""
    rows = connection.execute(
        # CROSS: in this order, or every message of the folder would be looked at
        "SELECT m.uid, m.base, m.place, m.octets, m.size, c.id, c.email_id, c.parts"
        " FROM content AS c CROSS JOIN message AS m ON m.content = c.id"
        " WHERE c.searchable = 0 AND c.id > ? AND m.folder = ? AND m.uid BETWEEN ? AND ?"
        " ORDER BY c.id",
        (after, folder, *between),
    )
    return _batch(
        Unread(uid, as_name(base), as_name(place), octets, octets == size, *content)
        for uid, base, place, octets, size, *content in rows
    )


def is_full(found: list[Unread]) -> bool:
    """Whether there may be more than this batch."""
    return len(found) == _BATCH or sum(message.octets for message in found) > _BATCH_OCTETS // 2


def _batch(messages: Iterable[Unread]) -> list[Unread]:
    found: list[Unread] = []
    total = 0
    for message in messages:
        total += message.octets
        if found and (total > _BATCH_OCTETS or len(found) >= _BATCH):
            break
        found.append(message)
    return found


def write_facts(connection: sqlite3.Connection, folder: int, read: Iterable[ReadFacts]) -> None:
    """What was read. Equal messages share one row of content."""
    connection.executemany(
        "UPDATE message SET content = ?"
        " WHERE folder = ? AND uid = ? AND base = ? AND content IS NULL",
        [
            (_content(connection, message), folder, message.uid, as_stored(message.base))
            for message in read
        ],
    )


def write_words(connection: sqlite3.Connection, read: Iterable[ReadWords]) -> None:
    for words in read:
        changed = connection.execute(
            "UPDATE content SET searchable = 1 WHERE id = ? AND email_id = ? AND searchable = 0",
            (words.content, words.email_id),
        )
        if changed.rowcount:
            _insert_words(connection, words.content, words.searchable)


def _content(connection: sqlite3.Connection, message: ReadFacts) -> int:
    facts = message.facts
    row = connection.execute(
        "SELECT id FROM content WHERE email_id = ?", (facts.email_id,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    parts = b"" if facts.parts is None else parts_to_bytes(facts.parts)
    cursor = connection.execute(
        "INSERT INTO content (email_id, thread_id, envelope, body, structure, parts, preview,"
        " searchable) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            facts.email_id,
            facts.thread_id,
            facts.envelope,
            facts.body,
            facts.structure,
            parts,
            facts.preview,
            message.searchable is not None,
        ),
    )
    content = cursor.lastrowid
    assert content is not None
    if message.header is not None:
        connection.execute(
            "INSERT INTO header (content, octets) VALUES (?, ?)", (content, message.header)
        )
    if message.searchable is not None:
        _insert_words(connection, content, message.searchable)
    return content


def _insert_words(connection: sqlite3.Connection, content: int, searchable: Searchable) -> None:
    connection.execute(
        "INSERT INTO heading (content, sent, sent_day, from_, to_, cc, bcc, subject, base_subject,"
        " from_key, to_key, cc_key, display_from, display_to, is_reply, message_id,"
        " reference_ids) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            content,
            searchable.sent,
            searchable.sent_day,
            searchable.from_,
            searchable.to,
            searchable.cc,
            searchable.bcc,
            searchable.subject,
            searchable.base_subject,
            searchable.from_key,
            searchable.to_key,
            searchable.cc_key,
            searchable.display_from,
            searchable.display_to,
            searchable.is_reply,
            searchable.message_id,
            searchable.reference_ids,
        ),
    )
    connection.execute(
        "INSERT INTO words (content, headers, body) VALUES (?, ?, ?)",
        (content, searchable.headers, searchable.body),
    )
