"""What a server costs while a load runs: the CPU time and memory of its process trees."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from types import TracebackType

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY = 0.5  # seconds between looks at the memory; a look costs CPU time too


class Cost:
    """A context: afterwards ``cpu_seconds``, ``peak_rss`` and ``processes`` are set.

    The CPU time of children that have ended is included where somebody has waited for them.
    ``peak_rss`` is the sum over the processes in octets, so pages that they share count
    several times; ``pss`` is what they hold at the end with shared pages divided.
    """

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.cpu_seconds = 0.0
        self.peak_rss = self.pss = self.processes = 0

    def __enter__(self) -> Cost:
        self._before = self._cpu()
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.cpu_seconds = self._cpu() - self._before
        self._end.set()
        self._thread.join()
        self._look()
        self.pss = sum(map(_pss, self._tree()))

    def _watch(self) -> None:
        while not self._end.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        tree = self._tree()
        self.processes = max(self.processes, len(tree))
        self.peak_rss = max(self.peak_rss, sum(map(_rss, tree)))

    def _cpu(self) -> float:
        # user, system, and the same of children that were waited for
        return sum(sum(map(int, _stat(pid)[11:15])) for pid in self._tree()) / _TICKS

    def _tree(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and (stat := _stat(int(name))):
                children.setdefault(int(stat[1]), []).append(int(name))
        found, open_ends = [], list(self._roots)
        while open_ends:
            pid = open_ends.pop()
            found.append(pid)
            open_ends += children.get(pid, [])
        return found


def _stat(pid: int) -> list[str]:
    """The fields after the command's name; none where the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _rss(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
