"""A PostgreSQL server, asked by psycopg in threads.

Connections are opened as needed and kept; each question has one to itself. One that died since its
last question is replaced within the next. The session is read-only and has a statement timeout;
where not even that ends a question (a server that is frozen, a network that swallows everything),
its socket is shut down from outside, and the thread is free again.

Without ``sslmode`` in the URL a server on another machine must prove who it is.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo, pq
from psycopg.rows import dict_row
from twisted.internet.interfaces import IReactorTime

from mailframe.interfaces import IWorkers
from mailframe.sources.rotation import ServerDown
from mailframe.sources.sql.idle import Idle
from mailframe.sources.sql.questions import MOST_ROWS, QueryFailed, Row, bounded
from mailframe.sources.sql.template import for_postgres
from mailframe.sources.timed_calls import TimedCalls

T = TypeVar("T")

_Connection = psycopg.Connection[dict[str, Any]]
_Cursor = psycopg.Cursor[dict[str, Any]]
_SYSTEM_ROOTS = 160000  # the libpq that knows sslrootcert=system


class Postgres:
    """``url`` as libpq reads it; ``timeout`` in seconds for one question, and for connecting.
    Raises ValueError for an URL that libpq does not understand."""

    def __init__(
        self,
        url: str,
        password: str | None,
        *,
        workers: IWorkers,
        clock: IReactorTime,
        connections: int,
        timeout: float,
    ) -> None:
        try:
            given = conninfo.conninfo_to_dict(url)
        except psycopg.Error as error:
            raise ValueError(str(error).strip()) from None
        self._settings = _defaults(given, timeout) | given
        if password is not None:
            self._settings["password"] = password
        host = given.get("host") or given.get("hostaddr") or "local"
        self.label = f"{host}:{given.get('port') or 5432}/{given.get('dbname') or ''}"
        self._idle: Idle[_Connection] = Idle(psycopg.Connection.close)
        self._timeout = timeout
        self._calls = TimedCalls(workers.run, clock, limit=connections, timeout=timeout)

    async def ask(self, query: str, parameters: Mapping[str, str]) -> Sequence[Row]:
        line = _Line()
        return await self._calls.call(
            self._rows, for_postgres(query), parameters, line, give_up=line.cut
        )

    async def columns(self, query: str, parameters: Mapping[str, str]) -> Sequence[str]:
        line = _Line()
        return await self._calls.call(
            self._ask, for_postgres(query), parameters, line, _columns, give_up=line.cut
        )

    def close(self) -> None:
        self._idle.close()

    # ---- on a thread

    def _rows(self, query: str, parameters: Mapping[str, str], line: _Line) -> list[Row]:
        def read(cursor: _Cursor) -> list[dict[str, Any]]:
            return cursor.fetchmany(MOST_ROWS + 1)

        return bounded(self._ask(query, parameters, line, read))

    def _ask(
        self, query: str, parameters: Mapping[str, str], line: _Line, read: Callable[[_Cursor], T]
    ) -> T:
        """Once more, on a new connection, where one that was kept is dead."""
        while True:
            connection, is_new = self._connection(line)
            answer = self._answer(connection, query, parameters, line, read, is_new=is_new)
            if answer is not None:
                return answer
            self._idle.drop()  # the server went away: they are all dead

    def _answer(
        self,
        connection: _Connection,
        query: str,
        parameters: Mapping[str, str],
        line: _Line,
        read: Callable[[_Cursor], T],
        *,
        is_new: bool,
    ) -> T | None:
        """None where the connection was dead before the question."""
        try:
            with line.through(connection):
                answer = read(connection.execute(query.encode(), parameters))
        except psycopg.errors.QueryCanceled:
            self._idle.keep(connection)
            raise QueryFailed(
                f"{self.label}: the query takes longer than {self._timeout:g} s"
            ) from None
        except psycopg.Error as error:
            if not connection.closed:
                self._idle.keep(connection)
                raise QueryFailed(f"{self.label}: {_words(error)}") from None
            if is_new or line.is_cut:
                raise ServerDown(_words(error)) from None
            return None
        except BaseException:
            connection.close()
            raise
        self._idle.keep(connection)
        return answer

    def _connection(self, line: _Line) -> tuple[_Connection, bool]:
        kept = self._idle.take()
        if kept is not None:
            return kept, False
        try:
            connection = psycopg.connect(
                **self._settings, autocommit=True, prepare_threshold=None, row_factory=dict_row
            )
        except psycopg.Error as error:
            raise ServerDown(_words(error)) from None
        try:
            with line.through(connection):
                connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
                connection.execute(
                    "SELECT set_config('statement_timeout', %s, false)",
                    (str(math.ceil(self._timeout * 800)),),  # it says so before we hang up
                )
        except psycopg.Error as error:
            connection.close()
            raise ServerDown(_words(error)) from None
        return connection, True


def _columns(cursor: _Cursor) -> list[str]:
    return [column.name.lower() for column in cursor.description or ()]


class _Line:
    """The connection that one question uses, so that it can be cut from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self.is_cut = False

    @contextlib.contextmanager
    def through(self, connection: _Connection) -> Iterator[None]:
        with self._lock:
            if self.is_cut:
                connection.close()
                raise ServerDown("no answer in time")
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def cut(self) -> None:
        """Whoever reads from it finds its end."""
        with self._lock:
            self.is_cut = True
            if self._connection is None or self._connection.closed:
                return
            with (
                contextlib.suppress(OSError, psycopg.Error),
                socket.socket(fileno=os.dup(self._connection.fileno())) as line,
            ):
                line.shutdown(socket.SHUT_RDWR)


def _defaults(given: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    seconds = max(2, math.ceil(timeout))  # libpq has no less
    settings: dict[str, Any] = {
        "connect_timeout": seconds,
        "tcp_user_timeout": seconds * 1000,
        "client_encoding": "UTF8",
        "application_name": "mailframe",
    }
    if not _is_here(given):
        settings["sslmode"] = "verify-full"
        if pq.version() >= _SYSTEM_ROOTS and given.get("sslmode") in (None, "verify-full"):
            settings["sslrootcert"] = "system"
    return settings


def _is_here(given: Mapping[str, Any]) -> bool:
    """Whether every host is this machine."""
    hosts = str(given.get("hostaddr") or given.get("host") or "").split(",")
    return all(not host or host.startswith(("/", "@")) or _is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
