"""Connections that we make, whose commands leave at the end of the reactor's turn, as the replies
of ``outgoing`` do."""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IConnector
from twisted.internet.posixbase import PosixReactorBase

from mailframe.runtime.outgoing import Gathering, Outgoing


class Dialling:
    """In the reactor's place for Twisted's TCP endpoints. Reactors without sockets of their own
    (simulated ones) dial as they always do."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._has_sockets = isinstance(reactor, PosixReactorBase)
        self._outgoing = Outgoing(reactor)

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30.0, bindAddress: Any = None
    ) -> IConnector:
        if not self._has_sockets:
            plain: IConnector = self._reactor.connectTCP(host, port, factory, timeout, bindAddress)
            return plain
        connector = _Connector(host, port, factory, timeout, bindAddress, self._reactor)
        connector.outgoing = self._outgoing
        connector.connect()
        return connector


class _Connector(tcp.Connector):
    outgoing: Outgoing

    def _makeTransport(self) -> tcp.Client:
        where = (self.host, self.port, self.bindAddress)
        return GatheringClient(*where, self, self.reactor)  # type: ignore[no-untyped-call]


class GatheringClient(Gathering, tcp.Client):
    """A TCP connection that we made."""

    connector: _Connector

    @property
    def outgoing(self) -> Outgoing:
        return self.connector.outgoing
