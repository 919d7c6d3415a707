"""One Maildir (or Maildir++ folder) on disk: what is in it, found whatever others do to it.

Synchronous; runs on worker threads and in the command line. Other programs rename, move and
remove messages at any time. Only regular files with plain names are messages; everything
else in the directories is left alone and never an error.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from mailframe.mailbox.names import FileName, uid_of
from mailframe.mailbox.paths import folder_of
from mailframe.mailbox.sizes import WireSizes
from mailframe.runtime.disk import Disk

STALE_SECONDS = 36 * 3600  # Maildir's own rule for what a writer left behind in tmp
_SCANS = 3  # a directory changed while it is read may hide an entry: read it again


class Entry(NamedTuple):
    """One message."""

    uid: str
    path: str
    name: FileName
    received: int
    wire_size: int


class Maildir:
    def __init__(self, path: str, disk: Disk) -> None:
        self.path = path
        self.disk = disk

    def subdirectory(self, name: str) -> str:
        return os.path.join(self.path, name)

    def ensure(self) -> None:
        """Make what is missing of it, durably."""
        # ``tmp`` last: where a delivery finds it, the others are there and durable.
        for name in ("cur", "new", "tmp"):
            self.disk.make_directories(self.subdirectory(name))
        if os.path.basename(self.path).startswith("."):
            self._mark_as_folder()

    def files(self) -> list[tuple[str, FileName]]:
        """Path and name of every message, once each, in no order."""
        for _ in range(_SCANS):
            before = self._changed()
            # A message moves from new to cur only: read in this order it is not missed.
            found = {file[1].base: file for file in self._both()}
            if self._changed() == before:
                break
        return list(found.values())

    def entries(self, sizes: WireSizes) -> list[Entry]:
        """Every readable message, oldest first."""
        dated = []
        for path, name in self.files():
            received = name.received if name.received is not None else self._modified(path)
            wire = name.wire_size if name.wire_size is not None else sizes.of(self.disk, path, name)
            if received is not None and wire is not None:
                dated.append((received, name.micros, name.base, path, name, wire))
        dated.sort()  # no two have the same base name
        entries: dict[str, Entry] = {}
        for received, _, base, path, name, wire in dated:
            uid = name.uid
            if uid in entries:  # against Maildir's rules: the same unique part twice
                uid = uid_of(f"duplicate {base}")
            entries[uid] = Entry(uid, path, name, received, wire)
        return list(entries.values())

    def in_order(self) -> list[tuple[str, FileName]]:
        """``files``, oldest first as far as their names tell."""
        return sorted(self.files(), key=lambda file: _age(file[1]))

    def read(self, path: str, name: FileName) -> tuple[bytes, float] | None:
        """Content and time of modification, wherever the file is now; None when it is gone
        or cannot be read."""
        try:
            return self._read(path)
        except FileNotFoundError:
            found = self.find(name.base)
        except OSError:
            return None
        try:
            return self._read(found) if found is not None else None
        except OSError:
            return None

    def find(self, base: str) -> str | None:
        """Where the message of that base name is now, whatever its flags."""
        return next((path for path, name in self.files() if name.base == base), None)

    def usage(self) -> tuple[int, int]:
        """Octets on disk and number of messages."""
        octets = messages = 0
        for path, name in self.files():
            size = name.size if name.size is not None else self._size(path)
            if size is not None:
                octets += size
                messages += 1
        return octets, messages

    def folders(self) -> list[str]:
        """Names of the folders beside the INBOX, sorted; foreign names that no client of
        Maildir++ could have made are left out."""
        return sorted(folder for folder, _ in self.folder_directories() if folder is not None)

    def folder_directories(self) -> Iterator[tuple[str | None, str]]:
        """Folder and path of every sub-Maildir; None where the name tells no folder."""
        for entry in self._scan(self.path):
            if not entry.name.startswith(".") or not _is_directory(entry):
                continue
            if not self.disk.is_directory(os.path.join(entry.path, "cur")):
                continue
            try:
                yield folder_of(entry.name), entry.path
            except ValueError:
                yield None, entry.path

    def named_folders(self) -> list[tuple[str, Maildir]]:
        """Every folder beside the INBOX. A foreign name that tells no folder is taken as it
        is, an odd one, so that its mail is not lost."""
        return [
            (folder if folder is not None else _readable(path), Maildir(path, self.disk))
            for folder, path in sorted(self.folder_directories(), key=lambda item: item[1])
        ]

    def sweep(self, now: float) -> int:
        """Remove what dead deliveries left in ``tmp``; returns how many files."""
        removed = 0
        for entry in self._scan(self.subdirectory("tmp")):
            modified = self._modified(entry.path) if _is_file(entry) else None
            if modified is None or now - modified < STALE_SECONDS:
                continue
            try:
                self.disk.unlink(entry.path)
            except OSError:
                continue  # somebody else's, or gone: the next sweep will see
            removed += 1
        return removed

    def _read(self, path: str) -> tuple[bytes, float]:
        modified = self.disk.status(path).st_mtime
        with self.disk.open(path) as file:
            return file.read(), modified

    def _both(self) -> Iterator[tuple[str, FileName]]:
        for directory in ("new", "cur"):
            for entry in self._scan(self.subdirectory(directory)):
                if not entry.name.startswith(".") and _is_file(entry):
                    yield entry.path, FileName.parse(entry.name)

    def _scan(self, directory: str) -> list[os.DirEntry[str]]:
        try:
            return list(self.disk.scan(directory))
        except (FileNotFoundError, NotADirectoryError):
            return []  # it is made by the first delivery

    def _changed(self) -> list[int | None]:
        return [self._stamp(self.subdirectory(name)) for name in ("new", "cur")]

    def _stamp(self, path: str) -> int | None:
        status = self._status(path)
        return status.st_mtime_ns if status else None

    def _modified(self, path: str) -> int | None:
        status = self._status(path)
        return int(status.st_mtime) if status else None

    def _size(self, path: str) -> int | None:
        status = self._status(path)
        return status.st_size if status else None

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return self.disk.status(path)
        except OSError:
            return None  # vanished, or not ours to see

    def _mark_as_folder(self) -> None:
        # Courier's mark of a Maildir++ folder, by which deliveries into it find the quota.
        with contextlib.suppress(FileExistsError):
            self.disk.create(self.subdirectory("maildirfolder")).close()


def _age(name: FileName) -> tuple[int, int, str]:
    return name.received or 0, name.micros, name.base


def _readable(path: str) -> str:
    return os.fsencode(os.path.basename(path)[1:]).decode("utf-8", "replace")


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
