"""What the factories of POP3 and IMAP have in common: which connections are open, and leave.

The protocol's own factory adds what its connections need to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory

from mailframe.interfaces import IJournal
from mailframe.runtime.aio import Background
from mailframe.servers.connections import ConnectionCounter

if TYPE_CHECKING:
    from mailframe.servers.line_connection import LineConnection

C = TypeVar("C", bound="LineConnection[Any, Any]")


class LineFactory(Factory, Generic[C]):
    noisy = False
    refusal: str
    """For the journal: how a connection that is one too many is turned away."""

    def __init__(self, journal: IJournal, connections: ConnectionCounter) -> None:
        self.journal = journal
        self.connections = connections
        self.tasks = Background()
        self.open: dict[C, None] = {}  # in the order of coming
        self._waiting: list[Deferred[None]] = []

    def entered(self, connection: C) -> bool:
        """Count a new connection in and note it; False when it is one too many."""
        session = connection.session
        facts = {"peer": session.peer_ip, "listener": session.listener}
        if not self.connections.enter(session.peer_ip, connection):
            self.journal.record(session.id, "refuse", self.refusal, rule="connections", **facts)
            return False
        self.journal.record(session.id, "connect", **facts)
        self.open[connection] = None
        return True

    def left(self, connection: C, reason: str) -> None:
        """The connection is gone and holds nothing any more."""
        self.connections.leave(connection.session.peer_ip, connection)
        self.journal.record(connection.session.id, "disconnect", reason=reason)
        self.open.pop(connection, None)
        if not self.open:
            waiting, self._waiting = self._waiting, []
            for drained in waiting:
                drained.callback(None)

    def drain(self) -> Deferred[None]:
        """Take leave of every session between two commands; fires when all are gone.

        What is under way is carried out and answered. ``abort`` ends those that dawdle.
        """
        for connection in list(self.open):
            connection.drain()
        if not self.open:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._waiting.append(drained)
        return drained

    def abort(self) -> None:
        """Cut every connection now; what they hold is given back."""
        for connection in list(self.open):
            connection.abort("server stops")
