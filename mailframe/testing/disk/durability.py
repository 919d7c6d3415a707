"""What a power cut leaves for sure, and what it may leave besides.

Of each file: its content when last synced, and the writes since. Of each directory: its
entries when last synced; and one list, in order, of the entry operations since. ``apply``
takes the operations as they are done, so that the state before any of them can be had again
from a copy and the trace. The rules are in the package's docstring.

The kernel writes back what is old: of more than ``MOST_WRITES`` unsynced changes of a file, or
``MOST_ENTRIES`` unsynced entry operations of the disk, the oldest count as durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailframe.testing.disk.content import Content
from mailframe.testing.disk.ops import DONE, FAILED, SKIPPED, Entry, Op

ROOT = 1
MOST_WRITES = 4096
MOST_ENTRIES = 4096

Name = tuple[int, str]  # a directory's inode, and a name in it


@dataclass(slots=True)
class FileState:
    """``pending`` are writes, truncates and set_modifieds, in order."""

    content: Content
    modified: int  # ns
    is_dated: bool = False  # by set_modified: the time is a fact about the file
    pending: list[Op] = field(default_factory=list)
    mode: int = 0o600

    def copy(self) -> FileState:
        return FileState(
            self.content.copy(), self.modified, self.is_dated, self.pending.copy(), self.mode
        )

    def put(self, op: Op) -> None:
        """Make the change durable."""
        if op.kind == "set_modified":
            self.modified, self.is_dated = op.octets, True
            return
        if op.kind == "truncate":
            self.content.truncate(op.octets)
        else:
            self.content.write(op.offset, op.data)
        self.modified, self.is_dated = op.time, False


@dataclass(slots=True)
class DirectoryState:
    entries: dict[str, int]
    modified: int
    mode: int = 0o700

    def copy(self) -> DirectoryState:
        return DirectoryState(self.entries.copy(), self.modified, self.mode)

    def put(self, name: str, inode: int, time: int) -> None:
        if inode:
            self.entries[name] = inode
        else:
            self.entries.pop(name, None)
        self.modified = max(self.modified, time)


@dataclass(frozen=True, slots=True)
class PendingEntries:
    """An operation on entries that no sync has made durable."""

    op: Op
    entries: tuple[Entry, ...]

    @property
    def names(self) -> list[Name]:
        return [(directory, name) for directory, name, _ in self.entries]


class Durability:
    """The durable state and what is pending. ``copy`` is cheap: states are shared until one
    of the two changes."""

    def __init__(self) -> None:
        self.files: dict[int, FileState] = {}
        self.directories: dict[int, DirectoryState] = {ROOT: DirectoryState({}, 0)}
        self.pending: dict[int, PendingEntries] = {}  # by number of operation
        self._names: dict[Name, tuple[int, ...]] = {}  # the pending ones on a name, in order
        self._directories: dict[int, dict[int, None]] = {}  # and those in a directory
        self._unsynced: dict[int, None] = {}  # files with pending changes, in order
        self._own: set[int] = {ROOT}

    def copy(self) -> Durability:
        other = Durability()
        other.files, other.directories = self.files.copy(), self.directories.copy()
        other.pending, other._names = self.pending.copy(), self._names.copy()
        other._directories = {inode: n.copy() for inode, n in self._directories.items()}
        other._unsynced = self._unsynced.copy()
        self._own, other._own = set(), set()
        return other

    @property
    def unsynced(self) -> list[int]:
        """Inodes of files with pending changes."""
        return list(self._unsynced)

    def add_file(self, inode: int, state: FileState) -> None:
        self.files[inode] = state
        self._own.add(inode)

    def add_directory(self, inode: int, state: DirectoryState) -> None:
        self.directories[inode] = state
        self._own.add(inode)

    def apply(self, op: Op) -> None:
        if op.outcome == SKIPPED:
            if op.kind in ("create", "mkdir"):  # it has an inode, and no name
                self._make(op)
            return
        match op.kind:
            case "sync":
                self._sync(op.inode, is_lost=op.outcome == FAILED)
            case _ if op.outcome != DONE:
                return
            case "write" | "cell_write" | "truncate" | "set_modified":
                self._change(op)
            case "set_mode":
                is_file = op.inode in self.files
                state = self._file(op.inode) if is_file else self._directory(op.inode)
                state.mode = op.octets
            case "sync_directory":
                self._sync_directory(op.inode)
            case _:
                if op.kind in ("create", "mkdir"):
                    self._make(op)
                self._name(op)

    def _make(self, op: Op) -> None:
        """It may be there: what was written to it has changed places with its creation."""
        if op.inode in self.files or op.inode in self.directories:
            return
        if op.kind == "create":
            self.add_file(op.inode, FileState(Content(), op.time))
        else:
            self.add_directory(op.inode, DirectoryState({}, op.time))

    def _change(self, op: Op) -> None:
        state = self._file(op.inode)
        state.pending.append(op)
        self._unsynced[op.inode] = None
        if len(state.pending) > MOST_WRITES:
            state.put(state.pending.pop(0))

    def _sync(self, inode: int, *, is_lost: bool) -> None:
        if inode not in self._unsynced:
            return
        del self._unsynced[inode]
        state = self._file(inode)
        if not is_lost:
            for op in state.pending:
                state.put(op)
        state.pending = []

    def needs(self, number: int) -> list[int]:
        """The pending operations without which this one cannot have happened: the last one
        before it on each of its names."""
        found = []
        for name in self.pending[number].names:
            numbers = self._names[name]
            if (at := numbers.index(number)) > 0:
                found.append(numbers[at - 1])
        return found

    def _name(self, op: Op) -> None:
        self.pending[op.number] = pending = PendingEntries(op, op.entries)
        for name in pending.names:
            self._names[name] = (*self._names.get(name, ()), op.number)
            self._directories.setdefault(name[0], {})[op.number] = None
        if len(self.pending) > MOST_ENTRIES:
            self._settle([min(self.pending)])

    def _sync_directory(self, inode: int) -> None:
        if inode in self._directories:
            self._settle(self._directories[inode], synced=inode)

    def _settle(self, numbers: Iterable[int], synced: int = 0) -> None:
        """They and what they need are durable now. Of a rename into directory ``synced``, the
        removal of the old name still pends when that was another directory's."""
        for number in sorted(self._closure(numbers)):
            pending = self.pending.pop(number)
            if left := _left_behind(pending, synced):
                self.pending[number] = PendingEntries(pending.op, left)
            settled = [entry for entry in pending.entries if entry not in left]
            for directory, name, inode in settled:
                self._directory(directory).put(name, inode, pending.op.time)
                self._forget_name(number, (directory, name))
            for directory in {entry[0] for entry in settled}:
                self._forget_directory(number, directory)

    def _forget_name(self, number: int, name: Name) -> None:
        rest = tuple(other for other in self._names[name] if other != number)
        if rest:
            self._names[name] = rest
        else:
            del self._names[name]

    def _forget_directory(self, number: int, directory: int) -> None:
        numbers = self._directories[directory]
        del numbers[number]
        if not numbers:
            del self._directories[directory]

    def _closure(self, numbers: Iterable[int]) -> set[int]:
        closed: set[int] = set()
        waiting = list(numbers)
        while waiting:
            number = waiting.pop()
            if number not in closed:
                closed.add(number)
                waiting.extend(self.needs(number))
        return closed

    def _file(self, inode: int) -> FileState:
        state = self.files.setdefault(inode, FileState(Content(), 0))
        if inode not in self._own:
            state = self.files[inode] = state.copy()
            self._own.add(inode)
        return state

    def _directory(self, inode: int) -> DirectoryState:
        state = self.directories.setdefault(inode, DirectoryState({}, 0))
        if inode not in self._own:
            state = self.directories[inode] = state.copy()
            self._own.add(inode)
        return state


def _left_behind(pending: PendingEntries, synced: int) -> tuple[Entry, ...]:
    """A sync of the directory that a file was renamed into says nothing of the other one."""
    if not synced or pending.op.kind != "rename":
        return ()
    arrived = {directory for directory, _, inode in pending.entries if inode}
    if synced not in arrived:
        return ()
    return tuple(entry for entry in pending.entries if not entry[2] and entry[0] != synced)
