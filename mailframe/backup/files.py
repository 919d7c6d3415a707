"""Linking, copying and walking, on a ``Disk``. Synchronous."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mailframe.runtime.disk import Disk, new_file

CHUNK = 1 << 20
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
"""The file system, or the pair of them, does not do it; link(2)."""


class Unreadable(OSError):
    """The disk does not give what is to be copied. Trouble with the copy itself, such as a
    full disk, is any other OSError."""


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


def walk(
    disk: Disk,
    top: str,
    below: str = "",
    *,
    skip: Callable[[str], bool] | None = None,
    unread: Callable[[str, OSError], None] | None = None,
) -> Iterator[Found]:
    """Everything below ``top``, in ``order``; links are not followed, and directories of which
    ``skip`` says so are not entered. What vanishes meanwhile is passed over. Directories that
    cannot be read are told to ``unread``, but for ``top``. Raises OSError."""
    directory = os.path.join(top, below) if below else top
    try:
        names = sorted(entry.name for entry in disk.scan(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if unread is None or not below:
            raise
        unread(below, error)
        return
    for name in names:
        path = f"{below}/{name}" if below else name
        try:
            found = Found(path, disk.status(os.path.join(top, path)))
        except FileNotFoundError:
            continue
        yield found
        if found.is_directory and not (skip and skip(path)):
            yield from walk(disk, top, path, skip=skip, unread=unread)


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
    synced. Raises FileNotFoundError, Unreadable, OSError."""
    digest = hashlib.sha256()
    with _reading(source):
        content = disk.open(source)
    with content:
        modified = disk.facts(content).st_mtime
        with new_file(disk, target) as file:
            while chunk := _next_chunk(content, source):
                digest.update(chunk)
                file.write(chunk)
            file.set_modified(modified)
    return digest.hexdigest()


def digest_of(disk: Disk, path: str) -> tuple[int, str]:
    """Octets read, and their SHA-256. Raises FileNotFoundError, Unreadable."""
    digest = hashlib.sha256()
    size = 0
    with _reading(path):
        content = disk.open(path)
    with content:
        while chunk := _next_chunk(content, path):
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


def settle_file(disk: Disk, path: str) -> None:
    """As ``sync_file``, of one that may be a link to somebody else's. Raises OSError."""
    try:
        sync_file(disk, path)
    except PermissionError:
        # Somebody made it read-only, and a link is the file itself: a copy can be synced.
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(f"{path}.copy")
        copy(disk, path, f"{path}.copy")
        sync_file(disk, f"{path}.copy")
        disk.rename(f"{path}.copy", path)
        disk.sync_directory(os.path.dirname(path))


def write_new(disk: Disk, path: str, data: bytes) -> None:
    """Not synced. Raises OSError, FileExistsError."""
    with new_file(disk, path) as file:
        file.write(data)


def remove_tree(disk: Disk, top: str) -> None:
    """A directory and everything in it; nothing where there is none. A symbolic link is
    removed itself, wherever it leads. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(disk.status(top).st_mode):
            disk.unlink(top)
            return
        for name in [entry.name for entry in disk.scan(top)]:
            remove_tree(disk, os.path.join(top, name))
        disk.remove_directory(top)


def _next_chunk(content: BinaryIO, path: str) -> bytes:
    with _reading(path):
        return content.read(CHUNK)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(error.errno, error.strerror, path) from error
