"""Which worker of several sees to what: a way out has one owner, so that limits hold.

Rendezvous hashing (Thaler and Ravishankar, 1998): each worker counts for each way as much as
a hash of both, and the highest has it. All compute the same, nobody is asked, and when a
worker comes or goes only its own share moves.
"""

from __future__ import annotations

import hashlib

from mailframe.interfaces import IPeers

_REMEMBERED = 50_000


class Ownership:
    def __init__(self, peers: IPeers) -> None:
        self._peers = peers
        self._names: tuple[str, ...] = ()
        self._known: dict[str, bool] = {}

    @property
    def is_first(self) -> bool:
        """Whether what one worker must do for all of them is this one's."""
        return self._peers.names()[0] == self._peers.own

    def is_own(self, way: str) -> bool:
        """Whether this worker sees to ``way``, a next hop."""
        names = self._peers.names()
        if len(names) == 1:
            return True
        if names != self._names or len(self._known) >= _REMEMBERED:
            self._names = names
            self._known.clear()
        found = self._known.get(way)
        if found is None:
            found = self._known[way] = owner(way, names) == self._peers.own
        return found


def owner(way: str, names: tuple[str, ...]) -> str:
    """Who of ``names`` has ``way``."""
    return max(names, key=lambda name: _weight(name, way))


def _weight(name: str, way: str) -> tuple[bytes, str]:
    text = f"{name}\0{way}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=8).digest(), name
