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

_OUTCOME = 500  # octets of an entry without records
_RECORD = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking once came to: records, or the error that says why there are none."""

    records: tuple[Any, ...] = ()
    error: DnsError | None = None
    ttl: float = 0.0
    """Seconds it may be kept; 0: not at all."""

    @property
    def octets(self) -> int:
        """What it takes in memory, about."""
        texts = (getattr(record, "host", record) for record in self.records)
        return _OUTCOME + sum(_RECORD + len(text) for text in texts)


class Cache:
    """``capacity`` outcomes that take about ``octets`` of memory; ``seconds`` is any clock that
    does not step back."""

    def __init__(self, capacity: int, seconds: Callable[[], float], octets: int = 32 << 20) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._most_octets = octets
        self._octets = 0
        self._kept: OrderedDict[tuple[str, int], tuple[float, Outcome]] = OrderedDict()

    def get(self, key: tuple[str, int]) -> Outcome | None:
        entry = self._kept.get(key)
        if entry is None:
            return None
        expires, outcome = entry
        if expires <= self._seconds():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return outcome

    def put(self, key: tuple[str, int], outcome: Outcome) -> None:
        if outcome.ttl <= 0:
            return
        self._drop(key)
        self._kept[key] = (self._seconds() + outcome.ttl, outcome)
        self._octets += outcome.octets
        while len(self._kept) > self._capacity or self._octets > self._most_octets:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, int]) -> None:
        _, outcome = self._kept.pop(key, (0.0, None))
        if outcome is not None:
            self._octets -= outcome.octets

    def __len__(self) -> int:
        return len(self._kept)
