"""Connections whose replies leave at the end of the reactor's turn.

Twisted has the kernel watch a socket for every write, and sends when it hears in the next turn
that there is room, as there nearly always is: two system calls and an event for nothing with
every reply, and the peer waits for the turn between. Here what was written in a turn is sent
at its end, all connections one after the other; only a socket that did not take everything is
watched.

``write_now`` does not wait for the turn's end, which costs more than sending one short reply
does. It is for whoever has said all that there is to say, on connections that are busy one at a
time (POP3, IMAP). Where many are, as in SMTP, it takes a fifth more of all: peers that are
answered one by one come back one by one, and a turn finds less to do.

Nothing else differs: a write never fails and never calls back, producers are paused and resumed
as always, and of a connection that has much to send only a piece leaves in each turn.
"""

from __future__ import annotations

import enum
import socket
import sys
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

_EVERYWHERE = ("0.0.0.0", "::")
_SHORT = 1 << 15
"""Octets that are sent at once; no producer was ever paused for so few."""


class Outgoing:
    """What is to be sent at the end of this turn, of all connections that came by ``serve``."""

    log = Logger()

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._waiting: list[Gathering] = []

    def serve(self, port: Any) -> None:
        """Have the next connections of a listening port send so. A port of another kind than
        Twisted's for TCP and Unix sockets, a plugin's, stays as it is."""
        if port.__class__ is tcp.Port:
            port.transport = GatheringServer
        elif port.__class__ is unix.Port:
            port.transport = GatheringUnixServer
        else:
            return
        port.outgoing = self
        port.is_prompt, port.only_address = _inherited(port)

    def add(self, connection: Gathering) -> None:
        if not self._waiting:
            self._reactor.callLater(0, self._send)
        self._waiting.append(connection)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            try:
                connection.send_gathered()
            except Exception:  # noqa: BLE001 - as the reactor does: the others go on
                self.log.failure("a connection failed while it was ending")


def _inherited(port: Any) -> tuple[bool, Any]:
    """What the connections of a port have from it, so that none has to be asked or told: whether
    TCP_NODELAY is set, and their local address, None where it listens at every one."""
    listening = getattr(port, "socket", None)
    if port.__class__ is not tcp.Port or listening is None:
        return False, None
    if sys.platform == "linux":
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    address = port.getHost()
    return sys.platform == "linux", None if address.host in _EVERYWHERE else address


def can_send_now(transport: Any) -> bool:
    """Whether there is ``write_now``. It is asked of the class: a transport that wraps another, as
    TLS does, hands on what it lacks itself, and would be left out."""
    return hasattr(type(transport), "write_now")


class _Writing(enum.Enum):
    NOTHING = enum.auto()
    WAITING = enum.auto()
    """For the end of the turn."""
    SENDING = enum.auto()
    WATCHED = enum.auto()
    """The kernel tells when there is room."""


class Gathering:
    """Over a connection of Twisted's."""

    log = Logger()

    _writing = _Writing.NOTHING

    def startWriting(self: Any) -> None:
        if self._writing is _Writing.NOTHING:
            self._writing = _Writing.WAITING
            self.outgoing.add(self)

    def write_now(self: Any, data: bytes) -> None:
        """As ``write``; sent before it returns where it is little and nothing waits."""
        is_free = self._writing is _Writing.NOTHING and self.connected
        if not is_free or not 0 < len(data) <= _SHORT:
            self.write(data)
            return
        self._writing = _Writing.SENDING  # so that it waits for nothing
        self.write(data)
        if self.doWrite():
            # The next try tells what it means, where it may.
            self._writing = _Writing.WAITING
            self.outgoing.add(self)
        elif self._writing is _Writing.SENDING:
            self._watch()

    @property
    def outgoing(self: Any) -> Outgoing:
        outgoing: Outgoing = self.server.outgoing
        return outgoing

    def stopWriting(self: Any) -> None:
        if self._writing is _Writing.WATCHED:
            super().stopWriting()  # type: ignore[misc]
        self._writing = _Writing.NOTHING

    def send_gathered(self: Any) -> None:
        """What the reactor does with a socket that has room."""
        if self._writing is not _Writing.WAITING:
            return
        self._writing = _Writing.SENDING
        try:
            why = self.doWrite()
        except Exception as error:  # noqa: BLE001 - of a producer
            self.log.failure("a connection failed while it was sending")
            why = error
        if why:
            is_done = why.__class__ is ConnectionDone
            self.connectionLost(connectionDone if is_done else Failure(why))
        elif self._writing is _Writing.SENDING:
            self._watch()

    def _watch(self: Any) -> None:
        """It did not take everything."""
        self._writing = _Writing.WATCHED
        super().startWriting()  # type: ignore[misc]


class GatheringServer(Gathering, tcp.Server):
    """A TCP connection that was accepted."""

    server: Any

    def __init__(
        self,
        sock: Any,
        protocol: Any,
        client: tuple[Any, ...],
        server: tcp.Port,
        sessionno: int,
        reactor: Any,
    ) -> None:
        # As Twisted's, without two texts for each connection that hardly anybody reads.
        tcp.Connection.__init__(self, sock, protocol, reactor)
        if len(client) != 2:
            self._addressType = IPv6Address
        self.server = server
        self.client = client
        self.sessionno = sessionno
        self.hostname = client[0]
        self.logstr = protocol.__class__.__name__
        reactor.addReader(self)
        self.connected = 1

    # Twisted calls shutdown(2) before close(2), which ends a connection as well where no other
    # process has the socket, and none has.
    _shouldShutdown = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        if not enabled or not self.server.is_prompt:
            super().setTcpNoDelay(enabled)

    def getHost(self) -> Any:
        return self.server.only_address or super().getHost()  # type: ignore[no-untyped-call]

    def writeSomeData(self, data: bytes) -> Any:
        # As Twisted's, in one step where all of it fits.
        if len(data) <= self.SEND_LIMIT:
            try:
                return self.socket.send(data)
            except OSError:
                pass  # The next try tells what it means.
        return super().writeSomeData(data)

    def __repr__(self) -> str:
        return f"<{self.logstr} #{self.sessionno} of {self.hostname}>"


class GatheringUnixServer(Gathering, unix.Server):
    """A Unix socket's connection that was accepted."""
