"""SEARCH over an account's index.

What is found is exactly what a look at every message would find, text by text
(``message.searchable`` says what the texts are): substrings of folded UTF-8, which SQLite
compares without holding the interpreter. There is no index of words or trigrams: it could not
tell substrings exactly, and looking at 100 MB takes less time than its upkeep would.

The empty text is in every body and in every field that is there; so is a text that folds to
nothing. A message without a Date is sent before, on and since no day. Of a message that
cannot be read nothing but flags, sizes and dates is known: no text but the empty one is in it.

A search runs beside the account's commits, and ends early when nobody waits for it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError

from mailframe.core.search import And, SearchKey
from mailframe.mailbox.index.conditions import Condition, needs_contents, uids_within
from mailframe.mailbox.index.handle import AccountIndex
from mailframe.mailbox.index.reading import ContentReader
from mailframe.mailbox.maildir import Maildir

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SearchedFolder:
    """Where to search; made anew for each search, since a rebuilt index has other rows."""

    index: AccountIndex
    folder: int
    """Its row."""
    maildir: Maildir
    reader: ContentReader


async def search(folder: SearchedFolder, key: SearchKey) -> list[int]:
    """uids, ascending. Reads first what was not read yet, where that matters."""
    if needs_contents(key):
        await read_first(folder, key)
    return await cancellable(
        folder.index, lambda connection: find(connection, folder.folder, key, condition_of(key))
    )


async def read_first(folder: SearchedFolder, key: SearchKey) -> None:
    await folder.reader.ensure_words(folder.index, folder.folder, folder.maildir, uids_within(key))


def find(
    connection: sqlite3.Connection, folder: int, key: SearchKey, condition: Condition
) -> list[int]:
    """The job: uids, ascending."""
    condition.prepare(connection)
    rows = connection.execute(
        "SELECT m.uid FROM message AS m WHERE m.folder = ? AND m.uid BETWEEN ? AND ?"
        f" AND {condition.sql} ORDER BY m.uid",
        (folder, *uids_within(key), *condition.parameters),
    )
    return [uid for (uid,) in rows]


def condition_of(key: SearchKey) -> Condition:
    """On a worker, as all of a job: of ten thousand keys it takes a while. What a client says
    twice is looked for once. Raises FolderRefused (LIMIT)."""
    return Condition(And(tuple(dict.fromkeys(key.keys))) if isinstance(key, And) else key)


async def cancellable(index: AccountIndex, job: Callable[[sqlite3.Connection], T]) -> T:
    """The job beside the account's commits; cancelling the Deferred of the coroutine that
    awaits this stops it."""
    query = _Query(job)
    try:
        return await index.read(query)
    except CancelledError:
        query.stop()
        raise


class _Query(Generic[T]):
    """A job that can be stopped from another thread."""

    def __init__(self, job: Callable[[sqlite3.Connection], T]) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._stopped = False

    def __call__(self, connection: sqlite3.Connection) -> T:
        with self._lock:
            if self._stopped:
                raise CancelledError
            self._connection = connection
        try:
            return self._job(connection)
        finally:
            with self._lock:
                self._connection = None

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()
