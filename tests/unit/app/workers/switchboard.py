"""A bus without sockets: lines go where their first word says, in the order of their sending."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.task import Clock

from mailframe.app.workers.peers import EVERYBODY, SUPERVISOR, Peers, line


class Switchboard:
    def __init__(self) -> None:
        self.clock = Clock()
        self.members: dict[str, Peers] = {}
        self.joined: list[str] = []
        self.silent: set[str] = set()
        """Their lines wait."""
        self._lines: dict[str, deque[tuple[str, bytes]]] = {}
        self.supervisor = self._add(SUPERVISOR)
        self.supervisor.answer("join", self._join)

    def _add(self, name: str) -> Peers:
        self._lines[name] = deque()
        self.members[name] = Peers(
            name, self.clock, lambda to, said: self._lines[name].append((to, said))
        )
        return self.members[name]

    def worker(self, name: str) -> Peers:
        return self._add(name)

    def joins(self, name: str) -> Peers:
        """It is up when this returns."""
        peers = self.members.get(name) or self._add(name)
        peers.join()
        self.run()
        return peers

    def _join(self, name: str) -> list[str]:
        others = list(self.joined)
        said = line("joined", SUPERVISOR, name)
        self._lines[SUPERVISOR].extend((other, said) for other in others)
        self.joined.append(name)
        return others

    def dies(self, name: str) -> None:
        self.joined.remove(name)
        del self.members[name]
        for other in [*self.joined, SUPERVISOR]:
            self.members[other].received(line("lost", SUPERVISOR, name))
        self.run()

    def run(self) -> None:
        """All lines arrive. The supervisor's first: it passes the others' on."""
        while names := [name for name in self._lines if self._may_speak(name)]:
            self.one_line(names[0])

    def one_line(self, name: str) -> None:
        """The first that waits of this one's arrives."""
        to, said = self._lines[name].popleft()
        for receiver in self._receivers(name, to):
            self.members[receiver].received(said)

    def _may_speak(self, name: str) -> bool:
        return bool(self._lines[name]) and name not in self.silent

    def _receivers(self, sender: str, to: str) -> list[str]:
        if to == EVERYBODY:
            return [name for name in self.joined if name != sender]
        return [to] if to in self.members else []


class Notes(list[Any]):
    """Hears everything of one topic."""

    def __init__(self, peers: Peers, topic: str) -> None:
        super().__init__()
        peers.hear(topic, lambda note, worker: self.append((worker, note)))
