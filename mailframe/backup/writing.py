"""Making one set. Synchronous; for a process of its own.

Frozen files (messages, bodies in the queue: nobody ever writes to them again) are linked
where the file system permits, else linked to the copy that the set before has, else copied.
What others may overwrite is copied; where the copy is as the one before, that is taken.

``finish`` walks what is there, so that the manifest counts the set and not the intention. It
reads and syncs every file but those that the set before has too, whose digests are known.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.backup.files import (
    Found,
    Unreadable,
    copy,
    digest_of,
    link,
    order,
    settle_file,
    walk,
    write_new,
)
from mailframe.backup.manifest import BadBackup, Entry, Header, ManifestWriter, Total, entries
from mailframe.runtime.copies import Alter, copy_database
from mailframe.runtime.disk import Disk


@dataclass(slots=True)
class Tally:
    """How the files of a set came there."""

    linked: int = 0
    """To the server's own files."""
    reused: int = 0
    """To the set before."""
    copied: int = 0
    octets_read: int = 0
    """To make the digests."""


class SetWriter:
    """``directory`` is there and empty; ``previous`` is the path of a set, or empty."""

    def __init__(self, disk: Disk, directory: str, previous: str = "") -> None:
        self.tally = Tally()
        self.unread: list[str] = []
        """What the disk did not give when it was read again, and why: it is not in the set."""
        self.directory = directory
        self._disk = disk
        self._previous = previous
        self._made: set[str] = {""}
        self._before: tuple[str, dict[str, Found]] = ("", {})

    def has(self, path: str) -> bool:
        return self._disk.exists(self._place(path))

    def make_directory(self, path: str) -> None:
        if path in self._made:
            return
        if len(self._made) > 10_000:
            self._made = {""}
        self.make_directory(os.path.dirname(path))
        if not self._disk.is_directory(self._place(path)):
            self._disk.make_directories(self._place(path))
        self._made.add(path)

    def add_frozen(self, source: str, path: str) -> bool:
        """A file that never changes, whatever its name does. True: it is the same file, False:
        it has the same octets. Raises FileNotFoundError where it has gone, Unreadable,
        OSError."""
        self.make_directory(os.path.dirname(path))
        target = self._place(path)
        if link(self._disk, source, target):
            self.tally.linked += 1
            return True
        if not self._reuse_frozen(source, path):
            copy(self._disk, source, target)
            self.tally.copied += 1
        return False

    def add_copy(self, source: str, path: str) -> None:
        """One that may be overwritten or replaced. As ``add_frozen``."""
        self.make_directory(os.path.dirname(path))
        copy(self._disk, source, self._place(path))
        self.tally.copied += 1
        self.reuse(path)

    def add_content(self, data: bytes, path: str) -> None:
        self.make_directory(os.path.dirname(path))
        write_new(self._disk, self._place(path), data)
        self.tally.copied += 1
        self.reuse(path)

    def add_damaged(self, source: str, path: str) -> None:
        """A database that SQLite does not copy, and its log, as they are. As ``add_frozen``."""
        self.make_directory(os.path.dirname(path))
        for suffix in ("", "-wal"):
            self.remove(path + suffix)
            with contextlib.suppress(FileNotFoundError):
                copy(self._disk, source + suffix, self._place(path + suffix))
                self.tally.copied += 1

    def add_database(self, source: str, path: str, alter: Alter | None = None) -> None:
        """One commit of it; ``reuse`` when it is not altered any more. Raises sqlite3.Error
        besides."""
        self.make_directory(os.path.dirname(path))
        copy_database(self._disk, source, self._place(path), alter)
        self.tally.copied += 1

    def alter_database(self, path: str, alter: Alter) -> None:
        """One that ``add_database`` brought. Raises sqlite3.Error."""
        connection = self._disk.connect(self._place(path), timeout=0)
        try:
            connection.execute("BEGIN IMMEDIATE")
            alter(connection)
            connection.execute("COMMIT")
        finally:
            connection.close()

    def inodes(self, path: str) -> Iterator[tuple[str, int]]:
        """Of the files below a directory of the set, with their paths."""
        for found in walk(self._disk, self.directory, path):
            if found.is_file:
                yield found.path, found.status.st_ino

    def inode(self, path: str) -> int:
        return self._disk.status(self._place(path)).st_ino

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(self._place(path))

    def finish(self, header: Header) -> Total:
        """Everything synced, then the manifest, then that is. Raises OSError, and BadBackup
        where a file changed while it was read."""
        known = _Digests(self._disk, self._previous)
        manifest = ManifestWriter(self._disk, self.directory, header)
        try:
            for found in walk(self._disk, self.directory):
                if found.path.partition("/")[0].startswith("manifest"):
                    continue
                if (entry := self._entry(found, known)) is not None:
                    manifest.add(entry)
                if found.is_directory:
                    self._disk.sync_directory(self._place(found.path))
            manifest.publish()
        except BaseException:
            manifest.abort()
            raise
        self._disk.sync_directory(self.directory)
        return manifest.total

    def _entry(self, found: Found, known: _Digests) -> Entry | None:
        """None: it was left out."""
        if found.is_directory:
            return Entry(found.path, found.mode)
        digest = known.of(found)
        try:
            digest = digest or self._settle(found)
        except Unreadable as error:
            if found.status.st_nlink == 1:
                raise  # our own copy: the disk that backups are kept on is no good
            # A message on a bad block must not keep all others from being backed up.
            self.unread.append(f"{found.path}: {error.strerror}")
            self.remove(found.path)
            self._disk.sync_directory(os.path.dirname(self._place(found.path)))
            return None
        return Entry(found.path, found.mode, found.status.st_size, digest)

    def _settle(self, found: Found) -> str:
        """Read and sync a file that the set before has not."""
        path = self._place(found.path)
        size, digest = digest_of(self._disk, path)
        if size != found.status.st_size:
            raise BadBackup(f"{path} changes while it is read: somebody writes to it")
        settle_file(self._disk, path)
        self.tally.octets_read += size
        return digest

    def _reuse_frozen(self, source: str, path: str) -> bool:
        """Link the copy of that file that the set before has, under whatever flags."""
        before = self._frozen_before(os.path.dirname(path)).get(_base(path))
        if before is None:
            return False
        status = self._disk.status(source)
        is_same = before.status.st_size == status.st_size and (
            int(before.status.st_mtime) == int(status.st_mtime)
        )
        if not is_same:
            return False
        try:
            self._disk.link(os.path.join(self._previous, before.path), self._place(path))
        except OSError:
            return False
        self.tally.reused += 1
        return True

    def _frozen_before(self, directory: str) -> dict[str, Found]:
        """By base name; new/ and cur/ of a folder are one."""
        parent, name = os.path.split(directory)
        both = [f"{parent}/new", f"{parent}/cur"] if name in ("new", "cur") else [directory]
        if self._before[0] != both[0]:
            found: dict[str, Found] = {}
            for where in both if self._previous else ():
                for entry in walk(self._disk, self._previous, where):
                    found[_base(entry.path)] = entry
            self._before = (both[0], found)
        return self._before[1]

    def reuse(self, path: str) -> None:
        """Take the file of the set before where it has the same octets: from here on it must
        not be written to."""
        if not self._previous:
            return
        before, target = os.path.join(self._previous, path), self._place(path)
        try:
            if self._disk.status(before).st_size != self._disk.status(target).st_size:
                return
            if digest_of(self._disk, before) != digest_of(self._disk, target):
                return
            self._disk.link(before, f"{target}.same")
            self._disk.rename(f"{target}.same", target)
        except OSError:
            return  # it is no matter: there is a good copy
        self.tally.copied -= 1
        self.tally.reused += 1

    def _place(self, path: str) -> str:
        return os.path.join(self.directory, path) if path else self.directory


