"""A SQLite file that somebody else writes, opened read-only, in threads.

A file that was replaced by another of its name is opened anew. Who writes it may hold a lock for
as long as a question may take.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from twisted.internet.interfaces import IReactorTime

from mailframe.interfaces import IWorkers
from mailframe.sources.rotation import ServerDown
from mailframe.sources.sql.idle import Idle
from mailframe.sources.sql.questions import MOST_ROWS, QueryFailed, Row, bounded
from mailframe.sources.timed_calls import TimedCalls

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Opened:
    connection: sqlite3.Connection
    file: tuple[int, int]
    """Device and inode, by which one that was replaced is told."""

    def close(self) -> None:
        self.connection.close()


class SqliteFile:
    def __init__(
        self,
        path: str,
        *,
        workers: IWorkers,
        clock: IReactorTime,
        connections: int,
        timeout: float,
    ) -> None:
        self.label = path
        self._path = path
        self._timeout = timeout
        self._idle: Idle[_Opened] = Idle(_Opened.close)
        self._calls = TimedCalls(workers.run, clock, limit=connections, timeout=timeout)

    async def ask(self, query: str, parameters: Mapping[str, str]) -> Sequence[Row]:
        question = _Question()
        return await self._calls.call(
            self._rows, query, parameters, question, give_up=question.interrupt
        )

    async def columns(self, query: str, parameters: Mapping[str, str]) -> Sequence[str]:
        question = _Question()
        return await self._calls.call(
            self._ask, query, parameters, question, _columns, give_up=question.interrupt
        )

    def close(self) -> None:
        self._idle.close()

    # ---- on a thread

    def _rows(self, query: str, parameters: Mapping[str, str], question: _Question) -> list[Row]:
        def read(cursor: sqlite3.Cursor) -> list[Row]:
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(MOST_ROWS + 1)]

        return bounded(self._ask(query, parameters, question, read))

    def _ask(
        self,
        query: str,
        parameters: Mapping[str, str],
        question: _Question,
        read: Callable[[sqlite3.Cursor], T],
    ) -> T:
        try:
            opened = self._opened()
        except (OSError, sqlite3.Error) as error:
            raise ServerDown(str(error)) from None
        try:
            with question.asked_of(opened.connection):
                cursor = opened.connection.execute(query, parameters)
                answer = read(cursor)
                cursor.close()
        except sqlite3.OperationalError as error:  # locked, interrupted, no such table
            self._idle.keep(opened)
            raise QueryFailed(f"{self.label}: {error}") from None
        except sqlite3.DatabaseError as error:  # no database, or damaged
            opened.close()
            raise ServerDown(str(error)) from None
        except BaseException:
            opened.close()
            raise
        self._idle.keep(opened)
        return answer

    def _opened(self) -> _Opened:
        facts = os.stat(self._path)
        file = facts.st_dev, facts.st_ino
        while (known := self._idle.take()) is not None:
            if known.file == file:
                return known
            known.close()
        connection = sqlite3.connect(
            f"file:{quote(self._path)}?mode=ro",
            uri=True,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time, but not always the same
        )
        connection.execute("PRAGMA query_only = ON")
        return _Opened(connection, file)


def _columns(cursor: sqlite3.Cursor) -> list[str]:
    return [str(column[0]).lower() for column in cursor.description or ()]


class _Question:
    """What a thread asks of a connection, so that another can interrupt it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_over = False

    @contextlib.contextmanager
    def asked_of(self, connection: sqlite3.Connection) -> Iterator[None]:
        with self._lock:
            if self._is_over:
                raise sqlite3.OperationalError("interrupted")
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def interrupt(self) -> None:
        with self._lock:
            self._is_over = True
            if self._connection is not None:
                self._connection.interrupt()
