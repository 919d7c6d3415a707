"""A connection that is written to no faster than the other side reads."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IPushProducer)
class PacedConnection(Protocol):
    """Write, then wait for ``drained`` before the next piece."""

    def __init__(self) -> None:
        self._is_full = False
        self._drained: list[Deferred[None]] = []

    def write(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)

    def drained(self) -> Deferred[None]:
        """Fires when there is room for more, and when the connection is gone."""
        if not self._is_full:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._drained.append(waiting)
        return waiting

    def leave(self) -> None:
        """Gone once what was written is sent; at once where the other side does not read."""
        transport: Any = self.transport
        if self._is_full or transport is None:
            self.abort()
        else:
            transport.unregisterProducer()
            transport.loseConnection()

    def abort(self) -> None:
        """Gone at once, with what was not sent yet."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    # Protocol

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if hasattr(transport, "setTcpNoDelay"):
            # small questions, each of which waits for the answer to the one before
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.resumeProducing()

    # IPushProducer: what the transport tells of its buffer

    def pauseProducing(self) -> None:
        self._is_full = True

    def resumeProducing(self) -> None:
        self._is_full = False
        waiting, self._drained = self._drained, []
        for each in waiting:
            each.callback(None)

    def stopProducing(self) -> None:
        """``connectionLost`` follows."""
