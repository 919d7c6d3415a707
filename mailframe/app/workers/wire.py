"""One end of a socket pair: lines out, lines in.

Lines sent within one turn of the reactor leave in one write. What the other end does not read
is kept up to ``most`` octets; then it counts as gone and the connection is cut. The other end
is a process of ours, so a line that makes no sense is a bug, but no reason to end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

MOST = 16 << 20  # octets that wait to be read by the other end
LONGEST = 4 << 20  # octets of one line


@implementer(IPushProducer)
class Wire(Protocol):
    """``received(line)`` without its end; ``closed()`` once, however the connection ends."""

    log = Logger()
    transport: Any  # a connection of ours: it has buffers, and can be cut

    def __init__(
        self,
        clock: Any,
        received: Callable[[bytes], None],
        closed: Callable[[], None],
        most: int = MOST,
    ) -> None:
        self._clock = clock
        self._received = received
        self._closed = closed
        self._most = most
        self._rest = b""
        self._skipping = False
        self._waiting: list[bytes] = []
        self._octets = 0
        self._soon: IDelayedCall | None = None
        self._paused = False
        self.is_open = False
        self.is_overfull = False
        """It was cut because the other end did not read."""

    # ---- out

    def send(self, line: bytes) -> None:
        """``line`` has no end of line in it. Dropped when the connection is closed."""
        if not self.is_open:
            return
        if len(line) >= LONGEST:
            self.log.error("a line of {octets} octets is too long for the bus", octets=len(line))
            return
        self._waiting.append(line)
        self._octets += len(line) + 1
        if self._octets > self._most:
            self.log.error("the other end of the bus does not read; it is cut off")
            self.is_overfull = True
            self.cut()
        elif self._soon is None and not self._paused:
            self._soon = self._clock.callLater(0, self._write)

    def cut(self) -> None:
        """At once; what waits is lost."""
        if self.transport is not None:
            self.transport.abortConnection()

    def close(self) -> None:
        """When what waits has been written."""
        if self.is_open:
            self._write()
            self.transport.loseConnection()

    def _write(self) -> None:
        soon, self._soon = self._soon, None
        if soon is not None and soon.active():
            soon.cancel()
        if self._waiting:
            self._waiting.append(b"")
            data = b"\n".join(self._waiting)
            self._waiting, self._octets = [], 0
            self.transport.write(data)

    # ---- IPushProducer: the transport's own buffer is full, or empty again

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._write()

    def stopProducing(self) -> None:
        self._paused = True

    # ---- in

    def connectionMade(self) -> None:
        self.is_open = True
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._received(line)
        if len(self._rest) > LONGEST:
            self.log.error("a line on the bus is too long; it is left out")
            self._rest, self._skipping = b"", True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_open = False
        self._waiting, self._octets = [], 0
        if self._soon is not None and self._soon.active():
            self._soon.cancel()
        self._soon = None
        self._closed()
