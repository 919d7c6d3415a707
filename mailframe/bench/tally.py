"""What a load came to: counts, refusals by reply, times."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mailframe.bench.latency import Latencies

_LONGEST_TEXT = 300  # characters of a reply


class Tally:
    """Counted by one process; ``merge`` puts several together.

    ``counts`` has what was done, by name; ``failures`` what went wrong, by step and reply
    (``RCPT 550``), and ``texts`` the first text of each.
    """

    def __init__(self) -> None:
        self.begun = self.ended = 0.0
        """Seconds of the clock; ``ended`` is the last time that anything was done."""
        self.counts: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self.times: dict[str, Latencies] = {}
        self.cpu_seconds = 0.0
        """Of the generator's process."""

    def fail(self, step: str, text: str, code: int | str = "") -> None:
        kind = f"{step} {code}".rstrip()
        self.failures[kind] += 1
        self.texts.setdefault(kind, " ".join(text.split())[:_LONGEST_TEXT])

    def timing(self, name: str) -> Latencies:
        """Made where it is new."""
        return self.times.setdefault(name, Latencies())

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.begun)

    def merge(self, other: Tally) -> None:
        self.begun = min(self.begun or other.begun, other.begun)
        self.ended = max(self.ended, other.ended)
        self.counts.update(other.counts)
        self.failures.update(other.failures)
        self.texts = other.texts | self.texts
        self.cpu_seconds += other.cpu_seconds
        for name, times in other.times.items():
            self.timing(name).add_flat(times.flat())

    # -- between processes ------------------------------------------------------------

    def flat(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "begun": self.begun,
            "ended": self.ended,
            "counts": self.counts,
            "failures": self.failures,
            "texts": self.texts,
            "cpu_seconds": self.cpu_seconds,
            "times": {name: times.flat() for name, times in self.times.items()},
        }

    @classmethod
    def of_flat(cls, flat: dict[str, Any]) -> Tally:
        tally = cls()
        tally.begun, tally.ended = flat["begun"], flat["ended"]
        tally.counts.update(flat["counts"])
        tally.failures.update(flat["failures"])
        tally.texts.update(flat["texts"])
        tally.cpu_seconds = flat["cpu_seconds"]
        for name, times in flat["times"].items():
            tally.timing(name).add_flat(times)
        return tally
