"""Several workers in one process: what one tells, the others hear at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.interfaces import IPeers

_log = Logger()
_Listener = Callable[[Any, str], None]


class Bus:
    """``join`` makes a worker's ``IPeers``, ``leave`` ends one."""

    def __init__(self) -> None:
        self.workers: dict[str, BusPeers] = {}

    def join(self, name: str) -> BusPeers:
        """Its parts must be made, and listen, before ``welcome`` is called."""
        peers = self.workers[name] = BusPeers(self, name)
        return peers

    def welcome(self, name: str) -> None:
        """The others tell the newcomer what it could not have heard."""
        newcomer = self.workers[name]
        for other in self.workers.values():
            if other is not newcomer:
                for topic, notes in other.welcomes:
                    for note in notes():
                        newcomer.take(topic, note, other.own)

    def leave(self, name: str) -> None:
        del self.workers[name]
        for other in self.workers.values():
            for listener in other.mourners:
                listener(name)


@implementer(IPeers)
class BusPeers:
    """Notes and answers go through JSON, as between processes."""

    def __init__(self, bus: Bus, own: str) -> None:
        self.own = own
        self.welcomes: list[tuple[str, Callable[[], Iterable[Any]]]] = []
        self.mourners: list[Callable[[str], None]] = []
        self._bus = bus
        self._listeners: dict[str, list[_Listener]] = {}
        self._answerers: dict[str, Callable[[Any], Any]] = {}

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._bus.workers))

    def tell(self, topic: str, note: Any) -> None:
        for other in list(self._bus.workers.values()):
            if other is not self:
                other.take(topic, note, self.own)

    def take(self, topic: str, note: Any, worker: str) -> None:
        """``worker`` has told it."""
        for listener in self._listeners.get(topic, []):
            listener(_copied(note), worker)

    def hear(self, topic: str, listener: _Listener) -> None:
        self._listeners.setdefault(topic, []).append(listener)

    def welcome(self, topic: str, notes: Callable[[], Iterable[Any]]) -> None:
        self.welcomes.append((topic, notes))

    def lost(self, listener: Callable[[str], None]) -> None:
        self.mourners.append(listener)

    def ask(self, topic: str, note: Any) -> Deferred[dict[str, Any]]:
        others = [other for other in self._bus.workers.values() if other is not self]
        return Deferred.fromCoroutine(_answers(others, topic, note))

    def answer(self, topic: str, answerer: Callable[[Any], Any]) -> None:
        self._answerers[topic] = answerer

    def asked(self, topic: str, note: Any) -> Deferred[Any]:
        """Fails where nobody answers."""
        return maybeDeferred(self._answerers[topic], _copied(note))


async def _answers(others: list[BusPeers], topic: str, note: Any) -> dict[str, Any]:
    answers = {}
    for other in others:
        try:
            answers[other.own] = _copied(await other.asked(topic, note))
        except Exception:  # noqa: BLE001 - as the interface has it, and nothing is hidden
            _log.failure("{worker} cannot answer about {topic}", worker=other.own, topic=topic)
    return answers


def _copied(note: Any) -> Any:
    return json.loads(json.dumps(note))
