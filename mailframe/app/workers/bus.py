"""The supervisor's side of the bus: lines are passed on, as they are, to whom they are for.

Who has joined gets what is for everybody. The supervisor is on the bus itself (``peers``):
it asks workers how they are and tells them what to do.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory
from twisted.logger import Logger

from mailframe.app.workers.peers import EVERYBODY, SUPERVISOR, Peers, line
from mailframe.app.workers.wire import MOST, Wire


class Bus:
    """On the reactor thread. ``unread``: octets that one worker may leave unread."""

    log = Logger()

    def __init__(self, reactor: Any, unread: int = MOST) -> None:
        self._reactor = reactor
        self._unread = unread
        self._wires: dict[str, Wire] = {}
        self._joined: set[str] = set()
        self.peers = Peers(SUPERVISOR, reactor, self._send)
        """The supervisor's own."""

    def connect(self, name: str, end: socket.socket, closed: Callable[[], None]) -> None:
        """``end``: ours of a pair, whose other end the worker has. ``closed`` is called once when
        the worker has closed it, or was cut off for not reading."""
        wire = Wire(
            self._reactor, lambda said: self._pass_on(name, said), closed, most=self._unread
        )
        end.setblocking(False)
        adopt(self._reactor, end, wire)
        self._wires[name] = wire

    def begin(self, name: str, order: bytes) -> None:
        """The first line, which is read before there is anybody at the other end."""
        self._wires[name].send(order)

    def is_overfull(self, name: str) -> bool:
        """Whether the worker was cut off because it did not read."""
        return self._wires[name].is_overfull

    def join(self, name: str) -> list[str]:
        """The worker hears from now on what is told; returns who else does. They are asked to
        tell it what was before."""
        others = sorted(self._joined)
        for other in others:
            self._send(other, line("joined", SUPERVISOR, name))
        self._joined.add(name)
        return others

    def remove(self, name: str) -> None:
        """The worker has ended: what it said last has been passed on, now the others hear that it
        has gone."""
        wire = self._wires.pop(name)
        wire.cut()
        self._joined.discard(name)
        gone = line("lost", SUPERVISOR, name)
        for other in self._joined:
            self._send(other, gone)
        self.peers.received(gone)

    def cut(self, name: str) -> None:
        """Whatever it still has to say. ``closed`` is called."""
        if name in self._wires:
            self._wires[name].cut()

    def _send(self, to: str, said: bytes) -> None:
        wire = self._wires.get(to)
        if wire is not None:
            wire.send(b"%s %s" % (to.encode(), said))

    def _pass_on(self, sender: str, addressed: bytes) -> None:
        to, _, said = addressed.partition(b" ")
        if to == EVERYBODY.encode():
            for name in self._joined:
                if name != sender:
                    self._wires[name].send(addressed)
        elif to == SUPERVISOR.encode():
            self.peers.received(said)
        elif (wire := self._wires.get(to.decode("ascii", "replace"))) is not None:
            wire.send(addressed)
        else:
            # Somebody who has ended meanwhile, or nonsense.
            self.log.debug("nobody is {to}, for whom {sender} has a line", to=to, sender=sender)


def adopt(reactor: Any, end: socket.socket, wire: Wire) -> None:
    """``wire`` has the connection, and ``end`` is closed: the transport has a copy."""
    factory = Factory.forProtocol(lambda: wire)
    factory.noisy = False
    with end:
        reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, factory)
