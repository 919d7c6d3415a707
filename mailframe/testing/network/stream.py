"""Stream sockets: connections, and what listens for them."""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING

from mailframe.testing.network.flow import Flow
from mailframe.testing.network.sockets import Address, SimSocket, os_error

if TYPE_CHECKING:
    from mailframe.testing.network.host import Host

_MOST_ATTEMPTS = 6
"""SYNs that Linux sends again (tcp_syn_retries) before it gives up with ETIMEDOUT."""


class StreamSocket(SimSocket):
    """One end of a connection, or of the attempt to make one."""

    incoming: Flow | None = None
    outgoing: Flow | None = None
    is_connected = False
    is_connecting = False
    is_at_end = False
    is_reset = False
    is_shut = False  # for writing

    def bind(self, address: Address) -> None:
        self.local = self.host.bindable(address, self.host.listeners)

    def listen(self, backlog: int) -> None:
        raise NotImplementedError("a listening socket is made as one")

    # Connecting

    def connect_ex(self, address: Address) -> int:
        if self.is_connected:
            return errno.EISCONN
        if self.error:
            number, self.error = self.error, 0
            return number
        if not self.is_connecting:
            self.is_connecting = True
            self.remote = address
            self.local = self.host.source_for(self.local, address)
            peer = self.host.reach(address)
            link = self.host.network.links.of(self.host.name, peer.name if peer else "")
            pause = link.travel() + link.retransmission()
            self.host.network.schedule(pause, None, "", self._knock, 0)
        return errno.EINPROGRESS

    def _knock(self, attempt: int) -> None:
        """The SYN arrives, if it does."""
        if self.is_closed:
            return
        assert self.remote is not None
        network = self.host.network
        peer = self.host.reach(self.remote)
        link = network.links.of(self.host.name, peer.name if peer else "")
        listener = None
        if (
            peer is not None
            and peer.is_up
            and not (link.blocks(self.host.name) or link.blocks(peer.name))
        ):
            listener = peer.listener(self.remote)
            if listener is None:
                network.note(peer.name, "refused", f"{self.remote[0]}:{self.remote[1]}")
                network.schedule(link.travel(), None, "", self._fail, errno.ECONNREFUSED)
                return
        if listener is not None and listener.has_room():
            pause = link.travel()
            listener.welcome(self, link.travel(), pause)
            network.schedule(pause, None, "", self._established)
        elif attempt < _MOST_ATTEMPTS:
            # RFC 6298 section 5.5: each wait is twice the one before.
            network.schedule(2.0**attempt, None, "", self._knock, attempt + 1)
        else:
            network.schedule(2.0**attempt, None, "", self._fail, errno.ETIMEDOUT)

    def _established(self) -> None:
        if not self.is_closed:
            self.is_connecting, self.is_connected = False, True
            self.wake()

    def _fail(self, number: int) -> None:
        if not self.is_closed:
            self.is_connecting = False
            self.error = number
            self.wake()

    # The established connection

    def join(self, outgoing: Flow, incoming: Flow) -> None:
        self.outgoing, self.incoming = outgoing, incoming
        self._received: deque[bytes] = deque()

    def recv(self, size: int) -> bytes:
        self._check()
        if self.incoming is None:
            raise os_error(errno.ENOTCONN)
        if self._received:
            return self._read(size)
        if self.is_at_end:
            return b""
        if self.is_reset:
            raise os_error(errno.ECONNRESET)
        raise os_error(errno.EWOULDBLOCK)

    def _read(self, size: int) -> bytes:
        pieces = []
        left = size
        while self._received and left:
            piece = self._received.popleft()
            if len(piece) > left:
                self._received.appendleft(piece[left:])
                piece = piece[:left]
            pieces.append(piece)
            left -= len(piece)
        assert self.incoming is not None
        self.incoming.consumed(size - left)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: memoryview | bytes) -> int:
        self._check()
        if self.is_shut or self.is_reset or self.outgoing is None:
            raise os_error(errno.EPIPE)
        room = self.outgoing.room
        if room <= 0 and data:
            self.outgoing.is_full = True
            raise os_error(errno.EWOULDBLOCK)
        taken = bytes(data[:room])
        if taken:
            self.outgoing.send(taken)
        return len(taken)

    def shutdown(self, how: int) -> None:
        self._check()
        if self.outgoing is None or self.is_reset:
            raise os_error(errno.ENOTCONN)
        if how in (1, 2) and not self.is_shut:
            self.is_shut = True
            self.outgoing.finish()

    def is_readable(self) -> bool:
        if self.is_connected:
            return bool(self._received) or self.is_at_end or self.is_reset
        return bool(self.error)

    def is_writable(self) -> bool:
        if self.is_connected:
            assert self.outgoing is not None
            if self.outgoing.room > 0 or self.is_reset:
                return True
            self.outgoing.is_full = True
            return False
        return bool(self.error)

    # What arrives

    def take(self, data: bytes) -> None:
        self._received.append(data)

    def take_end(self) -> None:
        self.is_at_end = True

    def take_reset(self) -> None:
        if not self.is_closed:
            self.is_reset = True
            self.is_connected = True  # one that comes before the handshake is over
            self.is_connecting = False

    def hear_reset(self) -> None:
        """It arrives by itself."""
        if not self.is_closed:
            self.host.network.note(self.host.name, "reset", f"{self.local[0]}:{self.local[1]}")
            self.take_reset()
            self.wake()

    def _let_go(self) -> None:
        if self.outgoing is None or self.incoming is None:
            return
        if not self.is_reset:
            # Linux resets when something that came was never read: RFC 1122 section 4.2.2.13.
            if not self.is_shut and not self.is_abortive:
                self.is_shut = True
                self.outgoing.finish()
            if self.is_abortive or self._received:
                self.outgoing.reset()
        self._forget()

    def lose_power(self) -> None:
        super().lose_power()
        if self.outgoing is not None:
            self.outgoing.lose_unsent()
            self._forget()

    def _forget(self) -> None:
        assert self.outgoing is not None
        assert self.incoming is not None
        if self.incoming.source.is_closed:
            self.outgoing.forget()
            self.incoming.forget()


