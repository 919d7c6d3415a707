"""The one seam between mailframe and the file system.

Every write below ``base`` except SQLite's own goes through a ``Disk``, so that a recording
or failing one can take its place. Calls block: they run on worker threads. Durability is
the caller's to order: nothing is synced unless asked. ``disk_failure`` says what trouble
means to a peer.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from typing import BinaryIO

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import INTERNAL_ERROR, TransientFailure

STORAGE_FULL = Reply(452, status.SYSTEM_FULL, "Insufficient system storage")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def disk_failure(error: OSError, what: str = "") -> TransientFailure:
    """What trouble with the disk means to a peer: try again later, never a bounce.

    ``what`` was being done, for the journal."""
    reply = STORAGE_FULL if error.errno in _NO_SPACE else INTERNAL_ERROR
    return TransientFailure(reply, f"{what}: {error}" if what else str(error))


class DiskFile:
    """A file being written. After a failed ``sync`` it must be given up, never synced again."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def set_modified(self, seconds: float) -> None:
        """Its time of modification, seconds since the epoch."""
        os.utime(self._descriptor, (seconds, seconds))

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class DiskLock:
    """An exclusive lock that the kernel holds: it ends with the process at the latest."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Harmless when called again."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class Disk:
    """The real file system. Files are made 0600 and directories 0700."""

    _making = threading.RLock()

    def create(self, path: str) -> DiskFile:
        """A new file; FileExistsError when the name is taken."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return DiskFile(path, os.open(path, flags, 0o600))

    def append(self, path: str) -> DiskFile:
        """An existing file; each write is added at its end, whoever else writes too."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        return DiskFile(path, os.open(path, flags))

    def open(self, path: str) -> BinaryIO:
        """For reading; only a regular file, and a symbolic link is not followed."""
        descriptor, _ = _open_regular(path)
        return os.fdopen(descriptor, "rb")

    def read(self, path: str) -> bytes:
        """All of a file, as ``open`` would: for small ones in half the time."""
        descriptor, size = _open_regular(path)
        try:
            data = os.read(descriptor, size + 1)
            if len(data) == size:
                return data
            pieces = [data]
            while piece := os.read(descriptor, 1 << 20):
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            os.close(descriptor)

    def lock(self, path: str) -> DiskLock | None:
        """Lock the file, made where missing, against every other holder in this process or
        another; None when there is one. The file stays: removing it would let two in."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return DiskLock(descriptor)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def link(self, source: str, target: str) -> None:
        """A second name for a file; FileExistsError when it is taken."""
        os.link(source, target, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def remove_directory(self, path: str) -> None:
        """An empty one."""
        os.rmdir(path)

    def make_directories(self, path: str) -> None:
        """Like ``mkdir -p``; each new directory's entry is made durable."""
        with self._making:  # who finds a directory made must find its entry durable too
            if os.path.isdir(path):
                return
            parent = os.path.dirname(path)
            self.make_directories(parent)
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                if not os.path.isdir(path):
                    raise
            self.sync_directory(parent)

    def sync_directory(self, path: str) -> None:
        """Make names created in, renamed into or removed from the directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free(self, path: str) -> int:
        """Octets that may still be written to the file system that holds ``path``."""
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize

    def scan(self, path: str) -> Iterator[os.DirEntry[str]]:
        with os.scandir(path) as entries:
            yield from entries

    def names(self, path: str) -> list[str]:
        """Of all regular files in the directory, in no order."""
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]

    def status(self, path: str) -> os.stat_result:
        """Of the entry itself, where it is a symbolic link."""
        return os.lstat(path)


def _open_regular(path: str) -> tuple[int, int]:
    """For reading: the descriptor, and the file's size."""
    # Without O_NONBLOCK a FIFO would keep the thread until somebody writes to it.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor, facts.st_size
