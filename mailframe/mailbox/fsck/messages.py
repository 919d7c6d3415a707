"""The entries of one folder's new, cur and tmp. Synchronous; changes nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from mailframe.mailbox.fsck.faults import Fault, Kind
from mailframe.mailbox.maildir import STALE_SECONDS, Maildir
from mailframe.mailbox.names import FileName
from mailframe.runtime.disk import Disk

BAD_BLOCK = {errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ENODATA}
"""What a disk says, or a file system of its checksums, of octets that are lost."""
_CHUNK = 1 << 20
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"\x04\x22M\x18")
"""gzip, bzip2, xz, zstd, lz4: Dovecot's mail_compress keeps the size before in ``,S=``."""


class FolderLook:
    """One folder; ``read`` all octets, or only measure."""

    def __init__(self, maildir: Maildir, *, read: bool, now: float) -> None:
        self.messages = 0
        self.octets = 0
        self._maildir = maildir
        self._disk = maildir.disk
        self._read = read
        self._now = now
        self._bases: dict[str, str] = {}

    def faults(self) -> Iterator[Fault]:
        """Raises OSError where nothing can be told of a message."""
        for name in ("new", "cur"):
            for path, status in _entries(self._disk, self._maildir.subdirectory(name)):
                if os.path.basename(path).startswith("."):
                    continue  # no message by Maildir's rules, and often a file system's own
                yield from self._entry(path, status)
        yield from self._strays()

    def _entry(self, path: str, status: os.stat_result) -> Iterator[Fault]:
        if not stat.S_ISREG(status.st_mode):
            yield Fault(Kind.NO_MESSAGE, path, f"a {_what(status.st_mode)} among messages")
            return
        if fault := mode_fault(path, status):
            yield fault
        if fault := self._content_fault(path, status):
            yield fault
            return
        self.messages += 1
        said = FileName.parse(os.path.basename(path)).size
        self.octets += status.st_size if said is None else said  # as the quota counts packed ones
        if not _is_readable(os.path.basename(path)):
            yield Fault(Kind.BAD_NAME, path, "a name that not every program can read")
            return
        yield from self._double(path, status)

    def _content_fault(self, path: str, status: os.stat_result) -> Fault | None:
        if not status.st_size:
            return Fault(Kind.EMPTY, path, "no octet")
        name = FileName.parse(os.path.basename(path))
        try:
            with self._disk.open(path) as file:
                start = file.read(8)
                while self._read and file.read(_CHUNK):
                    continue
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES):
                return None  # it has other flags now; or its mode is the fault
            if error.errno not in BAD_BLOCK:
                raise  # too many open files, a server of files that is away: the mail is good
            return Fault(Kind.UNREADABLE, path, error.strerror or str(error))
        if name.size is None or name.size == status.st_size or start.startswith(_PACKED):
            return None
        kind = Kind.CUT_OFF if status.st_size < name.size else Kind.WRONG_SIZE
        text = f"{status.st_size} octets, not {name.size}"
        return Fault(kind, path, text, detail=status.st_size)

    def _double(self, path: str, status: os.stat_result) -> Iterator[Fault]:
        unique = FileName.parse(os.path.basename(path)).unique
        other = self._bases.setdefault(unique, path)
        if other == path or not self._disk.exists(other):
            self._bases[unique] = path  # it was renamed while we looked
            return
        with contextlib.suppress(OSError):
            kind = Kind.TWICE if self._are_same(other, path) else Kind.SAME_NAME
            if os.path.dirname(other) != os.path.dirname(path):
                path, other = other, path  # the one in new says less of what was done with it
                self._bases[unique] = other
            yield Fault(kind, path, f"there is also {os.path.basename(other)}", other=other)

    def _are_same(self, one: str, other: str) -> bool:
        first, second = self._disk.status(one), self._disk.status(other)
        if first.st_ino == second.st_ino and first.st_dev == second.st_dev:
            return True
        return first.st_size == second.st_size and self._disk.read(one) == self._disk.read(other)

    def _strays(self) -> Iterator[Fault]:
        for path, status in _entries(self._disk, self._maildir.subdirectory("tmp")):
            age = self._now - status.st_mtime
            if age >= STALE_SECONDS and not os.path.basename(path).startswith("."):
                yield Fault(Kind.STRAY, path, f"{int(age // 3600)} hours old")


def mode_fault(path: str, status: os.stat_result) -> Fault | None:
    """The server must be able to use it, and nobody else."""
    if stat.S_ISLNK(status.st_mode):
        return None  # it has no permissions of its own
    wanted = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
    mode = stat.S_IMODE(status.st_mode)
    if mode & wanted == wanted and not mode & 0o077:
        return None
    return Fault(Kind.MODE, path, f"mode {mode:o}, not {wanted:o}", detail=wanted)


def _entries(disk: Disk, directory: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        paths = sorted(entry.path for entry in disk.scan(directory))
    except OSError:
        return  # what is wrong with the directory itself is told elsewhere
    for path in paths:
        try:
            status = disk.status(path)
        except (FileNotFoundError, PermissionError):
            continue  # or the directory's mode is the fault
        yield path, status


def _is_readable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable()


def _what(mode: int) -> str:
    for test, word in (
        (stat.S_ISDIR, "directory"),
        (stat.S_ISLNK, "symbolic link"),
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"),
    ):
        if test(mode):
            return word
    return "device"
