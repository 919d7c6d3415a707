"""SQLite's files on a simulated disk: one object for each that a connection has open."""

from __future__ import annotations

import os
from contextlib import suppress

from mailframe.testing.disk.content import Content
from mailframe.testing.disk.vfs_sharing import Sharing
from mailframe.testing.disk.volume import Volume

OPEN_READONLY, OPEN_READWRITE, OPEN_CREATE, OPEN_DELETEONCLOSE, OPEN_EXCLUSIVE = 1, 2, 4, 8, 16
OPEN_MAIN_JOURNAL, OPEN_SUPER_JOURNAL, OPEN_WAL = 0x800, 0x4000, 0x80000
_LOGS = OPEN_MAIN_JOURNAL | OPEN_SUPER_JOURNAL | OPEN_WAL


class NamedFile:
    """A database, a journal, a log. ``holder`` tells it from others that are open."""

    def __init__(self, volume: Volume, path: str, flags: int, holder: int) -> None:
        self.volume = volume
        self._path = path
        self._holder = holder
        self._goes = bool(flags & OPEN_DELETEONCLOSE)
        # As SQLite's own VFS does: a journal or log that may be new must have its name.
        self._syncs_directory = bool(flags & OPEN_CREATE and flags & _LOGS)
        with volume.guard:
            volume.reading(path)
            node = volume.nodes.look_up(path)
            if node is not None and flags & OPEN_CREATE and flags & OPEN_EXCLUSIVE:
                raise FileExistsError(path)
            if node is None and flags & OPEN_CREATE:
                self._inode = volume.create(path, sqlite=True)
            else:
                self._inode = volume.nodes.find_file(path).inode
            volume.nodes.hold(self._inode)
            self.sharing = volume.shared.setdefault(self._inode, Sharing())
            self.sharing.opened += 1

    def close(self) -> None:
        with self.volume.guard:
            self.sharing.unlock(self._holder, 0)
            self.sharing.unmap(self._holder)
            self.sharing.opened -= 1
            if not self.sharing.opened:
                self.volume.shared.pop(self._inode, None)
            self.volume.nodes.let_go(self._inode)
            if self._goes and not self.volume.is_lost:
                self.volume.unlink(self._path, sqlite=True)

    def read(self, offset: int, octets: int) -> bytes:
        self.volume.reading(self._path)
        return self.volume.nodes.file(self._inode).content.read(offset, octets)

    def write(self, offset: int, data: bytes) -> None:
        self.volume.write(self._inode, self._path, offset, data, sqlite=True)

    def truncate(self, size: int) -> None:
        self.volume.truncate(self._inode, self._path, size, sqlite=True)

    def sync(self) -> None:
        self.volume.sync(self._inode, self._path, sqlite=True)
        if self._syncs_directory:
            # SQLite takes no notice when this fails.
            with suppress(OSError):
                self.volume.sync_directory(os.path.dirname(self._path), sqlite=True)
            self._syncs_directory = False

    def size(self) -> int:
        self.volume.check_power()
        return self.volume.nodes.file(self._inode).content.size

    def lock(self, level: int) -> bool:
        with self.volume.guard:
            return self.sharing.lock(self._holder, level)

    def unlock(self, level: int) -> None:
        with self.volume.guard:
            self.sharing.unlock(self._holder, level)


class UnnamedFile:
    """What SQLite keeps for a while and no other connection sees: elsewhere than on the disk,
    as its own VFS puts it into the system's directory for such things."""

    def __init__(self, volume: Volume, holder: int) -> None:
        self.volume = volume
        self.sharing = Sharing()
        self._content = Content()
        self._holder = holder

    def close(self) -> None:
        self._content = Content()

    def read(self, offset: int, octets: int) -> bytes:
        return self._content.read(offset, octets)

    def write(self, offset: int, data: bytes) -> None:
        self._content.write(offset, data)

    def truncate(self, size: int) -> None:
        self._content.truncate(size)

    def sync(self) -> None:
        """Nobody finds it again."""

    def size(self) -> int:
        return self._content.size

    def lock(self, level: int) -> bool:
        return self.sharing.lock(self._holder, level)

    def unlock(self, level: int) -> None:
        self.sharing.unlock(self._holder, level)