class ListeningSocket(SimSocket):
    """Connections are made while nobody accepts them, as many as the backlog holds."""

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host.reactor, family)
        self._backlog = 0
        self._waiting: deque[StreamSocket] = deque()

    def bind(self, address: Address) -> None:
        self.local = self.host.bindable(address, self.host.listeners)

    def listen(self, backlog: int) -> None:
        key = self.local[:2]
        if key in self.host.listeners:
            raise os_error(errno.EADDRINUSE)
        self._backlog = max(1, backlog)
        self.host.listeners[key] = self

    def has_room(self) -> bool:
        return len(self._waiting) < self._backlog

    def welcome(self, client: StreamSocket, first: float, answered: float) -> None:
        """A connection is made. ``first``: seconds before the client's data may arrive;
        ``answered``: before ours may."""
        network = self.host.network
        assert client.remote is not None
        server = StreamSocket(self.reactor, self.family)
        server.local, server.remote = client.remote, client.local
        server.is_connected = True
        link = network.links.of(client.host.name, self.host.name)
        forth, back = Flow(link, client, server), Flow(link, server, client)
        forth.back, back.back = back, forth
        client.join(forth, back)
        server.join(back, forth)
        forth.begin(network.now + first)
        back.begin(network.now + answered)
        network.note(self.host.name, "connected", f"{server.remote[0]}:{server.remote[1]}")
        self._waiting.append(server)
        self.wake()

    def accept(self) -> tuple[StreamSocket, Address]:
        self._check()
        if not self._waiting:
            raise os_error(errno.EWOULDBLOCK)
        connection = self._waiting.popleft()
        assert connection.remote is not None
        return connection, connection.remote

    def shutdown(self, how: int) -> None:
        """Closing does what is needed."""

    def is_readable(self) -> bool:
        return bool(self._waiting)

    def is_writable(self) -> bool:
        return False

    def _let_go(self) -> None:
        self.host.listeners.pop(self.local[:2], None)
        for connection in self._waiting:
            connection.is_abortive = True
            connection.close()
        self._waiting.clear()
