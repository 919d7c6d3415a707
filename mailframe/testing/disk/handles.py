"""What a simulated disk hands out: files, cells, locks, directory entries."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailframe.runtime.disk import DiskCell, DiskFile, DiskGate, DiskLock
from mailframe.testing.disk.nodes import DirectoryNode, Node, fault, status_of
from mailframe.testing.disk.volume import Volume

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SimFile(DiskFile):
    """``offset`` None writes at the end, whoever else writes too."""

    def __init__(self, volume: Volume, path: str, inode: int, offset: int | None) -> None:
        super().__init__(path, -1)
        self._volume = volume
        self._inode = inode
        self._offset = offset
        self._is_open = True
        volume.nodes.hold(inode)

    def write(self, data: bytes) -> None:
        self._must_be_open()
        if data:
            self._volume.write(self._inode, self.path, self._offset, data)
        if self._offset is not None:
            self._offset += len(data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        self.write(b"".join(pieces))

    def set_modified(self, seconds: float) -> None:
        self._must_be_open()
        whole = int(seconds // 1)
        time = whole * 10**9 + int((seconds - whole) * 1e9)
        self._volume.set_modified(self._inode, self.path, time)

    def begin_sync(self) -> None:
        """What is not synced may be lost, begun or not."""
        self._must_be_open()

    def sync(self) -> None:
        self._must_be_open()
        self._volume.sync(self._inode, self.path)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._volume.nodes.let_go(self._inode)

    def _must_be_open(self) -> None:
        self._volume.check_power()
        if not self._is_open:
            raise fault(9, self.path)  # EBADF


class SimCell(DiskCell):
    def __init__(self, volume: Volume, path: str, inode: int) -> None:
        super().__init__(-1)
        self._volume = volume
        self._path = path
        self._inode = inode
        self._is_open = True
        volume.nodes.hold(inode)

    def read(self, octets: int) -> bytes:
        self._volume.reading(self._path)
        return self._volume.nodes.file(self._inode).content.read(0, octets)

    def write(self, data: bytes) -> None:
        if data:
            self._volume.write(self._inode, self._path, 0, data, kind="cell_write")

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._volume.nodes.let_go(self._inode)


class SimLock(DiskLock):
    def __init__(self, volume: Volume, inode: int) -> None:
        super().__init__(-1)
        self._volume = volume
        self._inode = inode
        volume.nodes.hold(inode)

    def release(self) -> None:
        if self._inode:
            inode, self._inode = self._inode, 0
            self._volume.locks.discard(inode)
            self._volume.nodes.let_go(inode)


class SimGate(DiskGate):
    """Programs of a simulated machine take turns, and none is within when another has its own:
    who would have to wait would wait for ever."""

    def __init__(self, volume: Volume, inode: int) -> None:
        super().__init__(-1)
        self._volume = volume
        self._inode = inode
        volume.nodes.hold(inode)

    def __enter__(self) -> None:
        self._volume.check_power()
        if self._inode in self._volume.locks:
            raise AssertionError("the gate is taken, and nobody is there who could leave it")
        self._volume.locks.add(self._inode)

    def __exit__(self, *_: object) -> None:
        self._volume.locks.discard(self._inode)

    def close(self) -> None:
        if self._inode:
            inode, self._inode = self._inode, 0
            self._volume.nodes.let_go(inode)


class SimReader(io.RawIOBase):
    """A file opened for reading. It goes on when its name is gone."""

    def __init__(self, volume: Volume, path: str, inode: int) -> None:
        super().__init__()
        self.name = path
        self._volume = volume
        self._inode = inode
        self._offset = 0
        volume.nodes.hold(inode)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._volume.reading(self.name)
        view = memoryview(buffer).cast("B")
        data = self._volume.nodes.file(self._inode).content.read(self._offset, len(view))
        view[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = (0, self._offset, self._volume.nodes.file(self._inode).content.size)[whence]
        if base + offset < 0:
            raise fault(22, self.name)  # EINVAL
        self._offset = base + offset
        return self._offset

    def status(self) -> os.stat_result:
        self._volume.reading(self.name)
        return status_of(self._volume.nodes[self._inode])

    def close(self) -> None:
        if not self.closed:
            self._volume.nodes.let_go(self._inode)
        super().close()


class SimEntry:
    """What callers of ``scan`` use of an os.DirEntry. It is as it was when it was listed, but
    ``stat`` looks then."""

    def __init__(self, volume: Volume, path: str, name: str, node: Node) -> None:
        self.name = name
        self.path = path
        self._volume = volume
        self._inode = node.inode
        self._is_directory = isinstance(node, DirectoryNode)
        self._status: os.stat_result | None = None

    def __fspath__(self) -> str:
        return self.path

    def inode(self) -> int:
        return self._inode

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._is_directory

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return not self._is_directory

    def is_symlink(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        if self._status is None:
            self._volume.reading(self.path)
            self._status = status_of(self._volume.nodes.find(self.path))
        return self._status
