"""The directory that holds backups: their names, who may work there, what is removed.

Names are times in UTC, so that their order is their age and a shell sorts them. Where the
clock is behind the youngest, the next one is called after that, with a number.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from mailframe.backup import manifest
from mailframe.backup.files import remove_tree
from mailframe.backup.manifest import BadBackup
from mailframe.errors import MailframeError
from mailframe.runtime.disk import Disk

PARTIAL = ".partial"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(?:-\d+)?")


class BackupBusy(MailframeError):
    """Another run works in the same directory."""


def name_of(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


class BackupSets:
    """``directory`` need not be there before ``working``."""

    def __init__(self, directory: str, disk: Disk) -> None:
        self.directory = directory
        self.disk = disk

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Alone here. Raises BackupBusy, OSError."""
        self.disk.make_directories(self.directory)
        lock = self.disk.lock(os.path.join(self.directory, "lock"))
        if lock is None:
            raise BackupBusy(f"another backup is being made in {self.directory}")
        try:
            yield
        finally:
            lock.release()

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def names(self) -> list[str]:
        """Of those that are complete, oldest first."""
        try:
            found = [e.name for e in self.disk.scan(self.directory) if _NAME.fullmatch(e.name)]
        except FileNotFoundError:
            return []
        return sorted((name for name in found if self._is_complete(name)), key=_age)

    def latest(self) -> str | None:
        """Its path."""
        names = self.names()
        return self.path(names[-1]) if names else None

    def sweep(self) -> int:
        """Remove what runs that were cut off left behind; how many."""
        litter = [e.name for e in self.disk.scan(self.directory) if _is_litter(e.name)]
        for name in litter:
            remove_tree(self.disk, self.path(name))
        return len(litter)

    def begin(self, now: float) -> str:
        """The name of a set that is to be made; its ``.partial`` directory is there then. It
        sorts after all others, also where the clock was set back: the youngest is told by it."""
        stem, number = name_of(now), 1
        if names := self.names():
            last, its_number = _age(names[-1])
            if last >= stem:
                stem, number = last, its_number + 1
        name = stem if number == 1 else f"{stem}-{number}"
        while self.disk.exists(self.path(name)) or self.disk.exists(self.path(name + PARTIAL)):
            number += 1
            name = f"{stem}-{number}"
        self.disk.make_directories(self.path(name + PARTIAL))
        return name

    def complete(self, name: str) -> str:
        """It has its manifest and is synced: from now on it is a backup. Its path."""
        self.disk.rename(self.path(name + PARTIAL), self.path(name))
        self.disk.sync_directory(self.directory)
        return self.path(name)

    def give_up(self, name: str) -> None:
        remove_tree(self.disk, self.path(name + PARTIAL))

    def prune(self, keep: int) -> list[str]:
        """Remove all but the youngest ``keep``; names of those removed."""
        old = self.names()[: -keep or None] if keep else []
        for name in old:
            self.disk.rename(self.path(name), self.path(name + PARTIAL))
        if old:
            self.disk.sync_directory(self.directory)
        for name in old:
            remove_tree(self.disk, self.path(name + PARTIAL))
        return old

    def _is_complete(self, name: str) -> bool:
        return self.disk.exists(os.path.join(self.path(name), manifest.FILE))


def find_set(path: str, disk: Disk) -> str:
    """The backup that is meant: ``path`` itself, or the youngest in it. Raises BadBackup."""
    if disk.exists(os.path.join(path, manifest.FILE)):
        return path
    latest = BackupSets(path, disk).latest()
    if latest is None:
        raise BadBackup(f"there is no backup at {path}")
    return latest


def _is_litter(name: str) -> bool:
    return name.endswith(PARTIAL) and bool(_NAME.fullmatch(name.removesuffix(PARTIAL)))


def _age(name: str) -> tuple[str, int]:
    stem, _, number = name.partition("Z")
    return f"{stem}Z", int(number[1:] or 1)
