"""What is counted between two scrapes: counters and histograms, as cheap as Python has them.

prometheus_client's own objects take a lock and look up a child at each event, which is five to
ten times the price (``tests/benchmarks/metrics_cost.py``). Here a counter is a dict, a histogram
is a list. Each is written by one thread only; a reader of another one may see a count without
its sum, which the next scrape makes good.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from mailframe.metrics.snapshot import Family, Kind

Labels = tuple[str, ...]

OTHER = "other"
MOST_SERIES = 200
"""Of one family: what a plugin, or a bug, names beyond that is counted together."""


class Counter:
    """``add(labels)``; a series is there from its first event on, or from the start where
    ``known`` has it: what has never happened is to be seen as 0, and its first time as growth."""

    def __init__(
        self,
        name: str,
        help: str,
        labels: Labels = (),
        *,
        known: Iterable[Labels] = (),
        most: int = MOST_SERIES,
    ) -> None:
        """``name`` without ``_total``."""
        self.name = name
        self._help = help
        self._labels = labels
        self._most = most
        self._other = (OTHER,) * len(labels)
        self._values: dict[Labels, float] = dict.fromkeys(known if labels else [()], 0)

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        try:
            self._values[labels] += amount
        except KeyError:
            self._begin(labels, amount)

    def know(self, labels: Labels) -> None:
        """It may happen: show it as 0."""
        self.add(labels, 0)

    def _begin(self, labels: Labels, amount: float) -> None:
        if len(self._values) >= self._most:
            labels = self._other
        self._values[labels] = self._values.get(labels, 0) + amount

    def family(self) -> Family:
        series = tuple((labels, (value,)) for labels, value in self._values.copy().items())
        return Family(self.name, Kind.COUNTER, self._help, self._labels, series)


class Spread:
    """One series of a histogram: ``counts[n]`` is of those up to ``bounds[n]``, and beyond the
    one before; the last is of the rest."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Histogram:
    """``observe(value, labels)``, or ``of(labels).observe(value)`` where one is kept."""

    def __init__(
        self,
        name: str,
        help: str,
        bounds: Sequence[float],
        labels: Labels = (),
        *,
        known: Iterable[Labels] = (),
        most: int = MOST_SERIES,
    ) -> None:
        self.name = name
        self._help = help
        self._bounds = tuple(bounds)
        self._labels = labels
        self._most = most
        self._other = (OTHER,) * len(labels)
        self._spreads = {given: Spread(bounds) for given in (known if labels else [()])}

    def of(self, labels: Labels = ()) -> Spread:
        spread = self._spreads.get(labels)
        if spread is None:
            if len(self._spreads) >= self._most:
                labels = self._other
            spread = self._spreads.setdefault(labels, Spread(self._bounds))
        return spread

    def observe(self, value: float, labels: Labels = ()) -> None:
        self.of(labels).observe(value)

    def family(self) -> Family:
        spreads = self._spreads.copy().items()
        # OpenMetrics: what can be below zero has no sum, for a sum that falls is no counter.
        has_sum = self._bounds[0] >= 0
        series = tuple(
            (labels, (*each.counts, each.sum) if has_sum else tuple(each.counts))
            for labels, each in spreads
        )
        return Family(self.name, Kind.HISTOGRAM, self._help, self._labels, series, self._bounds)


def exponential(first: float, factor: int, count: int) -> tuple[float, ...]:
    """Bounds that grow by ``factor``."""
    return tuple(float(first * factor**number) for number in range(count))
