"""Being the only worker: there is nobody to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mailframe.interfaces import IPeers


@implementer(IPeers)
class Alone:
    """``IPeers`` of a server of one process."""

    def __init__(self, own: str = "") -> None:
        self.own = own

    def names(self) -> tuple[str, ...]:
        return (self.own,)

    def tell(self, topic: str, note: Any) -> None:
        """Nobody hears it."""

    def hear(self, topic: str, listener: Callable[[Any, str], None]) -> None:
        """Nobody speaks."""

    def welcome(self, topic: str, notes: Callable[[], Iterable[Any]]) -> None:
        """Nobody comes."""

    def lost(self, listener: Callable[[str], None]) -> None:
        """Nobody goes."""

    def ask(self, topic: str, note: Any) -> Deferred[dict[str, Any]]:
        return succeed({})

    def answer(self, topic: str, answerer: Callable[[Any], Any]) -> None:
        """Nobody asks."""
