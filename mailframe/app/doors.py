"""Doors: the open listeners, and which factory their next connection gets.

Binding, furnishing and accepting are three steps. Ports are bound first (one below 1024
needs the privileges that ``twistd --uid`` sheds right after), factories are put behind them
when the server's parts are ready, and only then is anybody let in. A reload puts a new
factory behind an open door: sessions under way stay with the old one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet import endpoints
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    ILoggingContext,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from mailframe.app.workers.lent import LentSocket
from mailframe.errors import MailframeError
from mailframe.runtime.aio import result_of
from mailframe.runtime.outgoing import Outgoing

_BACKLOG = 1024  # the kernel lowers it to net.core.somaxconn
_AT_ONCE = 4
"""Connections that a listener takes in one turn of the reactor. A greeting with all its questions
to lists costs milliseconds, a handshake one or two: the others of a burst wait in the kernel, and
not everybody who is there already."""


@implementer(IProtocolFactory, ILoggingContext)
class _Door:
    behind: IProtocolFactory | None = None

    def __init__(self, name: str) -> None:
        self._name = name

    def logPrefix(self) -> str:
        return f"listener {self._name}"

    def doStart(self) -> None:
        """The port is open; the factory behind may change, so it is not told."""

    def doStop(self) -> None:
        """Likewise."""

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        return self.behind.buildProtocol(addr) if self.behind is not None else None


@dataclass(slots=True)
class _Open:
    endpoint: str
    door: _Door
    port: IListeningPort


class Doors:
    """``lent``: descriptors of sockets, by listener, that are open already and somebody else's."""

    def __init__(self, reactor: Any, lent: Mapping[str, int] | None = None) -> None:
        self._reactor = reactor
        self._lent = dict(lent or {})
        self._outgoing = Outgoing(reactor)
        self._open: dict[str, _Open] = {}
        self._accepting = False

    async def bind(self, wanted: Mapping[str, str]) -> None:
        """Open what is not open yet: listener's name -> Twisted's endpoint description.

        A listener whose endpoint changed is moved. Raises CannotListenError, and then every
        door is as it was.
        """
        fresh: dict[str, _Open] = {}
        try:
            for name, endpoint in wanted.items():
                present = self._open.get(name)
                if present is None or present.endpoint != endpoint:
                    fresh[name] = await self._listen(name, endpoint)
        except BaseException:
            for opened in fresh.values():
                await result_of(opened.port.stopListening())
            raise
        for name, opened in fresh.items():
            if name in self._open:
                await self._close(name)
            self._open[name] = opened

    def furnish(self, factories: Mapping[str, IProtocolFactory]) -> None:
        """Say who serves the next connection at each door."""
        for name, factory in factories.items():
            opened = self._open[name]
            opened.door.behind = factory
            if self._accepting:
                _let_in(opened.port)

    async def keep(self, names: set[str]) -> None:
        """Close every door that is not named."""
        for name in self._open.keys() - names:
            await self._close(name)

    def accept(self) -> None:
        """Let everybody in, at doors opened later too."""
        self._accepting = True
        for opened in self._open.values():
            _let_in(opened.port)

    async def close(self) -> None:
        """Nobody new; sessions under way are their factories' affair."""
        self._accepting = False
        await self.keep(set())

    @property
    def is_accepting(self) -> bool:
        """Whether everybody is let in."""
        return self._accepting

    def addresses(self) -> dict[str, str]:
        """Where each listener really is: ``127.0.0.1:2525``, or the path of a socket."""
        return {name: _text(opened.port.getHost()) for name, opened in self._open.items()}

    def tcp_addresses(self) -> list[tuple[str, int]]:
        """Host and port of every TCP listener."""
        hosts: list[Any] = [opened.port.getHost() for opened in self._open.values()]
        return [(at.host, at.port) for at in hosts if hasattr(at, "host")]

    def descriptors(self) -> dict[str, int]:
        """Of the open sockets by listener, for other processes to accept at. Raises
        MailframeError for a listener that is no socket."""
        found = {}
        for name, opened in self._open.items():
            fileno = getattr(opened.port, "fileno", None)
            if fileno is None:
                raise MailframeError(f"the listener {name} ({opened.endpoint}) is no socket")
            found[name] = fileno()
        return found

    async def _listen(self, name: str, endpoint: str) -> _Open:
        door = _Door(name)
        at = self._reactor
        if name in self._lent:
            at = LentSocket(self._reactor, self._lent[name])
        elif endpoint.startswith("unix:"):
            _make_directory(endpoint)
        port = await endpoints.serverFromString(at, endpoint).listen(door)
        _deepen(port)
        _slow_down(port)
        self._outgoing.serve(port)
        # The kernel queues whoever comes meanwhile. A port of another kind (a plugin's) that
        # cannot pause turns early callers away, which is only less polite.
        if hasattr(port, "stopReading"):
            port.stopReading()
        return _Open(endpoint, door, port)

    async def _close(self, name: str) -> None:
        await result_of(self._open.pop(name).port.stopListening())


def _make_directory(endpoint: str) -> None:
    """Where the Unix socket will be, as open to others as the umask has it: those who deliver
    there are other users. Raises OSError."""
    # Here because it brings a test framework along, which is megabytes.
    from twisted.internet.testing import MemoryReactor

    notes = MemoryReactor()  # opens nothing
    endpoints.serverFromString(notes, endpoint).listen(Factory())
    for path, *_ in notes.unixServers:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)


def _let_in(port: Any) -> None:
    if hasattr(port, "startReading"):
        port.startReading()


def _deepen(port: Any) -> None:
    """Twisted's endpoints queue 50 connections; a burst of more costs each of the others the
    second that a SYN takes to be repeated. listen(2) may be called again."""
    if isinstance(listening := getattr(port, "socket", None), socket.socket):
        listening.listen(_BACKLOG)


def _slow_down(port: Any) -> None:
    """Twisted takes twenty more with every full round, without end."""
    if not hasattr(port, "numberAccepts"):
        return
    accept = port.doRead

    def accept_some() -> None:
        port.numberAccepts = min(port.numberAccepts, _AT_ONCE)
        accept()

    port.doRead = accept_some


def _text(address: Any) -> str:
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", b"")
        return name.decode() if isinstance(name, bytes) else str(name)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
