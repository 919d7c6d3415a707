"""What a server costs: CPU time and memory of its processes, or of its control group."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from mailframe.runtime.disk import Disk

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT, _USER, _CHILDREN_SYSTEM = 1, 11, 14  # fields of /proc/PID/stat after the name


class Measured(Protocol):
    """Something that costs."""

    def cpu_seconds(self) -> float: ...

    def processes(self) -> list[int]: ...


class Trees:
    """The processes with these ids, and all that descend from them."""

    def __init__(self, roots: Iterable[int], disk: Disk | None = None) -> None:
        self._roots = tuple(roots)
        self._disk = disk or Disk()

    def processes(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in self._disk.scan("/proc"):
            if entry.name.isdigit() and (stat := _stat(self._disk, int(entry.name))):
                children.setdefault(int(stat[_PARENT]), []).append(int(entry.name))
        found: set[int] = set()
        open_ends = [root for root in self._roots if _stat(self._disk, root)]
        while open_ends:
            pid = open_ends.pop()
            if pid not in found:  # a root may descend from another
                found.add(pid)
                open_ends += children.get(pid, [])
        return sorted(found)

    def cpu_seconds(self) -> float:
        """User and system time, and that of children that have ended and were waited for."""
        return sum(_cpu(self._disk, pid) for pid in self.processes())


class Group:
    """A control group of Linux, of version 2 or 1 (``cpuacct``), by its directory."""

    def __init__(self, path: str, disk: Disk | None = None) -> None:
        """Raises OSError where that is none."""
        self._path = path
        self._disk = disk or Disk()
        self.cpu_seconds()

    def processes(self) -> list[int]:
        text = self._disk.read(os.path.join(self._path, "cgroup.procs"))
        return [int(line) for line in text.split()]

    def cpu_seconds(self) -> float:
        """Of all that ever ran in it, those that have ended included."""
        path = os.path.join(self._path, "cpuacct.usage")
        if self._disk.exists(path):
            return int(self._disk.read(path)) / 1e9
        for line in self._disk.read(os.path.join(self._path, "cpu.stat")).splitlines():
            if line.startswith(b"usage_usec "):
                return int(line.split()[1]) / 1e6
        raise OSError(f"{self._path} tells no CPU time")


@dataclass(frozen=True, slots=True)
class Spent:
    """What it cost, over some time."""

    cpu_seconds: float
    peak_rss: int
    """Octets; pages that processes share count for each."""
    pss: int
    """Octets at the end; shared pages are divided. 0 where we may not know."""
    processes: int
    """The most at a time."""


class Meter:
    """Counts from when it is made; ``look`` now and then, for the peaks."""

    def __init__(self, measured: Measured, disk: Disk | None = None) -> None:
        self._measured = measured
        self._disk = disk or Disk()
        self._before = measured.cpu_seconds()
        self._peak = self._most = 0
        self.look()

    def look(self) -> None:
        """Costs some milliseconds itself."""
        processes = self._measured.processes()
        self._most = max(self._most, len(processes))
        self._peak = max(self._peak, rss(processes, self._disk))

    def spent(self) -> Spent:
        """Until now."""
        cpu = self._measured.cpu_seconds() - self._before
        self.look()
        held = pss(self._measured.processes(), self._disk)
        return Spent(max(0.0, cpu), self._peak, held, self._most)


def rss(processes: Iterable[int], disk: Disk | None = None) -> int:
    """Octets, added up."""
    disk = disk or Disk()
    pages = (_read(disk, pid, "statm").split() for pid in processes)
    return sum(int(words[1]) * _PAGE for words in pages if words)


def pss(processes: Iterable[int], disk: Disk | None = None) -> int:
    """Octets, shared pages divided among all that have them."""
    disk = disk or Disk()
    total = 0
    for pid in processes:
        for line in _read(disk, pid, "smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _cpu(disk: Disk, pid: int) -> float:
    """Its own, and that of children that were waited for."""
    ticks = [int(word) / _TICKS for word in _stat(disk, pid)[_USER : _CHILDREN_SYSTEM + 1]]
    # Ticks are cut off, which is much of a process that has done little; the scheduler's
    # nanoseconds are of the threads that are still there. Neither says too much.
    return max(sum(ticks[:2]), _threads(disk, pid)) + sum(ticks[2:])


def _threads(disk: Disk, pid: int) -> float:
    path = f"/proc/{pid}/task"
    try:
        threads = [entry.name for entry in disk.scan(path)]
    except OSError:
        return 0.0
    told = (_read(disk, pid, f"task/{thread}/schedstat").split() for thread in threads)
    return sum(int(words[0]) for words in told if words) / 1e9


def _stat(disk: Disk, pid: int) -> list[bytes]:
    """The fields after the command's name, which may hold anything; none where it is gone."""
    return _read(disk, pid, "stat").rpartition(b")")[2].split()


def _read(disk: Disk, pid: int, name: str) -> bytes:
    """Empty where the process is gone, or not ours to look at."""
    try:
        return disk.read(f"/proc/{pid}/{name}")
    except OSError:
        return b""
