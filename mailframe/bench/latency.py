"""Many times in little memory: a histogram whose buckets grow by one percent."""

from __future__ import annotations

import math
from collections.abc import Sequence

_GROWTH = 1.01
_SCALE = 1 / math.log(_GROWTH)
_UNIT = 1e-6  # seconds in the first bucket
_BUCKETS = int(math.log(1e5 / _UNIT) * _SCALE) + 1  # up to a day

Flat = tuple[float, float, dict[str, int]]


class Latencies:
    """Seconds. A percentile is at most one percent off; ``most`` and ``mean`` are exact."""

    __slots__ = ("_counts", "_sum", "count", "most")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._sum = 0.0
        self.count = 0
        self.most = 0.0

    def add(self, seconds: float) -> None:
        bucket = int(math.log(seconds / _UNIT) * _SCALE) if seconds > _UNIT else 0
        self._counts[min(bucket, _BUCKETS - 1)] += 1
        self._sum += seconds
        self.count += 1
        self.most = max(self.most, seconds)

    @property
    def mean(self) -> float:
        return self._sum / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Seconds within which that part of all were done; 0 where there were none."""
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min(_UNIT * math.pow(_GROWTH, bucket + 0.5), self.most)
        return 0.0

    def milliseconds(self, percents: Sequence[float] = (50, 90, 99)) -> dict[str, float]:
        """``p50``, ``p90``, ``p99``, ``max`` and ``mean``."""
        found = {f"p{percent:g}": 1000 * self.percentile(percent) for percent in percents}
        return found | {"max": 1000 * self.most, "mean": 1000 * self.mean}

    # -- between processes ------------------------------------------------------------

    def flat(self) -> Flat:
        """For JSON."""
        counts = {str(bucket): count for bucket, count in enumerate(self._counts) if count}
        return self._sum, self.most, counts

    def add_flat(self, flat: Flat) -> None:
        total, most, counts = flat
        self._sum += total
        self.most = max(self.most, most)
        for bucket, count in counts.items():
            self._counts[int(bucket)] += count
            self.count += count
