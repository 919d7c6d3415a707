"""Linking, copying and walking, on a ``Disk``. Synchronous."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.runtime.disk import Disk

CHUNK = 1 << 20
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
"""The file system, or the pair of them, does not do it; link(2)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file or directory below the top of a walk."""

    path: str
    """Relative."""
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.status.st_mode)


def order(path: str) -> tuple[str, ...]:
    """In which ``walk`` meets paths: a directory, then all that is in it."""
    return tuple(path.split("/"))


def walk(disk: Disk, top: str, below: str = "") -> Iterator[Found]:
    """Everything below ``top``, in ``order``; links are not followed. What vanishes
    meanwhile is passed over. Raises OSError."""
    directory = os.path.join(top, below) if below else top
    try:
        names = sorted(entry.name for entry in disk.scan(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = f"{below}/{name}" if below else name
        try:
            found = Found(path, disk.status(os.path.join(top, path)))
        except FileNotFoundError:
            continue
        yield found
        if found.is_directory:
            yield from walk(disk, top, path)


def link(disk: Disk, source: str, target: str) -> bool:
    """A second name; False where file systems do not permit it. Raises OSError,
    FileExistsError."""
    try:
        disk.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def copy(disk: Disk, source: str, target: str) -> str:
    """With its time; SHA-256 of what was copied. Nothing is left where it fails, nothing is
    synced. Raises OSError."""
    digest = hashlib.sha256()
    with disk.open(source) as content:
        modified = disk.status(source).st_mtime
        file = disk.create(target)
        try:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
            file.set_modified(modified)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.unlink(target)
            raise
        finally:
            file.close()
    return digest.hexdigest()


def digest_of(disk: Disk, path: str) -> tuple[int, str]:
    """Octets read, and their SHA-256. Raises OSError."""
    digest = hashlib.sha256()
    size = 0
    with disk.open(path) as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def sync_file(disk: Disk, path: str) -> None:
    """Make durable what was written to it, by whomever. Raises OSError."""
    file = disk.append(path)
    try:
        file.sync()
    finally:
        file.close()


def write_new(disk: Disk, path: str, data: bytes) -> None:
    """Not synced. Raises OSError, FileExistsError."""
    file = disk.create(path)
    try:
        file.write(data)
    finally:
        file.close()


def remove_tree(disk: Disk, top: str) -> None:
    """A directory and everything in it; nothing where there is none. Raises OSError."""
    for found in reversed(list(walk(disk, top))):
        path = os.path.join(top, found.path)
        with contextlib.suppress(FileNotFoundError):
            if found.is_directory:
                disk.remove_directory(path)
            else:
                disk.unlink(path)
    with contextlib.suppress(FileNotFoundError):
        disk.remove_directory(top)


def sync_directories(disk: Disk, top: str) -> None:
    """Every directory below, then ``top`` itself."""
    for found in walk(disk, top):
        if found.is_directory:
            disk.sync_directory(os.path.join(top, found.path))
    disk.sync_directory(top)
