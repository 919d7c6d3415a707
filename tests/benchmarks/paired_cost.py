"""What a server costs while a load runs: the CPU time and memory of its process trees."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType

from mailframe.bench.cost import Meter, Trees

_EVERY = 0.5  # seconds between looks at the memory; a look costs CPU time too


class Cost:
    """A context: afterwards ``cpu_seconds``, ``peak_rss``, ``pss`` and ``processes`` are set,
    as ``mailframe.bench.cost.Spent`` has them."""

    def __init__(self, *roots: int) -> None:
        self._trees = Trees(roots)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.cpu_seconds = 0.0
        self.peak_rss = self.pss = self.processes = 0

    def __enter__(self) -> Cost:
        self._meter = Meter(self._trees)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        spent = self._meter.spent()
        self.cpu_seconds, self.peak_rss = spent.cpu_seconds, spent.peak_rss
        self.pss, self.processes = spent.pss, spent.processes

    def _watch(self) -> None:
        while not self._end.wait(_EVERY):
            self._meter.look()


def settle(roots: Iterable[int], most: float = 60) -> None:
    """Until these servers do nothing any more, or ``most`` seconds."""
    trees = Trees(roots)
    end = time.monotonic() + most
    before = -1.0
    while time.monotonic() < end:
        used = trees.cpu_seconds()
        if used - before < 0.02:
            return
        before = used
        time.sleep(0.5)