class _Digests:
    """Of the set before: its manifest is read along, one directory's part in memory."""

    def __init__(self, disk: Disk, previous: str) -> None:
        self._disk = disk
        self._previous = previous
        self._entries = self._read()
        self._next = next(self._entries, None)
        self._unit = ""
        self._known: dict[int, str] = {}

    def of(self, found: Found) -> str:
        """Empty: not known. The same inode is the same file, whatever it is called."""
        if self._next is None and not self._known:
            return ""
        if (unit := _unit(found.path)) != self._unit:
            self._load(unit)
        return self._known.get(found.status.st_ino, "")

    def _load(self, unit: str) -> None:
        self._unit = unit
        self._known = {}
        while self._next is not None and order(_unit(self._next.path)) <= order(unit):
            entry, self._next = self._next, next(self._entries, None)
            if entry.is_directory or _unit(entry.path) != unit:
                continue
            with contextlib.suppress(OSError):
                status = self._disk.status(os.path.join(self._previous, entry.path))
                if status.st_size == entry.size:
                    self._known[status.st_ino] = entry.sha256

    def _read(self) -> Iterator[Entry]:
        if not self._previous:
            return
        # A set that is damaged is no reason not to make a new one.
        with contextlib.suppress(BadBackup, OSError):
            yield from entries(self._disk, self._previous)


def _unit(path: str) -> str:
    """What is looked at together: an account's mail, or else the directory."""
    parts = path.split("/")
    depth = 4 if parts[:2] == ["base", "mail"] else 2
    return "/".join(parts[:depth])


def _base(path: str) -> str:
    return os.path.basename(path).partition(":")[0]
