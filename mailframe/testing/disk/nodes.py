"""The files and directories of a simulated disk as a running program sees them.

Paths are POSIX paths from the root; there are no symbolic links. Errors are those of Linux.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailframe.testing.disk.content import Content
from mailframe.testing.disk.durability import ROOT
from mailframe.testing.disk.ops import Entry

_LONGEST = 255  # octets of a name


@dataclass(slots=True)
class FileNode:
    inode: int
    content: Content
    modified: int  # ns since the epoch
    changed: int
    links: int = 0
    mode: int = 0o600

    def copy(self) -> FileNode:
        return FileNode(
            self.inode, self.content.copy(), self.modified, self.changed, self.links, self.mode
        )


@dataclass(slots=True)
class DirectoryNode:
    inode: int
    parent: int
    modified: int
    changed: int
    entries: dict[str, int] = field(default_factory=dict)
    children: int = 0  # directories in it
    mode: int = 0o700

    def copy(self) -> DirectoryNode:
        return DirectoryNode(
            self.inode, self.parent, self.modified, self.changed, self.entries.copy(),
            self.children, self.mode,
        )  # fmt: skip


Node = FileNode | DirectoryNode


def fault(error: int, path: str) -> OSError:
    return OSError(error, os.strerror(error), path)


class Nodes:
    """All of one disk. ``copy`` is cheap: nodes are shared until one of the two changes."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {ROOT: DirectoryNode(ROOT, ROOT, 0, 0)}
        self._own: set[int] = {ROOT}
        self._held: dict[int, int] = {}  # open files, how often
        self.next_inode = ROOT + 1
        self.octets = 0

    def copy(self) -> Nodes:
        """Without what is open: a file with no name is not in it."""
        other = Nodes()
        other._nodes = {
            inode: node
            for inode, node in self._nodes.items()
            if isinstance(node, DirectoryNode) or node.links
        }
        other.next_inode = self.next_inode
        other.octets = sum(n.content.size for n in other._nodes.values() if isinstance(n, FileNode))
        self._own, other._own = set(), set()
        return other

    def add(self, node: Node) -> None:
        self._nodes[node.inode] = node
        self._own.add(node.inode)
        self.next_inode = max(self.next_inode, node.inode + 1)
        if isinstance(node, FileNode):
            self.octets += node.content.size

    def __getitem__(self, inode: int) -> Node:
        return self._nodes[inode]

    def file(self, inode: int) -> FileNode:
        node = self._nodes[inode]
        assert isinstance(node, FileNode)
        return node

    def changing_file(self, inode: int) -> FileNode:
        """Not shared with a copy."""
        node = self._changing(inode)
        assert isinstance(node, FileNode)
        return node

    def set_mode(self, inode: int, mode: int, time: int) -> None:
        node = self._changing(inode)
        node.mode, node.changed = mode, time

    def changing_directory(self, inode: int) -> DirectoryNode:
        node = self._changing(inode)
        assert isinstance(node, DirectoryNode)
        return node

    def look_up(self, path: str) -> Node | None:
        """Raises NotADirectoryError; None when something of it is missing."""
        node: Node = self._nodes[ROOT]
        for name in _parts(path):
            if not isinstance(node, DirectoryNode):
                raise fault(errno.ENOTDIR, path)
            if name == "..":
                node = self._nodes[node.parent]
                continue
            check_name(name, path)
            inode = node.entries.get(name)
            if inode is None:
                return None
            node = self._nodes[inode]
        if path.endswith("/") and not isinstance(node, DirectoryNode):
            raise fault(errno.ENOTDIR, path)
        return node

    def find(self, path: str) -> Node:
        node = self.look_up(path)
        if node is None:
            raise fault(errno.ENOENT, path)
        return node

    def find_file(self, path: str) -> FileNode:
        """For opening it."""
        node = self.find(path)
        if isinstance(node, DirectoryNode):
            raise fault(errno.EISDIR, path)
        return node

    def find_directory(self, path: str) -> DirectoryNode:
        node = self.find(path)
        if not isinstance(node, DirectoryNode):
            raise fault(errno.ENOTDIR, path)
        return node

    def place(self, path: str) -> tuple[DirectoryNode, str]:
        """The directory that has or would have the name, and the name."""
        parts = _parts(path)
        if not parts:
            raise fault(errno.EBUSY if path else errno.ENOENT, path)
        name = parts[-1]
        above = self.look_up("/" + "/".join(parts[:-1]))
        if above is None:
            raise fault(errno.ENOENT, path)
        if not isinstance(above, DirectoryNode):
            raise fault(errno.ENOTDIR, path)
        return above, name

    def is_within(self, inode: int, directory: DirectoryNode) -> bool:
        """Whether the directory is that one or somewhere in it."""
        while directory.inode != inode:
            if directory.inode == ROOT:
                return False
            above = self._nodes[directory.parent]
            assert isinstance(above, DirectoryNode)
            directory = above
        return True

    def rename_entries(self, entries: tuple[Entry, ...], time: int) -> None:
        """What directories say from now on."""
        gone: list[int] = []
        for number, name, inode in entries:
            directory = self.changing_directory(number)
            directory.modified = directory.changed = time
            old = directory.entries.pop(name, 0)
            if inode:
                directory.entries[name] = inode
                self._count(directory, inode, 1, time)
            if old:
                self._count(directory, old, -1, time)
                gone.append(old)
        for inode in gone:
            self._drop_unnamed(inode)

    def hold(self, inode: int) -> None:
        """It stays, named or not, until ``let_go``."""
        self._held[inode] = self._held.get(inode, 0) + 1

    def let_go(self, inode: int) -> None:
        self._held[inode] -= 1
        if not self._held[inode]:
            del self._held[inode]
            self._drop_unnamed(inode)

    def files(self) -> Iterator[FileNode]:
        return (node for node in self._nodes.values() if isinstance(node, FileNode))

    def _count(self, directory: DirectoryNode, inode: int, step: int, time: int) -> None:
        node = self._changing(inode)
        node.changed = time
        if isinstance(node, FileNode):
            node.links += step
            return
        directory.children += step
        if step > 0:
            node.parent = directory.inode

    def _drop_unnamed(self, inode: int) -> None:
        node = self._nodes.get(inode)
        if isinstance(node, FileNode) and not node.links and inode not in self._held:
            self.octets -= node.content.size
            del self._nodes[inode]

    def _changing(self, inode: int) -> Node:
        node = self._nodes[inode]
        if inode not in self._own:
            node = self._nodes[inode] = node.copy()
            self._own.add(inode)
        return node


