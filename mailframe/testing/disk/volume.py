"""The simulated disk below its two users, the seam and SQLite: inodes, operations, the trace.

Each change is one ``Op``: it meets the power cut, the planted bug and the faults, is done to
what programs see and to what is durable, and is recorded. Synchronous, for any thread.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from random import Random

from mailframe.testing.disk.content import Content
from mailframe.testing.disk.durability import Durability
from mailframe.testing.disk.faults import Faults
from mailframe.testing.disk.nodes import DirectoryNode, FileNode, Nodes, check_name, fault
from mailframe.testing.disk.ops import FAILED, SKIPPED, Entry, Op, PowerLost, calling_site
from mailframe.testing.disk.vfs_sharing import Sharing

_EPOCH = 1_750_000_000 * 10**9
_TICK = 4_000_000  # ns: stamps of a Linux kernel with 250 ticks a second
_BOUNDLESS = 1 << 50


class Volume:
    """``trace`` begins with number 0; ``is_recording`` False keeps none, for long runs."""

    def __init__(self, *, seed: int = 0, capacity: int | None = None) -> None:
        self.seed = seed
        self.capacity = capacity
        self.nodes = Nodes()
        self.durability = Durability()
        self.origin = self.durability.copy()
        self.trace: list[Op] = []
        self.count = 0
        self.first = 0  # the number of the trace's first operation
        self.is_recording = True
        self.faults = Faults()
        self.clock: Callable[[], float] | None = None
        self.granularity = _TICK
        self.skip: Callable[[Op], bool] | None = None
        self.swap: tuple[int, int] | None = None
        self.cut_at: int | None = None
        self.is_lost = False
        self.locks: set[int] = set()
        self.shared: dict[int, Sharing] = {}  # by SQLite's connections, by inode
        self.connections = 0  # of SQLite, ever
        self.vfs = ""  # by which SQLite knows this disk
        self.broken: BaseException | None = None  # a mistake in a callback
        self.guard = threading.RLock()
        self._held: Op | None = None  # by ``swap``, until the next one is done

    def empty(self, seed: int) -> Volume:
        """Another disk of the same kind with nothing on it, and well."""
        other = Volume(seed=seed, capacity=self.capacity)
        other.clock, other.granularity = self.clock, self.granularity
        other.is_recording = self.is_recording
        other.faults.pause = self.faults.pause
        return other

    def copy(self) -> Volume:
        """What another program would see and what is durable; nothing open, no locks."""
        with self.guard:
            self.check_power()
            other = self.empty(self.seed)
            other.nodes, other.durability = self.nodes.copy(), self.durability.copy()
            other.origin = other.durability.copy()
            other.faults = self.faults.copy()
            # What still pends keeps its numbers, which must not come again.
            other.count = other.first = max(other.durability.pending, default=-1) + 1
            return other

    def now(self) -> int:
        """What a kernel would stamp on a file, in ns."""
        if self.clock is None:
            return _EPOCH + self.count * _TICK
        now = int(self.clock() * 1e9)
        return now - now % self.granularity

    def check_power(self) -> None:
        if self.broken is not None:
            raise self.broken
        if self.is_lost:
            raise PowerLost

    def reading(self, path: str) -> None:
        """Before something is read."""
        if self.is_lost:
            raise PowerLost
        if self.faults.is_watching:
            self.faults.check("read", path)

    def free(self) -> int:
        if self.capacity is None:
            return _BOUNDLESS
        return max(0, self.capacity - self.nodes.octets)

    def create(self, path: str, *, sqlite: bool = False) -> int:
        """The new file's inode. FileExistsError when the name is taken."""
        with self.guard:
            self.check_power()
            parent, name = self.nodes.place(path)
            check_name(name, path)
            if name in parent.entries or name == "..":
                raise fault(errno.EEXIST, path)
            if path.endswith("/"):
                raise fault(errno.EISDIR, path)
            if not self.free():
                raise fault(errno.ENOSPC, path)
            op = self._op("create", path, self.nodes.next_inode, sqlite=sqlite)
            op.entries = ((parent.inode, name, op.inode),)
            self._begin(op)
            self.nodes.add(FileNode(op.inode, Content(), op.time, op.time))
            self._name(op)
            return op.inode

    def write(
        self, inode: int, path: str, offset: int | None, data: bytes,
        *, kind: str = "write", sqlite: bool = False,
    ) -> None:  # fmt: skip
        """``offset`` None is the end. What fits is written, then OSError with ENOSPC."""
        with self.guard:
            self.check_power()
            size = self.nodes.file(inode).content.size
            at = size if offset is None else offset
            room = self.free() + max(0, size - at)
            op = self._op(kind, path, inode, sqlite=sqlite)
            op.offset, op.data = at, bytes(data[:room]) if len(data) > room else bytes(data)
            if op.data or not data:
                self._begin(op)
                if op.outcome != SKIPPED:
                    file = self.nodes.changing_file(inode)
                    file.content.write(at, op.data)
                    self.nodes.octets += file.content.size - size
                    file.modified = file.changed = op.time
                self._end(op)
            if len(op.data) < len(data):
                raise fault(errno.ENOSPC, path)

    def truncate(self, inode: int, path: str, size: int, *, sqlite: bool = False) -> None:
        with self.guard:
            self.check_power()
            op = self._op("truncate", path, inode, sqlite=sqlite)
            op.octets = size
            self._begin(op)
            if op.outcome != SKIPPED:
                file = self.nodes.changing_file(inode)
                self.nodes.octets += size - file.content.size
                file.content.truncate(size)
                file.modified = file.changed = op.time
            self._end(op)

    def set_modified(self, inode: int, path: str, time: int) -> None:
        with self.guard:
            self.check_power()
            op = self._op("set_modified", path, inode)
            op.octets = time
            self._begin(op)
            if op.outcome != SKIPPED:
                file = self.nodes.changing_file(inode)
                file.modified, file.changed = time, op.time
            self._end(op)

    def set_mode(self, path: str, mode: int) -> None:
        with self.guard:
            self.check_power()
            op = self._op("set_mode", path, self.nodes.find(path).inode)
            op.octets = mode
            self._begin(op)
            if op.outcome != SKIPPED:
                self.nodes.set_mode(op.inode, mode, op.time)
            self._end(op)

    def sync(self, inode: int, path: str, *, sqlite: bool = False) -> None:
        with self.guard:
            self.check_power()
            op = self._op("sync", path, inode, sqlite=sqlite)
            self._begin(op)
            self._end(op)

    def sync_directory(self, path: str, *, sqlite: bool = False) -> None:
        with self.guard:
            self.check_power()
            inode = self.nodes.find_directory(path).inode
            op = self._op("sync_directory", path, inode, sqlite=sqlite)
            self._begin(op)
            self._end(op)

    def rename(self, source: str, target: str) -> None:
        with self.guard:
            self.check_power()
            above, name = self.nodes.place(source)
            beside, new = self.nodes.place(target)
            if ".." in (name, new):
                raise fault(errno.EBUSY, source)
            node = self.nodes.find(source)
            old = self.nodes.look_up(target)
            if old is not None and old.inode == node.inode:
                return  # two names of one file: both stay
            if isinstance(node, DirectoryNode):
                if self.nodes.is_within(node.inode, beside):
                    raise fault(errno.EINVAL, source)
                if isinstance(old, FileNode):
                    raise fault(errno.ENOTDIR, target)
                if old is not None and old.entries:
                    raise fault(errno.ENOTEMPTY, target)
            elif isinstance(old, DirectoryNode):
                if self.nodes.is_within(old.inode, above):
                    raise fault(errno.ENOTEMPTY, target)
                raise fault(errno.EISDIR, target)
            entries = (above.inode, name, 0), (beside.inode, new, node.inode)
            self._change_entries("rename", source, node.inode, entries, target)

    def link(self, source: str, target: str) -> None:
        with self.guard:
            self.check_power()
            node = self.nodes.find(source)
            beside, new = self.nodes.place(target)
            check_name(new, target)
            if new in beside.entries or new == "..":
                raise fault(errno.EEXIST, target)
            if isinstance(node, DirectoryNode):
                raise fault(errno.EPERM, source)
            self._change_entries(
                "link", source, node.inode, ((beside.inode, new, node.inode),), target
            )

    def unlink(self, path: str, *, sqlite: bool = False) -> None:
        with self.guard:
            self.check_power()
            node = self.nodes.find(path)
            above, name = self.nodes.place(path)
            if isinstance(node, DirectoryNode):
                raise fault(errno.EISDIR, path)
            entries = ((above.inode, name, 0),)
            self._change_entries("unlink", path, node.inode, entries, sqlite=sqlite)

    def mkdir(self, path: str) -> None:
        with self.guard:
            self.check_power()
            parent, name = self.nodes.place(path)
            check_name(name, path)
            if name in parent.entries or name == "..":
                raise fault(errno.EEXIST, path)
            op = self._op("mkdir", path, self.nodes.next_inode)
            op.entries = ((parent.inode, name, op.inode),)
            self._begin(op)
            self.nodes.add(DirectoryNode(op.inode, parent.inode, op.time, op.time))
            self._name(op)

    def rmdir(self, path: str) -> None:
        with self.guard:
            self.check_power()
            node = self.nodes.find_directory(path)
            above, name = self.nodes.place(path)
            if node.entries or name == "..":
                raise fault(errno.ENOTEMPTY, path)
            self._change_entries("rmdir", path, node.inode, ((above.inode, name, 0),))

    def random(self, purpose: str) -> Random:
        """For what has to be drawn: the same for the same seed and purpose."""
        return Random(f"{self.seed} {purpose}")

    def _change_entries(
        self, kind: str, path: str, inode: int, entries: tuple[Entry, ...], target: str = "",
        *, sqlite: bool = False,
    ) -> None:  # fmt: skip
        op = self._op(kind, path, inode, sqlite=sqlite)
        op.entries, op.target = entries, target
        self._begin(op)
        self._name(op)

    def _name(self, op: Op) -> None:
        if op.outcome != SKIPPED:
            self.nodes.rename_entries(op.entries, op.time)
        self._end(op)

    def _op(self, kind: str, path: str, inode: int, *, sqlite: bool = False) -> Op:
        return Op(
            self.count, kind, path, inode, sqlite=sqlite, site=calling_site(), time=self.now()
        )

    def _begin(self, op: Op) -> None:
        """Raises PowerLost or OSError where it is not to be."""
        if self.cut_at is not None and op.number >= self.cut_at:
            self.is_lost = True
            raise PowerLost
        if self.skip is not None and self.skip(op):
            op.outcome = SKIPPED
            return
        if not self.faults.is_watching:
            return
        try:
            self.faults.check(op.kind, op.path)
        except OSError:
            if op.kind == "sync":
                op.outcome = FAILED
                self._end(op)
            raise

    def _end(self, op: Op) -> None:
        if self.swap is not None and self._held is None and op.number == self.swap[0]:
            self._held = op
            return
        self._record(op)
        if self._held is not None:
            held, self._held, self.swap = self._held, None, None
            held.number = self.count
            if self.cut_at is not None and held.number >= self.cut_at:
                self.is_lost = True
                raise PowerLost
            self._record(held)

    def _record(self, op: Op) -> None:
        self.durability.apply(op)
        if self.is_recording:
            self.trace.append(op)
        self.count += 1
