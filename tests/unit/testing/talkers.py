"""Protocols that keep what they hear, for the tests of the simulated network."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer


class Talker(Protocol):
    """``pieces`` as they came; ``lost`` is the exception of the end."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self.pieces: list[bytes] = []
        self.lost: BaseException | None = None
        self.wire: Any = None

    @property
    def heard(self) -> bytes:
        return b"".join(self.pieces)

    def connectionMade(self) -> None:
        self.wire = self.transport
        if self.greeting:
            self.wire.write(self.greeting)

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost = reason.value


@implementer(IHalfCloseableProtocol)
class HalfTalker(Talker):
    """One that goes on when the other has said everything."""

    read_lost = write_lost = False

    def readConnectionLost(self) -> None:
        self.read_lost = True

    def writeConnectionLost(self) -> None:
        self.write_lost = True


class Talkers(Factory):
    def __init__(self, kind: type[Talker] = Talker, greeting: bytes = b"") -> None:
        self.kind = kind
        self.greeting = greeting
        self.made: list[Talker] = []

    def buildProtocol(self, addr: Any) -> Talker:
        talker = self.kind(self.greeting)
        self.made.append(talker)
        return talker


def result_of(deferred: Deferred[Any]) -> Any:
    """What it has come to: an exception where it failed, None while it waits."""
    caught: list[Any] = []

    def keep(value: Any) -> Any:
        caught.append(value.value if isinstance(value, Failure) else value)
        return caught[0]

    deferred.addBoth(keep)
    return caught[0] if caught else None
