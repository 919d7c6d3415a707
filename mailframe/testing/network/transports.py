"""Twisted's own TCP and UDP transports on simulated sockets.

Buffers, producers, half closes, connectors and the accept loop are the code that serves in the
real world; only the sockets below them are ours. There is no TLS in the simulation: OpenSSL
draws its own random numbers, and no seed reaches them.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp, udp
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableDescriptor,
    IListeningPort,
    IPushProducer,
    IReadWriteDescriptor,
    ISystemHandle,
    ITCPTransport,
)
from zope.interface import implementer, implementer_only

from mailframe.testing.network.datagram import DatagramSocket
from mailframe.testing.network.stream import ListeningSocket, StreamSocket

_NO_TLS = "there is no TLS in the simulation"
_STREAM = (
    IConsumer,
    IHalfCloseableDescriptor,
    IPushProducer,
    IReadWriteDescriptor,
    ISystemHandle,
    ITCPTransport,
)
"""What Twisted's connections provide, but ITLSTransport."""


@implementer_only(*_STREAM)
class SimServer(tcp.Server):
    """The accepted end of a connection."""

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        raise NotImplementedError(_NO_TLS)


@implementer_only(*_STREAM)
class SimClient(tcp.Client):
    """The end that connected."""

    def createInternetSocket(self) -> Any:
        # The base class sets its own reactor later than it asks for this.
        return StreamSocket(self.connector.reactor, self.addressFamily)

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        raise NotImplementedError(_NO_TLS)


class SimConnector(tcp.Connector):
    def _makeTransport(self) -> Any:
        return SimClient(  # type: ignore[no-untyped-call]
            self.host, self.port, self.bindAddress, self, self.reactor
        )


@implementer(IListeningPort)
class SimPort(tcp.Port):
    transport = SimServer

    def createInternetSocket(self) -> Any:
        reactor: Any = self.reactor
        return ListeningSocket(reactor.host, self.addressFamily)


@implementer(IListeningPort)
class SimUdpPort(udp.Port):
    def createInternetSocket(self) -> Any:
        return DatagramSocket(self.reactor, self.addressFamily)


# Unix sockets


class _UnixServer(SimServer):
    def getHost(self) -> UNIXAddress:
        return UNIXAddress(self.socket.getsockname()[0])

    def getPeer(self) -> UNIXAddress:
        return UNIXAddress(None)


class _UnixClient(SimClient):
    addressFamily = socket.AF_UNIX

    def __init__(self, path: str, connector: Any, reactor: Any) -> None:
        # The base class wants host and port; to the sockets a path is the host.
        super().__init__(  # type: ignore[no-untyped-call]
            "127.0.0.1", 0, None, connector, reactor
        )
        self.addr = (path, 0)

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(None)

    def getPeer(self) -> UNIXAddress:
        return UNIXAddress(self.addr[0])


class SimUnixConnector(tcp.Connector):
    def __init__(self, path: str, factory: Any, timeout: float, reactor: Any) -> None:
        super().__init__(path, 0, factory, timeout, None, reactor)

    def _makeTransport(self) -> Any:
        return _UnixClient(self.host, self, self.reactor)

    def getDestination(self) -> UNIXAddress:
        return UNIXAddress(self.host)


class SimUnixPort(SimPort):
    transport = _UnixServer
    addressFamily = socket.AF_UNIX

    def __init__(self, path: str, factory: Any, backlog: int, reactor: Any) -> None:
        super().__init__(0, factory, backlog, "", reactor)
        self._path = path

    def startListening(self) -> None:
        self.interface = self._path
        super().startListening()

    def _buildAddr(self, address: Any) -> UNIXAddress:
        return UNIXAddress(None)

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(self._path)
