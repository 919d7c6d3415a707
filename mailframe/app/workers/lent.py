"""Listening at a socket that is somebody else's: the supervisor's, open before we began.

``LentSocket`` stands in for the reactor while an endpoint listens: whatever the description
says (``tcp:``, ``haproxy:tcp:``, ``ssl:``, ``unix:`` ...), what comes of it is a port at the
socket that was inherited. The description still decides what is put around the connections.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorSocket,
    IReactorSSL,
    IReactorTCP,
    IReactorUNIX,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReactorTCP, IReactorSSL, IReactorUNIX, IReactorSocket)
class LentSocket:
    """``descriptor`` stays open: the port has a copy."""

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        return self._adopted(factory)

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        return self._adopted(TLSMemoryBIOFactory(contextFactory, False, factory))

    def listenUNIX(
        self,
        address: str,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        port: Any = _LentUnixPort._fromListeningDescriptor(  # type: ignore[no-untyped-call]
            self._reactor, self._descriptor, factory
        )
        port.mode = mode
        port.startListening()
        listening: IListeningPort = port
        return listening

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        return self._adopted(factory)

    def _adopted(self, factory: IProtocolFactory) -> IListeningPort:
        family = family_of(self._descriptor)
        port: IListeningPort = self._reactor.adoptStreamPort(self._descriptor, family, factory)
        return port


class _LentUnixPort(unix.Port):
    """Its file belongs to whoever made it, and stays."""

    _shouldShutdown = False  # that would end it for all who have it

    def connectionLost(self, reason: Failure) -> None:
        tcp.Port.connectionLost(self, reason)


def family_of(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as probe:
        return probe.family