def status_of(node: Node) -> os.stat_result:
    if isinstance(node, FileNode):
        mode, links, size = stat.S_IFREG | node.mode, node.links, node.content.size
    else:
        mode, links, size = stat.S_IFDIR | node.mode, 2 + node.children, 4096
    # As the interpreter does it: a float has no room for all of it.
    seconds = [time // 10**9 + 1e-9 * (time % 10**9) for time in (node.modified, node.changed)]
    return os.stat_result(
        (mode, node.inode, 1, links, 0, 0, size,
         node.modified // 10**9, node.modified // 10**9, node.changed // 10**9),
        {"st_atime": seconds[0], "st_mtime": seconds[0], "st_ctime": seconds[1],
         "st_atime_ns": node.modified, "st_mtime_ns": node.modified,
         "st_ctime_ns": node.changed, "st_blksize": 4096, "st_blocks": -(-size // 512)},
    )  # fmt: skip


def _parts(path: str) -> list[str]:
    if "\0" in path:
        raise ValueError("embedded null byte")
    if not path:
        raise fault(errno.ENOENT, path)
    return [part for part in path.split("/") if part and part != "."]


def check_name(name: str, path: str) -> None:
    if len(name) > _LONGEST // 4 and len(os.fsencode(name)) > _LONGEST:
        raise fault(errno.ENAMETOOLONG, path)
