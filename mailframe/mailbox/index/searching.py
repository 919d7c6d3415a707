"""SEARCH over an account's index.

What is found is exactly what a look at every message would find, text by text
(``message.searchable`` says what the texts are): substrings of folded UTF-8, which SQLite
compares without holding the interpreter. There is no index of words or trigrams: it could not
tell substrings exactly, and looking at 100 MB takes less time than its upkeep would.

The empty text is in every body and in every field that is there; so is a text that folds to
nothing. A message without a Date is sent before, on and since no day. Of a message that
cannot be read nothing but flags, sizes and dates is known: no text but the empty one is in it.

A search runs beside the account's commits, a turn after the other with what others read between
them, and ends early when nobody waits for it. So it has no one instant: what changes meanwhile
is in its answer or not, as if it had happened before or after.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError

from mailframe.core.search import And, SearchKey, UidIn
from mailframe.errors import TransientFailure
from mailframe.mailbox.index.around import Around
from mailframe.mailbox.index.conditions import Condition, has_many, needs_contents, uids_within
from mailframe.mailbox.index.handle import AccountIndex
from mailframe.mailbox.index.lane import REBUILT
from mailframe.mailbox.maildir import Maildir

T = TypeVar("T")


_TURN = 0.05
"""Seconds that a search goes on before it is others' turn."""
_SLICE = _TURN / 5
"""Seconds that one statement should take."""
_FIRST = 16_000
_FIRST_OF_TEXTS = 1_000
"""Messages, of one key, that the first statement looks at; of more keys so many fewer."""
_FASTER = 4


@dataclass(frozen=True, slots=True)
class SearchedFolder:
    """Where to search; made anew for each search, since a rebuilt index has other rows."""

    index: AccountIndex
    folder: int
    """Its row."""
    generation: int
    """Of the index that has that row."""
    maildir: Maildir
    around: Around

    def require(self) -> None:
        """Raises TransientFailure where the index was begun anew."""
        if self.index.generation != self.generation:
            raise TransientFailure(REBUILT, f"{self.index.path} was begun anew")


async def search(folder: SearchedFolder, key: SearchKey) -> list[int]:
    """uids, ascending. Reads first what was not read yet, where that matters."""
    if needs_contents(key):
        await read_first(folder, key)
    hunt = _Hunt(folder.folder, key, folder.around.clock.seconds)
    try:
        while not hunt.is_over:
            folder.require()
            await cancellable(folder.index, hunt.turn)
    finally:
        if has_many(key):
            folder.index.forget_statements()
    return hunt.found


async def read_first(folder: SearchedFolder, key: SearchKey) -> None:
    reader = folder.around.reader
    await reader.ensure_words(folder.index, folder.folder, folder.maildir, uids_within(key))


async def narrowed(folder: SearchedFolder, key: SearchKey) -> SearchKey:
    """The same messages by their uids, for a statement that has to look at all of them at once,
    where it takes long to find them."""
    if not (needs_contents(key) or has_many(key)):
        return key
    return UidIn(tuple(_ranges(await search(folder, key))))


def _ranges(uids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Of ascending uids."""
    first = last = 0
    for uid in uids:
        if first and uid != last + 1:
            yield first, last
            first = 0
        first, last = first or uid, uid
    if first:
        yield first, last


class _Hunt:
    """One search. A turn looks at as many messages as it has time for, some at a time: so many
    as took about a slice before."""

    def __init__(self, folder: int, key: SearchKey, seconds: Callable[[], float]) -> None:
        """``folder``: its row; ``seconds``: a clock."""
        self.found: list[int] = []
        """uids, ascending."""
        self.is_over = False
        self._folder = folder
        self._key = key
        self._seconds = seconds
        self._next, self._last = uids_within(key)
        self._condition: Condition | None = None
        self._messages = _FIRST_OF_TEXTS if needs_contents(key) else _FIRST

    def turn(self, connection: sqlite3.Connection) -> None:
        """The job."""
        if self._condition is None:
            self._condition = condition_of(self._key)
            self._messages = max(self._messages // self._condition.keys, 1)
        self._condition.prepare(connection)
        now = self._seconds()
        end = now + _TURN
        while not self.is_over and now < end:
            began = now
            self.found += self._slice(connection, self._condition)
            now = self._seconds()
            self._keep_pace(now - began)

    def _slice(self, connection: sqlite3.Connection, condition: Condition) -> list[int]:
        """What is found among the next messages."""
        first, behind = self._next, self._behind_slice(connection)
        if behind is None:
            self.is_over = True
        else:
            self._next = behind
        last = self._last if behind is None else behind - 1
        return find(connection, self._folder, condition, (first, last))

    def _behind_slice(self, connection: sqlite3.Connection) -> int | None:
        """The uid of the first message that is not of this slice; None: there is none."""
        row = connection.execute(
            "SELECT uid FROM message WHERE folder = ? AND uid BETWEEN ? AND ?"
            " ORDER BY uid LIMIT 1 OFFSET ?",
            (self._folder, self._next, self._last, self._messages),
        ).fetchone()
        return row[0] if row is not None else None

    def _keep_pace(self, took: float) -> None:
        if took < _SLICE / _FASTER:
            self._messages *= _FASTER
        elif took > _SLICE:
            self._messages = max(int(self._messages * _SLICE / took), 1)


def find(
    connection: sqlite3.Connection, folder: int, condition: Condition, between: tuple[int, int]
) -> list[int]:
    """uids ``between`` two, ascending; the condition is prepared."""
    rows = connection.execute(
        f"SELECT m.uid FROM message AS m{condition.joins()}"
        " WHERE m.folder = ? AND m.uid BETWEEN ? AND ?"
        f" AND {condition.sql} ORDER BY m.uid",
        (folder, *between, *condition.parameters),
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
        return await index.read(query, patient=True)
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
