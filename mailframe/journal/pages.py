"""How events lie in ``journal.db``: a page of them in a row, and marks that lead to pages.

A page is what was recorded within a moment, as one JSON text. For each word by which one of
its events can be found, ids among them, there is a mark: the word's checksum, with the number
of the page. Words may share a checksum, so whoever follows a mark looks whether the page has
the word. One statement writes a page and one its marks, however many they are: with every
statement the writer lets go of the interpreter's lock and has to get it back.

Marks are grouped in chapters of some thousands. New ones would otherwise be spread over the
whole index, and every one would have a block of its own written for it; within a chapter they
meet in few. A search looks into each chapter; what is old is forgotten by whole chapters.

Each function is a job for ``Database.write`` or ``Database.read``.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mailframe.journal.keys import keys_of

Row = tuple[float, str, str, str, str, dict[str, Any]]
"""An event: time in seconds since the epoch, id, session, step, result, detail."""

FORGET = 100  # pages; holds the writer for some ten milliseconds at most
_PAGE = 500  # events at most: the reading of a story is the reading of some whole pages
_CHAPTER = 4096  # marks, some ten blocks of the file
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

_LAST = "SELECT chapter, marks FROM pages ORDER BY seq DESC LIMIT 1"
_ADD_PAGE = "INSERT INTO pages (time, chapter, marks, events) VALUES (?, ?, ?, ?)"
_ADD_MARKS = "INSERT INTO marks SELECT ?, value, ? FROM json_each(?)"
_MARKED = """
    WITH RECURSIVE chapters (chapter) AS (
        SELECT (SELECT chapter FROM pages ORDER BY seq LIMIT 1)
        UNION ALL
        SELECT chapter + 1 FROM chapters
        WHERE chapter < (SELECT chapter FROM pages ORDER BY seq DESC LIMIT 1)
    )
    SELECT DISTINCT page FROM chapters CROSS JOIN marks USING (chapter)
    WHERE mark IN (SELECT value FROM json_each(?))
"""


def add(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Put events down, in their order."""
    for start in range(0, len(rows), _PAGE):
        _add_page(connection, rows[start : start + _PAGE])


def _add_page(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    marks = _marks(_words(rows))
    chapter, before = connection.execute(_LAST).fetchone() or (0, 0)
    if before >= _CHAPTER:
        chapter, before = chapter + 1, 0
    values = rows[-1][0], chapter, before + len(marks), _encode(rows)
    page = connection.execute(_ADD_PAGE, values).lastrowid
    connection.execute(_ADD_MARKS, (chapter, page, str(marks)))


def _words(rows: Iterable[Row]) -> set[str]:
    words = set()
    for _, id, session, _, _, detail in rows:
        words.add(id)
        words.add(session)
        words.update(keys_of(detail))
    words.discard("")
    return words


def _marks(words: Iterable[str]) -> list[int]:
    """In their order in the index, where they are to be put."""
    return sorted({zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words})


def with_words(connection: sqlite3.Connection, words: Sequence[str]) -> Iterator[list[Row]]:
    """Pages that may have one of the words, the newest first; each is read when asked for."""
    found = connection.execute(_MARKED, (str(_marks(words)),)).fetchall()
    for (page,) in sorted(found, reverse=True):
        row = connection.execute("SELECT events FROM pages WHERE seq = ?", (page,)).fetchone()
        if row is not None:
            yield json.loads(row[0])


def forget_older(connection: sqlite3.Connection, horizon: float) -> int:
    """Forget the oldest pages before ``horizon``, FORGET at most; returns how many.

    Time grows with ``seq`` but for steps of the clock, so the front of the table is the
    oldest: no index on time is needed.
    """
    query = "SELECT seq, time FROM pages ORDER BY seq LIMIT ?"
    last = count = 0
    for seq, time in connection.execute(query, (FORGET,)).fetchall():
        if time >= horizon:
            break
        last, count = seq, count + 1
    if count:
        connection.execute("DELETE FROM pages WHERE seq <= ?", (last,))
        # Where none is left, numbers begin anew.
        oldest = connection.execute("SELECT chapter FROM pages ORDER BY seq LIMIT 1").fetchone()
        if oldest is None:
            connection.execute("DELETE FROM marks")
        else:
            connection.execute("DELETE FROM marks WHERE chapter < ?", oldest)
    return count
