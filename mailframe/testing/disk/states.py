"""The states in which a power cut may leave a disk.

A state is a choice (``choices``) among the pending changes of a ``Durability``. Which choices
give the same state is found out by building them: names and contents decide. A state holds
its files as changed copies that share what is equal, and makes a disk only when asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING

from mailframe.testing.disk.choices import WHOLE, Choice, Unit, candidates, draw
from mailframe.testing.disk.durability import ROOT, DirectoryState, Durability, FileState
from mailframe.testing.disk.nodes import DirectoryNode, FileNode
from mailframe.testing.disk.ops import Op
from mailframe.testing.disk.volume import Volume

if TYPE_CHECKING:
    from mailframe.testing.disk.disk import SimDisk

_EVERY = 256  # operations between two kept points of a history


class History:
    """The durable state and what is pending before any operation of a trace."""

    def __init__(self, origin: Durability, trace: Sequence[Op]) -> None:
        self._trace = trace
        self._kept = [origin.copy()]
        self._at = 0
        self._now = origin.copy()

    def before(self, position: int) -> Durability:
        """``position`` in the trace, up to its length. A copy."""
        if not 0 <= position <= len(self._trace):
            raise IndexError(f"no operation {position} in a trace of {len(self._trace)}")
        if position < self._at:
            nearest = min(position // _EVERY, len(self._kept) - 1)
            self._at, self._now = nearest * _EVERY, self._kept[nearest].copy()
        while self._at < position:
            self._now.apply(self._trace[self._at])
            self._at += 1
            if self._at == len(self._kept) * _EVERY:
                self._kept.append(self._now.copy())
        return self._now.copy()


class CrashState:
    """One of them. ``key`` is the same for disks with the same names, contents and set times;
    ``choice`` says which pending changes happened, ``story`` says it in words."""

    def __init__(self, base: Durability, units: Sequence[Unit], choice: Choice, like: Volume):
        self.choice = choice
        self._base = base
        self._units = units
        self._like = like
        self._files, self._directories = _build(base, units, choice)
        self._parents: dict[int, int] = {}
        self._names: list[tuple[str, int]] = []
        self._walk()
        self.key = self._digest()

    @property
    def story(self) -> list[str]:
        """What became of each pending change."""
        return [f"{unit.op}: {self.choice.get(unit.number, 'lost')}" for unit in self._units]

    @property
    def paths(self) -> list[str]:
        """Of all files and directories but the root, sorted."""
        return [path for path, _ in self._names]

    def disk(self) -> SimDisk:
        """A disk in that state, all of it durable. Each call gives another one."""
        from mailframe.testing.disk.disk import SimDisk

        # What SQLite draws must differ from what it drew before the cut: the salts of a log
        # that begins anew would match those of old frames behind it.
        volume = self._like.empty(seed=int.from_bytes(self.key[:6], "big") ^ self._like.seed)
        self._fill(volume)
        return SimDisk(volume=volume)

    def _fill(self, volume: Volume) -> None:
        nodes, durability = volume.nodes, volume.durability
        for inode, parent in self._parents.items():
            state = self._directory(inode)
            entries = {name: n for name, n in state.entries.items() if self._has(inode, n)}
            children = sum(n in self._base.directories for n in entries.values())
            time = state.modified
            mode = state.mode
            nodes.add(DirectoryNode(inode, parent, time, time, entries, children, mode))
            durability.add_directory(inode, DirectoryState(entries.copy(), time, mode))
        for _, inode in self._names:
            if inode in self._parents:
                continue
            if inode not in durability.files:
                file = self._file(inode)
                time = file.modified
                nodes.add(FileNode(inode, file.content.copy(), time, time, mode=file.mode))
                durability.add_file(inode, file.copy())
                durability.files[inode].pending = []
            nodes.file(inode).links += 1
        nodes.next_inode = max(*self._base.files, *self._base.directories, 0) + 1
        volume.origin = durability.copy()

    def _has(self, directory: int, inode: int) -> bool:
        """A directory under two names is in one of them only."""
        return inode in self._base.files or self._parents.get(inode) == directory

    def _walk(self) -> None:
        waiting = [("", ROOT, ROOT)]
        while waiting:
            path, inode, parent = waiting.pop()
            self._parents[inode] = parent
            for name, child in self._directory(inode).entries.items():
                if child in self._base.files:
                    self._names.append((f"{path}/{name}", child))
                elif child not in self._parents and child != ROOT:
                    self._names.append((f"{path}/{name}", child))
                    self._parents[child] = inode
                    waiting.append((f"{path}/{name}", child, inode))
        self._names.sort()

    def _file(self, inode: int) -> FileState:
        return self._files.get(inode) or self._base.files[inode]

    def _directory(self, inode: int) -> DirectoryState:
        return self._directories.get(inode) or self._base.directories[inode]

    def _digest(self) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        seen: dict[int, int] = {}
        for path, inode in self._names:
            digest.update(path.encode("utf-8", "surrogateescape") + b"\0")
            if inode in self._parents:
                digest.update(b"d")
                continue
            digest.update(b"%d " % seen.setdefault(inode, len(seen)))  # who is the same file
            file = self._file(inode)
            if file.is_dated:
                digest.update(b"%d " % file.modified)
            digest.update(file.content.digest())
        return digest.digest()


def crash_states(
    base: Durability, limit: int, random: Random, like: Volume
) -> Iterator[CrashState]:
    """Each once, at most ``limit``."""
    units = pending_units(base)
    seen: set[bytes] = set()
    for choice in candidates(units, limit, random):
        state = CrashState(base, units, choice, like)
        if state.key not in seen:
            seen.add(state.key)
            yield state
            if len(seen) >= limit:
                return


def drawn(durability: Durability, random: Random, like: Volume) -> CrashState:
    """One of them."""
    base = durability.copy()
    units = pending_units(base)
    return CrashState(base, units, draw(units, random), like)


def pending_units(base: Durability) -> list[Unit]:
    """What may have happened or not, in order."""
    units = [
        Unit(pending.op, tuple(base.needs(number))) for number, pending in base.pending.items()
    ]
    for inode in base.unsynced:
        size = base.files[inode].content.size
        for op in base.files[inode].pending:
            end = op.offset + len(op.data)
            units.append(Unit(op, (), end > size))
            size = op.octets if op.kind == "truncate" else max(size, end)
    return sorted(units, key=lambda unit: unit.number)


def _build(
    base: Durability, units: Sequence[Unit], choice: Choice
) -> tuple[dict[int, FileState], dict[int, DirectoryState]]:
    """The files and directories that are not as the durable ones."""
    files: dict[int, FileState] = {}
    directories: dict[int, DirectoryState] = {}
    for unit in units:
        if (fate := choice.get(unit.number)) is None:
            continue
        op = unit.op
        if unit.number in base.pending:
            for inode, name, named in base.pending[unit.number].entries:
                if inode not in directories:
                    directories[inode] = base.directories[inode].copy()
                directories[inode].put(name, named, op.time)
            continue
        if op.inode not in files:
            old = base.files[op.inode]
            files[op.inode] = FileState(
                old.content.copy(), old.modified, old.is_dated, mode=old.mode
            )
        if fate == WHOLE:
            files[op.inode].put(op)
        else:
            fate.put(op, files[op.inode].content)
            files[op.inode].modified = op.time
    return files, directories
