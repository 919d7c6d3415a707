"""The one seam between mailframe and the file system.

Every write below ``base`` except SQLite's own goes through a ``Disk``, so that a recording
or failing one can take its place. Calls block: they run on worker threads. Durability is
the caller's to order: nothing is synced unless asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO


class DiskFile:
    """A file being written. After a failed ``sync`` it must be given up, never synced again."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class Disk:
    """The real file system. Files are made 0600 and directories 0700."""

    def create(self, path: str) -> DiskFile:
        """A new file; FileExistsError when the name is taken."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return DiskFile(path, os.open(path, flags, 0o600))

    def open(self, path: str) -> BinaryIO:
        """For reading; a symbolic link is not followed."""
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def make_directories(self, path: str) -> None:
        """Like ``mkdir -p``; each new directory's entry is made durable."""
        if os.path.isdir(path):
            return
        parent = os.path.dirname(path)
        self.make_directories(parent)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return
        self.sync_directory(parent)

    def sync_directory(self, path: str) -> None:
        """Make names created in, renamed into or removed from the directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def scan(self, path: str) -> Iterator[os.DirEntry[str]]:
        with os.scandir(path) as entries:
            yield from entries
