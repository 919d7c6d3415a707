"""The one seam between mailframe and the file system.

Whatever the server reads or writes below ``base`` goes through a ``Disk``, SQLite's files too
(``connect``), so that a recording, failing or simulated one can take its place. Calls block:
they run on worker threads. Durability is the caller's to order: nothing is synced unless
asked. ``disk_failure`` says what trouble means to a peer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from typing import BinaryIO
from urllib.parse import quote

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import INTERNAL_ERROR, TransientFailure

STORAGE_FULL = Reply(452, status.SYSTEM_FULL, "Insufficient system storage")
"""What a peer hears where there is no room."""
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
# Without O_NONBLOCK a FIFO would keep the thread until somebody writes to it.
_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_PIECES = 1024  # IOV_MAX: what Linux takes of them in one call


def disk_failure(error: OSError, what: str = "") -> TransientFailure:
    """What trouble with the disk means to a peer: try again later, never a bounce.

    ``what`` was being done, for the journal."""
    reply = STORAGE_FULL if error.errno in _NO_SPACE else INTERNAL_ERROR
    return TransientFailure(reply, f"{what}: {error}" if what else str(error))


class DiskFile:
    """A file being written. After a failed ``sync`` it must be given up, never synced again."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        """Where it is."""
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """All of it, behind what is there. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """One after the other, by few calls, and without a copy that has them together."""
        for start in range(0, len(pieces), _PIECES):
            group = pieces[start : start + _PIECES]
            written = os.writev(self._descriptor, group)
            if written < sum(map(len, group)):  # hardly ever: the disk is nearly full
                self.write(b"".join(group)[written:])

    def set_modified(self, seconds: float) -> None:
        """Its time of modification, seconds since the epoch."""
        os.utime(self._descriptor, (seconds, seconds))

    def begin_sync(self) -> None:
        """Have the disk begin to write it, without waiting: where many files are to be synced,
        this for all of them first makes one piece of work of it. Promises nothing."""
        # The call that Linux has for this alone, sync_file_range, Python does not offer.
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Harmless when it is closed already."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class DiskCell:
    """A small file that is read and overwritten in place, never synced: what a power cut
    leaves of it may be old."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, octets: int) -> bytes:
        """From its start, at most so many."""
        return os.pread(self._descriptor, octets, 0)

    def write(self, data: bytes) -> None:
        """At its start; what lies behind stays."""
        os.pwrite(self._descriptor, data, 0)

    def close(self) -> None:
        """Harmless when it is closed already."""
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
            try:
                # Not by closing alone: a program that is just being started has a copy.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                os.close(descriptor)


class DiskGate:
    """A lock of the kernel's that is waited for: ``with gate:``. One thread of one process is
    within; when it dies there, the next one is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._own = threading.Lock()  # the kernel knows of processes only

    def __enter__(self) -> None:
        self._own.acquire()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._own.release()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._own.release()

    def close(self) -> None:
        """When nobody is within any more."""
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

    def cell(self, path: str) -> DiskCell:
        """A small file to overwrite in place, made where missing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return DiskCell(os.open(path, flags, 0o600))

    def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
        """An SQLite database, made where missing; it may be used on any thread, one at a time.
        Nothing of it is mapped into memory but the index of its log, so that every write is a
        call that can be watched. ``timeout`` in seconds, for locks. Raises sqlite3.Error."""
        # What SQLite puts beside a file gets the file's own mode.
        if self.make_file(path):
            self.sync_directory(os.path.dirname(path))
        return connect_sqlite(path, timeout)

    def connect_frozen(self, path: str) -> sqlite3.Connection:
        """A database that nobody writes to, for reading: nothing is put beside it. Raises
        sqlite3.Error."""
        name = f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1"
        return sqlite3.connect(name, isolation_level=None, check_same_thread=False, uri=True)

    def make_file(self, path: str) -> bool:
        """An empty file where there is none; tells whether it was made."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            os.close(os.open(path, flags, 0o600))
        except FileExistsError:
            return False
        return True

    def exists(self, path: str) -> bool:
        """Under that name, whatever it is: a symbolic link counts."""
        return os.path.lexists(path)

    def is_directory(self, path: str) -> bool:
        """False where there is nothing, too."""
        return os.path.isdir(path)

    def open(self, path: str) -> BinaryIO:
        """For reading; only a regular file, and a symbolic link is not followed."""
        descriptor, _ = _open_regular(path)
        return os.fdopen(descriptor, "rb")

    def facts(self, file: BinaryIO) -> os.stat_result:
        """Of a file that ``open`` gave."""
        return os.fstat(file.fileno())

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

    def read_known(self, path: str, octets: int) -> bytes | None:
        """All of a file that is said to be a regular one of so many octets: with a call of the
        kernel less than ``read``. None where it has more or fewer."""
        descriptor = os.open(path, _READING)
        try:
            # Of a FIFO or a directory there are none.
            data = os.read(descriptor, octets + 1)
        finally:
            os.close(descriptor)
        return data if len(data) == octets else None

    def lock(self, path: str) -> DiskLock | None:
        """Lock the file, made where missing, against every other holder in this process or
        another; None when there is one. Only who holds it may remove the file."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            descriptor = os.open(path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    return DiskLock(descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)  # it was removed between the two: now the name is another file's

    def gate(self, path: str) -> DiskGate:
        """A gate at that file, made where missing. The file stays: removing it would let two
        in."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return DiskGate(os.open(path, flags, 0o600))

    def set_mode(self, path: str, mode: int) -> None:
        """Permissions of a file or directory of ours; a symbolic link is not followed."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(path, flags)
        except PermissionError:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise
            os.chmod(path, mode)  # what keeps us out is what is to be mended
            return
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def rename(self, source: str, target: str) -> None:
        """In one step; what was at ``target`` is gone. Raises OSError."""
        os.rename(source, target)

    def link(self, source: str, target: str) -> None:
        """A second name for a file; FileExistsError when it is taken."""
        os.link(source, target, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """Raises OSError: FileNotFoundError where there is nothing."""
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
        """Entries of a directory, in no order. Raises OSError."""
        with os.scandir(path) as entries:
            yield from entries

    def names(self, path: str) -> list[str]:
        """Of all regular files in the directory, in no order."""
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]

    def status(self, path: str) -> os.stat_result:
        """Of the entry itself, where it is a symbolic link."""
        return os.lstat(path)


@contextlib.contextmanager
def new_file(disk: Disk, path: str) -> Iterator[DiskFile]:
    """A new file to be written within, and closed then; where that fails, nothing is left of it.
    Raises as ``Disk.create``."""
    file = disk.create(path)
    try:
        try:
            yield file
        finally:
            file.close()
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(path)
        raise


def connect_sqlite(
    path: str,
    timeout: float,
    *,
    vfs: str = "",
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """A connection in autocommit mode with the log and without mapped pages. ``vfs`` names
    another way to the files than SQLite's own. Raises sqlite3.Error."""
    name = f"file:{quote(os.fsencode(path))}?vfs={vfs}" if vfs else path
    connection = sqlite3.connect(
        name,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
        uri=bool(vfs),
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA mmap_size=0")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def is_read_only(error: BaseException | None) -> bool:
    """Whether an SQLite connection may not write. One that was opened while the disk took
    nothing stays so when the disk is well again: it must be given up."""
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return (code & 0xFF) == sqlite3.SQLITE_READONLY


def _open_regular(path: str) -> tuple[int, int]:
    """For reading: the descriptor, and the file's size."""
    descriptor = os.open(path, _READING)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor, facts.st_size
