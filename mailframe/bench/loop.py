"""Non-blocking sockets on epoll, timers, and nothing more.

All connections read into one buffer: what has come is used before the next connection reads.
"""

from __future__ import annotations

import abc
import errno
import heapq
import itertools
import select
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

_BUFFER = 1 << 18
_AT_ONCE = 512  # events of one look
_LONGEST_WAIT = 0.25  # seconds, so that a stop is soon noticed
_SHORT = 0.002
_SWEEP = 1.0  # seconds between searches for connections that are silent too long
IN, OUT = select.EPOLLIN, select.EPOLLOUT

Clock = Callable[[], float]
_NOTHING = memoryview(b"")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect to. ``family`` and ``address`` are of getaddrinfo."""

    family: socket.AddressFamily
    address: tuple[str, int] | tuple[str, int, int, int]
    context: ssl.SSLContext | None = None
    """For TLS, whether from the beginning or after STARTTLS."""
    implicit: bool = False
    name: str | None = None
    """What the certificate is held against."""
    sources: tuple[str, ...] = ()
    """Addresses of ours to connect from, in turn."""


class Loop:
    def __init__(self, clock: Clock, patience: float = 60.0) -> None:
        """``patience``: seconds of silence after which a connection has failed."""
        self.clock = clock
        self.now = clock()
        self.buffer = bytearray(_BUFFER)
        self.connections: dict[int, Connection] = {}
        self.stopped = False
        self.octets_in = self.octets_out = 0
        self.sources = itertools.count()
        self._patience = patience
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._epoll = select.epoll()
        self.at(self.now + _SWEEP, self._sweep)

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._numbers), call))

    def stop(self) -> None:
        """End ``run`` soon; may be called by a signal handler."""
        self.stopped = True

    def run(self, working: Callable[[], bool]) -> None:
        """Until stopped, or until ``working()`` is false."""
        while not self.stopped and working():
            for descriptor, events in self._events():
                connection = self.connections.get(descriptor)
                if connection is not None:  # an earlier one of these may have closed it
                    connection.ready(events)
            while self._timers and self._timers[0][0] <= self.clock():
                heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        """Close whatever is open, without a word."""
        for connection in list(self.connections.values()):
            connection.close()
        self._epoll.close()

    def _events(self) -> list[tuple[int, int]]:
        wait = self._timers[0][0] - self.clock() if self._timers else _LONGEST_WAIT
        if 0 < wait < _SHORT:
            # epoll counts milliseconds, which is much for a message that is due at 0.3 ms.
            # select() waits for microseconds, and for an epoll descriptor too.
            select.select((self._epoll.fileno(),), (), (), wait)
            wait = 0
        # Rounded down: epoll rounds up.
        wait = int(min(wait, _LONGEST_WAIT) * 1000) / 1000 if wait > 0 else 0
        found = self._epoll.poll(wait, _AT_ONCE)
        self.now = self.clock()
        return found

    def _sweep(self) -> None:
        for connection in list(self.connections.values()):
            if self.now - connection.heard > self._patience and not connection.may_be_silent:
                connection.fail(f"nothing came for {self._patience:g} s")
        self.at(self.clock() + _SWEEP, self._sweep)

    # -- for connections --------------------------------------------------------------

    def watch(self, descriptor: int, connection: Connection, events: int) -> None:
        self.connections[descriptor] = connection
        self._epoll.register(descriptor, events)

    def rewatch(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """The kernel forgets a closed descriptor by itself."""
        del self.connections[descriptor]


class Connection(abc.ABC):
    """One connection. A subclass says what it makes of what comes (``received``), of the end
    (``lost``), and of TLS being there (``secured``)."""

    may_be_silent = False
    """For so long as anybody likes."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.heard = loop.now
        self._socket: socket.socket
        self._descriptor = -1
        self._unsent = _NOTHING
        self._tls: ssl.SSLSocket | None = None
        self._shaking = False
        self._beginning: Target | None = None

    # -- what a subclass does ---------------------------------------------------------

    @abc.abstractmethod
    def received(self, data: bytearray, count: int) -> None:
        """``data[:count]`` has come; it is gone afterwards."""

    @abc.abstractmethod
    def lost(self, why: str) -> None:
        """It is closed, and not by us."""

    def secured(self) -> None:  # noqa: B027 - who has no TLS has nothing to do
        """The TLS handshake is done."""

    # -- what it uses -----------------------------------------------------------------

    @property
    def open(self) -> bool:
        return self._descriptor >= 0

    def connect(self, target: Target) -> None:
        """Begin to. Raises OSError where not even that is possible."""
        own = socket.socket(target.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        own.setblocking(False)
        try:
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if target.sources:
                sources = target.sources
                own.bind((sources[next(self.loop.sources) % len(sources)], 0))
            failed = own.connect_ex(target.address)
            if failed not in (0, errno.EINPROGRESS):
                raise OSError(failed, errno.errorcode.get(failed, str(failed)))
        except OSError:
            own.close()
            raise
        # Who is greeted can wait for the greeting; who speaks first waits for the connection.
        self._beginning = target if target.implicit else None
        self._take(own, OUT if target.implicit else IN)

    def adopt(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._take(accepted, IN)

    def _take(self, own: socket.socket, events: int) -> None:
        self._socket = own
        self._descriptor = own.fileno()
        self.heard = self.loop.now
        self.loop.watch(self._descriptor, self, events)

    def send(self, data: bytes) -> None:
        self.loop.octets_out += len(data)
        if self._unsent:
            self._unsent = memoryview(bytes(self._unsent) + data)
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as error:
            self.fail(_words(error))
            return
        if sent < len(data):
            self._unsent = memoryview(data)[sent:]
            self.loop.rewatch(self._descriptor, IN | OUT)

    def start_tls(self, target: Target) -> None:
        """``secured`` follows, or ``lost``."""
        if target.context is None:
            raise ValueError("a target without a context has no TLS")
        self._tls = target.context.wrap_socket(
            self._socket, server_hostname=target.name, do_handshake_on_connect=False
        )
        self._socket = self._tls
        self._shaking = True
        self._shake()

    def close(self) -> None:
        if self.open:
            self.loop.forget(self._descriptor)
            self._descriptor = -1
            self._socket.close()

    def fail(self, why: str) -> None:
        """Close it, and tell the subclass."""
        if self.open:
            self.close()
            self.lost(why)

    # -- what the loop calls ----------------------------------------------------------

    def ready(self, events: int) -> None:
        if self._shaking:
            self._shake()
        elif events & OUT:
            self._writable()
        if events & ~OUT and self.open and not self._shaking:
            self._read()

    def _writable(self) -> None:
        if self._beginning is not None:
            self._begin_tls(self._beginning)
            return
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError as error:
            self.fail(_words(error))
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self.loop.rewatch(self._descriptor, IN)

    def _begin_tls(self, target: Target) -> None:
        self._beginning = None
        failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self.fail(_words(OSError(failed, "")))
        else:
            self.start_tls(target)

    def _shake(self) -> None:
        own = self._tls
        assert own is not None
        try:
            own.do_handshake()
        except ssl.SSLWantReadError:
            self.loop.rewatch(self._descriptor, IN)
        except ssl.SSLWantWriteError:
            self.loop.rewatch(self._descriptor, IN | OUT)
        except OSError as error:
            self.fail(f"TLS: {_words(error)}")
        else:
            self._shaking = False
            self.loop.rewatch(self._descriptor, IN)
            self.secured()

    def _read(self) -> None:
        loop = self.loop
        try:
            count = self._socket.recv_into(loop.buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self.fail(_words(error))
            return
        if not count:
            self.fail("the server closed the connection")
            return
        self.heard = loop.now
        loop.octets_in += count
        self.received(loop.buffer, count)
        # What OpenSSL has taken from the socket already, the kernel does not report again.
        if self._tls is not None and self.open and self._tls.pending():
            self._read()


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message} (--insecure takes any certificate)"
    if error.errno in _PLAIN:
        return _PLAIN[error.errno]
    return error.strerror or str(error)


_PLAIN = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ETIMEDOUT: "connection timed out",
    errno.EADDRNOTAVAIL: "no free port of ours is left (--source gives more addresses)",
    errno.EMFILE: "no more open files are allowed (ulimit -n)",
}


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The first address. Raises OSError where the name has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]
