"""Answers by name and type until they expire; the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailframe.errors import DnsError

# RFC 2181 section 8 leaves the upper bound to us; a week-old MX helps nobody.
MAX_TTL = 86_400
# RFC 2308 section 5: "values of one to three hours have been found to work well".
MAX_NEGATIVE_TTL = 10_800


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking once came to: records, or the error that says why there are none."""

    records: tuple[Any, ...] = ()
    error: DnsError | None = None
    ttl: float = 0.0
    """Seconds it may be kept; 0: not at all."""


class Cache:
    """``capacity`` outcomes; ``seconds`` is any clock that does not step back."""

    def __init__(self, capacity: int, seconds: Callable[[], float]) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, int], tuple[float, Outcome]] = OrderedDict()

    def get(self, key: tuple[str, int]) -> Outcome | None:
        entry = self._kept.get(key)
        if entry is None:
            return None
        expires, outcome = entry
        if expires <= self._seconds():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return outcome

    def put(self, key: tuple[str, int], outcome: Outcome) -> None:
        if outcome.ttl <= 0:
            return
        self._kept[key] = (self._seconds() + outcome.ttl, outcome)
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)
