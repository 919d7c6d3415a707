"""Doors: the open listeners, and which factory their next connection gets.

Binding and accepting are two steps. Ports are bound first (a port below 1024 needs the
privileges that ``twistd --uid`` sheds right after), and nobody is let in before the server
is ready. A reload puts a new factory behind an open door: sessions under way stay with the
old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet import endpoints
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol, IProtocolFactory
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.runtime.aio import result_of


@dataclass(frozen=True, slots=True)
class Listener:
    """One ``[listen.NAME]``: where, and who serves it."""

    name: str
    endpoint: str
    """A server endpoint description of Twisted's."""
    factory: IProtocolFactory
    """Already wrapped where TLS is implicit."""


@implementer(IProtocolFactory)
class _Door:
    def __init__(self, factory: IProtocolFactory) -> None:
        self.behind = factory

    def doStart(self) -> None:
        self.behind.doStart()

    def doStop(self) -> None:
        self.behind.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        return self.behind.buildProtocol(addr)


class Doors:
    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._open: dict[str, tuple[str, _Door, IListeningPort]] = {}
        self._accepting = False

    async def set(self, listeners: Mapping[str, Listener]) -> None:
        """Bind what is new, swap the factory of what stays, close what went.

        Raises CannotListenError before anything was closed; what was newly bound stays.
        """
        for listener in listeners.values():
            await self._bind(listener)
        for name in [name for name in self._open if name not in listeners]:
            await self._close(name)

    async def _bind(self, listener: Listener) -> None:
        present = self._open.get(listener.name)
        if present is not None and present[0] == listener.endpoint:
            present[1].behind = listener.factory
            return
        if present is not None:
            await self._close(listener.name)
        door = _Door(listener.factory)
        endpoint = endpoints.serverFromString(self._reactor, listener.endpoint)
        port: IListeningPort = await endpoint.listen(door)
        self._open[listener.name] = (listener.endpoint, door, port)
        if not self._accepting:
            _hold(port)

    async def _close(self, name: str) -> None:
        _, _, port = self._open.pop(name)
        await result_of(port.stopListening())

    def accept(self) -> None:
        """Let everybody in."""
        self._accepting = True
        for _, _, port in self._open.values():
            if hasattr(port, "startReading"):
                port.startReading()

    async def close(self) -> None:
        """Nobody new; sessions under way are their factories' affair."""
        self._accepting = False
        for name in list(self._open):
            await self._close(name)

    def addresses(self) -> dict[str, str]:
        """Where each listener really is: ``127.0.0.1:2525``, or the path of a socket."""
        return {name: _text(port.getHost()) for name, (_, _, port) in self._open.items()}


def _hold(port: IListeningPort) -> None:
    # The kernel queues whoever comes meanwhile. Ports of other kinds (a plugin's) that
    # cannot pause accept at once, which is only less tidy.
    if hasattr(port, "stopReading"):
        port.stopReading()


def _text(address: Any) -> str:
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", b"")
        return name.decode() if isinstance(name, bytes) else str(name)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
