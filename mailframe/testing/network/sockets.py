"""What the simulated kernel shows of its sockets to Twisted's transports.

The transports are Twisted's own (``transports``); these classes take the place of Python's
``socket.socket`` below them, with the same methods, errors and error numbers. A socket knows
which transport waits to read or to write, and gives it a turn of its reactor when there is
something to do, as epoll would.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailframe.testing.network.host import Host
    from mailframe.testing.network.reactor import SimReactor

Address = tuple[Any, ...]
"""Host and port; with flow and scope for IPv6; a path alone for Unix sockets."""

_UNSET: Address = ("0.0.0.0", 0)  # a socket that is not bound
_ABORT = struct.pack("ii", 1, 0)


def os_error(number: int) -> OSError:
    """As the kernel's answer becomes one in Python."""
    return OSError(number, os.strerror(number))


class SimSocket:
    """``reader`` and ``writer`` are the transports that wait. ``is_gone``: its machine lost
    power, so nobody answers for it."""

    def __init__(self, reactor: SimReactor, family: int) -> None:
        self.reactor = reactor
        self.host: Host = reactor.host
        self.family = family
        self.local: Address = _UNSET
        self.remote: Address | None = None
        self.reader: Any = None
        self.writer: Any = None
        self.error = 0
        self.is_closed = False
        self.is_gone = False
        self.is_due = False  # its turn is in the queue
        self.is_abortive = False
        self._descriptor = self.host.network.descriptor()
        self._options: dict[tuple[int, int], Any] = {}
        reactor.sockets[self] = None

    def fileno(self) -> int:
        return -1 if self.is_closed else self._descriptor

    def setblocking(self, flag: bool) -> None:
        """They never block."""

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self.is_abortive = value == _ABORT
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int) -> Any:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):
            number, self.error = self.error, 0
            return number
        return self._options.get((level, option), 0)

    def getsockname(self) -> Address:
        self._check()
        return self.local

    def getpeername(self) -> Address:
        self._check()
        if self.remote is None:
            raise os_error(errno.ENOTCONN)
        return self.remote

    def close(self) -> None:
        """Harmless when called again."""
        if not self.is_closed:
            self.is_closed = True
            self.reactor.sockets.pop(self, None)
            self._let_go()

    def lose_power(self) -> None:
        """Gone without a word to anybody."""
        self.is_closed = self.is_gone = True

    # What epoll would tell

    def is_readable(self) -> bool:
        raise NotImplementedError

    def is_writable(self) -> bool:
        raise NotImplementedError

    def has_broken(self) -> bool:
        """An error and nothing to read, which epoll reports as the end."""
        return False

    def wants_turn(self) -> bool:
        return (self.reader is not None and (self.is_readable() or self.has_broken())) or (
            self.writer is not None and self.is_writable()
        )

    def notice(self) -> None:
        """Something may have changed: let whoever waits for it have a turn soon."""
        if not self.is_due and not self.is_closed and self.reactor.alive and self.wants_turn():
            self.is_due = True
            self.host.network.schedule(0.0, self.reactor, "", self.reactor.serve, self)

    def wake(self) -> None:
        """The same, at once: for the kernel, in whose events no process runs."""
        reactor = self.reactor
        if reactor.paused_until > self.host.network.now:
            self.notice()
        elif not self.is_due and not self.is_closed and reactor.alive and self.wants_turn():
            reactor.enter(reactor.serve, (self,), {})

    def _let_go(self) -> None:
        """Closed just now: tell the kernel."""

    def _check(self) -> None:
        if self.is_closed:
            raise os_error(errno.EBADF)
