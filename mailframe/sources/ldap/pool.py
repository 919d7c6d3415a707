"""Connections to the directory that are kept, and questions asked over them.

At most ``most`` are open, and as many questions as ``waiting`` says wait for one. A connection
that turns out to be dead is replaced within the question, and where its server cannot be asked,
the next one is. A question may therefore be asked twice. Nothing is kept for long: a connection
is closed once it is ten minutes old, or leads to a server that is not the first choice any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailframe.sources.ldap.connection import LdapConnection
from mailframe.sources.ldap.errors import Refused, Unreachable
from mailframe.sources.ldap.servers import Server, Servers
from mailframe.sources.ldap.wire import OVERLOADED

T = TypeVar("T")
Open = Callable[[Server], Awaitable[LdapConnection]]
"""Connected, and whatever has to be before the first question. Raises Unreachable."""

_OLDEST = 600.0  # seconds
_MOST_WAITING = 200


class Pool:
    def __init__(self, servers: Servers, open_one: Open, *, most: int, clock: IReactorTime) -> None:
        self._servers = servers
        self._open = open_one
        self._most = most
        self._clock = clock
        self._idle: list[LdapConnection] = []
        self._is_closed = False
        self._in_use = 0
        self._waiting: deque[Deferred[None]] = deque()

    async def ask(self, question: Callable[[LdapConnection], Awaitable[T]]) -> T:
        """Raises Unreachable where no server can be asked, and what the question raises."""
        await self._turn()
        try:
            kept = self._kept()
            if kept is not None:
                try:
                    return await self._asked(kept, question)
                except (Unreachable, Refused) as error:
                    if not _is_of_the_server(error):
                        raise
                    # Perhaps it had been dead for long, and so are the others to that server.
                    self._drop(kept.server)
            return await self._ask_anew(question)
        finally:
            self._in_use -= 1
            self._next()

    async def _ask_anew(self, question: Callable[[LdapConnection], Awaitable[T]]) -> T:
        said = []
        for server in self._servers.in_order():
            try:
                connection = await self._open(server)
                result = await self._asked(connection, question)
            except (Unreachable, Refused) as error:
                if not _is_of_the_server(error):
                    raise
                self._servers.failed(server, str(error))
                said.append(f"{server.url}: {error}")
            else:
                self._servers.works(server)
                return result
        raise Unreachable("; ".join(said))

    async def _asked(
        self, connection: LdapConnection, question: Callable[[LdapConnection], Awaitable[T]]
    ) -> T:
        try:
            result = await question(connection)
        except BaseException:
            # It may be in any state, and what else failed is rare.
            connection.close()
            raise
        self._keep(connection)
        return result

    def _keep(self, connection: LdapConnection) -> None:
        if self._is_closed:
            connection.close()
        elif not connection.why_over:
            self._idle.append(connection)

    def _kept(self) -> LdapConnection | None:
        while self._idle:
            connection = self._idle.pop()
            is_young = self._clock.seconds() - connection.opened < _OLDEST
            if not connection.why_over and is_young and self._servers.is_first(connection.server):
                return connection
            connection.close()
        return None

    def _drop(self, server: Server) -> None:
        for connection in [one for one in self._idle if one.server == server]:
            self._idle.remove(connection)
            connection.close()

    def close(self) -> None:
        """Keep no connection any more; questions go on being answered."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    # whose turn it is

    async def _turn(self) -> None:
        if self._in_use >= self._most:
            if len(self._waiting) >= _MOST_WAITING:
                raise Unreachable(f"{_MOST_WAITING} questions are waiting")
            turn: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(turn)
            await turn  # ``_next`` has counted it
        else:
            self._in_use += 1

    def _next(self) -> None:
        if self._waiting and self._in_use < self._most:
            self._in_use += 1
            self._waiting.popleft().callback(None)


def _is_of_the_server(error: Unreachable | Refused) -> bool:
    """Whether another one may answer."""
    return isinstance(error, Unreachable) or error.outcome.code in OVERLOADED
