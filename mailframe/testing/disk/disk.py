"""``SimDisk``: the seam of ``runtime.disk`` on a file system in memory.

It answers like the real one, errors too, and knows what a power cut would leave of it. What
can go wrong is set on it: ``faults``, ``capacity``, ``cut_power``; and for tests of the tests
``skip`` and ``swap``, which plant bugs.
"""

from __future__ import annotations

import errno
import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from random import Random
from typing import BinaryIO, cast

from mailframe.runtime.disk import Disk, DiskCell, DiskFile, DiskGate, DiskLock
from mailframe.testing.disk import states, vfs
from mailframe.testing.disk.durability import Durability
from mailframe.testing.disk.faults import Faults
from mailframe.testing.disk.handles import SimCell, SimEntry, SimFile, SimGate, SimLock, SimReader
from mailframe.testing.disk.nodes import DirectoryNode, FileNode, fault, status_of
from mailframe.testing.disk.ops import Op
from mailframe.testing.disk.states import CrashState
from mailframe.testing.disk.volume import Volume


class SimDisk(Disk):
    """``capacity`` in octets of file content; None is boundless. ``seed`` fixes what SQLite
    draws. Paths are absolute; "/" exists."""

    def __init__(
        self, seed: int = 0, capacity: int | None = None, *, volume: Volume | None = None
    ) -> None:
        self.volume = volume if volume is not None else Volume(seed=seed, capacity=capacity)
        """What is on it (``mailframe.testing.disk.volume``)."""
        self._history: states.History | None = None

    # What tests turn and look at

    @property
    def trace(self) -> list[Op]:
        """Every change, in the order in which it was done."""
        return self.volume.trace

    @property
    def count(self) -> int:
        """Of changes so far: the number of the next one."""
        return self.volume.count

    @property
    def faults(self) -> Faults:
        """What is to go wrong."""
        return self.volume.faults

    @property
    def is_lost(self) -> bool:
        """Power was cut, or ``lose``."""
        return self.volume.is_lost

    @property
    def capacity(self) -> int | None:
        """Octets; None: it is never full."""
        return self.volume.capacity

    @capacity.setter
    def capacity(self, octets: int | None) -> None:
        self.volume.capacity = octets

    @property
    def clock(self) -> Callable[[], float] | None:
        """Seconds since the epoch, for stamps. None: each change takes 4 ms, from one instant
        on, whatever else the time is."""
        return self.volume.clock

    @clock.setter
    def clock(self, clock: Callable[[], float] | None) -> None:
        self.volume.clock = clock

    @property
    def skip(self) -> Callable[[Op], bool] | None:
        """Changes for which it returns True are not done, and nobody is told."""
        return self.volume.skip

    @skip.setter
    def skip(self, skip: Callable[[Op], bool] | None) -> None:
        self.volume.skip = skip

    @property
    def swap(self) -> tuple[int, int] | None:
        """Numbers of two adjacent changes. The first is seen by programs when it is asked for,
        but reaches the disk only after the second; without a second, never."""
        return self.volume.swap

    @swap.setter
    def swap(self, swap: tuple[int, int] | None) -> None:
        if swap is not None and swap[1] != swap[0] + 1:
            raise ValueError("only adjacent operations can be swapped")
        self.volume.swap = swap

    def cut_power(self, at: int) -> None:
        """Change number ``at`` is not done; it and all that is asked afterwards raises
        PowerLost."""
        self.volume.cut_at = at

    def lose(self) -> None:
        """From now on everything raises PowerLost."""
        self.volume.is_lost = True

    def crash_states(self, at: int, limit: int, random: Random) -> Iterator[CrashState]:
        """States that a power cut before change number ``at`` may leave, each once, at most
        ``limit`` of them. The same for the same trace and ``random``."""
        return states.crash_states(self._durability(at), limit, random, self.volume)

    def crashed(self, random: Random) -> SimDisk:
        """What a machine finds after a power cut now: one state, drawn."""
        return states.drawn(self.volume.durability, random, self.volume).disk()

    def killed(self) -> SimDisk:
        """What the next process finds when this one is killed: all that was written is there,
        and no more durable than before. Faults and capacity stay."""
        return self.snapshot()

    def snapshot(self) -> SimDisk:
        """A clone, as cheap as possible: what is not changed is shared. Its trace begins
        anew."""
        return SimDisk(volume=self._copy())

    def forget(self) -> None:
        """Begin the trace anew; what is pending stays so."""
        with self.volume.guard:
            self.volume.origin = self.volume.durability.copy()
            self.volume.trace = []
            self.volume.first = self.volume.count
            self._history = None

    def record(self, on: bool) -> None:
        """Whether a trace is kept. ``crash_states`` needs it, ``crashed`` does not."""
        self.volume.is_recording = on
        self.forget()

    # The seam

    def create(self, path: str) -> DiskFile:
        return SimFile(self.volume, path, self.volume.create(path), 0)

    def append(self, path: str) -> DiskFile:
        with self.volume.guard:
            self.volume.reading(path)
            return SimFile(self.volume, path, self._existing_file(path).inode, None)

    def cell(self, path: str) -> DiskCell:
        with self.volume.guard:
            return SimCell(self.volume, path, self._made_file(path))

    def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
        if self.make_file(path):
            self.sync_directory(os.path.dirname(path))
        try:
            return vfs.connect(self.volume, path, timeout)
        except sqlite3.Error:
            self.volume.check_power()
            raise

    def connect_frozen(self, path: str) -> sqlite3.Connection:
        return vfs.connect_frozen(self.volume, path)

    def set_mode(self, path: str, mode: int) -> None:
        self.volume.set_mode(path, mode)

    def make_file(self, path: str) -> bool:
        try:
            self.volume.create(path)
        except FileExistsError:
            return False
        return True

    def exists(self, path: str) -> bool:
        self.volume.check_power()
        try:
            return self.volume.nodes.look_up(path) is not None
        except OSError:
            return False

    def is_directory(self, path: str) -> bool:
        self.volume.check_power()
        try:
            return isinstance(self.volume.nodes.look_up(path), DirectoryNode)
        except OSError:
            return False

    def open(self, path: str) -> BinaryIO:
        with self.volume.guard:
            self.volume.reading(path)
            reader = SimReader(self.volume, path, self._regular(path).inode)
        return cast("BinaryIO", io.BufferedReader(reader))

    def read(self, path: str) -> bytes:
        with self.volume.guard:
            self.volume.reading(path)
            return bytes(self._regular(path).content)

    def read_known(self, path: str, octets: int) -> bytes | None:
        data = self.read(path)
        return data if len(data) == octets else None

    def facts(self, file: BinaryIO) -> os.stat_result:
        raw = cast("io.BufferedReader", file).raw
        assert isinstance(raw, SimReader)
        return raw.status()

    def lock(self, path: str) -> DiskLock | None:
        with self.volume.guard:
            inode = self._made_file(path)
            if inode in self.volume.locks:
                return None
            self.volume.locks.add(inode)
            return SimLock(self.volume, inode)

    def gate(self, path: str) -> DiskGate:
        with self.volume.guard:
            return SimGate(self.volume, self._made_file(path))

    def rename(self, source: str, target: str) -> None:
        self.volume.rename(source, target)

    def link(self, source: str, target: str) -> None:
        self.volume.link(source, target)

    def unlink(self, path: str) -> None:
        self.volume.unlink(path)

    def remove_directory(self, path: str) -> None:
        self.volume.rmdir(path)

    def make_directories(self, path: str) -> None:
        with self.volume.guard:
            if self.is_directory(path):
                return
            parent = os.path.dirname(path)
            self.make_directories(parent)
            try:
                self.volume.mkdir(path)
            except FileExistsError:
                if not self.is_directory(path):
                    raise
            self.sync_directory(parent)

    def sync_directory(self, path: str) -> None:
        self.volume.sync_directory(path)

    def free(self, path: str) -> int:
        self.volume.check_power()
        self.volume.nodes.find(path)
        return self.volume.free()

    def scan(self, path: str) -> Iterator[os.DirEntry[str]]:
        yield from cast("list[os.DirEntry[str]]", self._listed(path))

    def names(self, path: str) -> list[str]:
        return [entry.name for entry in self._listed(path) if entry.is_file()]

    def status(self, path: str) -> os.stat_result:
        with self.volume.guard:
            self.volume.reading(path)
            return status_of(self.volume.nodes.find(path))

    def _listed(self, path: str) -> list[SimEntry]:
        with self.volume.guard:
            self.volume.reading(path)
            nodes, base = self.volume.nodes, path if path.endswith("/") else f"{path}/"
            return [
                SimEntry(self.volume, f"{base}{name}", name, nodes[inode])
                for name, inode in nodes.find_directory(path).entries.items()
            ]

    def _existing_file(self, path: str) -> FileNode:
        node = self.volume.nodes.find(path)
        if isinstance(node, DirectoryNode):
            raise fault(errno.EISDIR, path)
        return node

    def _made_file(self, path: str) -> int:
        node = self.volume.nodes.look_up(path)
        if isinstance(node, DirectoryNode):
            raise fault(errno.EISDIR, path)
        return node.inode if node is not None else self.volume.create(path)

    def _regular(self, path: str) -> FileNode:
        node = self.volume.nodes.find(path)
        if isinstance(node, DirectoryNode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return node

    def _copy(self) -> Volume:
        with self.volume.guard:
            return self.volume.copy()

    def _durability(self, at: int) -> Durability:
        if not self.volume.is_recording:
            raise ValueError("no trace is kept: only crashed() can tell")
        if self._history is None:
            self._history = states.History(self.volume.origin, self.volume.trace)
        return self._history.before(at - self.volume.first)
