"""Counting what several workers hold together: connections by address, for example.

Each worker counts its own and tells the others the new figures of what changed, gathered for
``_GATHER`` seconds. So the sum is behind by that much: workers that count in at the same moment
may pass a limit by what came within it. Figures are told whole, not as differences: nothing
that is lost or comes twice makes them wrong for longer than until the next change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mailframe.interfaces import IPeers

_GATHER = 0.02
_AT_ONCE = 1_000  # figures in one note

_Figures = list[tuple[str, int]]


class Tally:
    """``topic`` tells it from others. Keys are texts, counts never below zero."""

    def __init__(self, peers: IPeers, topic: str, clock: IReactorTime) -> None:
        self._peers = peers
        self._topic = topic
        self._clock = clock
        self._own: Counter[str] = Counter()
        self._others: dict[str, dict[str, int]] = {}
        self._elsewhere: Counter[str] = Counter()
        """The sum of the others'."""
        self._changed: dict[str, None] = {}
        self._timer: IDelayedCall | None = None
        peers.hear(topic, self._heard)
        peers.welcome(topic, self._all)
        peers.lost(self._lost)

    def add(self, key: str, count: int) -> None:
        """``count`` below zero takes away."""
        self._own[key] += count
        if not self._own[key]:
            del self._own[key]
        if len(self._peers.names()) > 1:
            self._changed[key] = None
            if self._timer is None:
                self._timer = self._clock.callLater(_GATHER, self._tell)

    def total(self, key: str) -> int:
        """Of all workers."""
        return self._own[key] + self._elsewhere[key]

    def stop(self) -> None:
        """Tell no more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _tell(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, {}
        for note in _pieces([(key, self._own[key]) for key in changed]):
            self._peers.tell(self._topic, note)

    def _all(self) -> Iterator[_Figures]:
        return _pieces(list(self._own.items()))

    def _heard(self, note: _Figures, worker: str) -> None:
        theirs = self._others.setdefault(worker, {})
        for key, count in note:
            self._elsewhere[key] += count - theirs.pop(key, 0)
            if count:
                theirs[key] = count
            if not self._elsewhere[key]:
                del self._elsewhere[key]

    def _lost(self, worker: str) -> None:
        self._heard([(key, 0) for key in self._others.get(worker, {})], worker)
        self._others.pop(worker, None)


def _pieces(figures: _Figures) -> Iterator[_Figures]:
    for start in range(0, len(figures), _AT_ONCE):
        yield figures[start : start + _AT_ONCE]
