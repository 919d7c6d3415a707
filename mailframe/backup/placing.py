"""Out of a set into a base: beside what is there first, then under its names.

All files are brought into ``BASE/.restoring`` and compared with the manifest, then made
durable, then given their names in the base by one rename for each entry at its top. The
server does not start while there is a ``.restoring`` (``unfinished``): what a crash leaves
is an unfinished restore, never half a mailbox that looks like a whole one.

A base that is not empty is left alone, or moved into ``BASE/before-restore-TIME``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from mailframe.backup import manifest
from mailframe.backup.files import copy, digest_of, link, remove_tree, sync_file, walk
from mailframe.backup.manifest import BadBackup, Total
from mailframe.backup.sets import BackupBusy, name_of
from mailframe.backup.unfinished import BEFORE, RESTORING
from mailframe.errors import MailframeError
from mailframe.runtime.disk import Disk

_BASE = "base/"
_LOCK = ".lock"


class NotEmpty(MailframeError):
    """Something is there already."""


class Placing:
    """While ``alone``: ``bring``, then whatever is to be changed in ``directory``, then
    ``complete``."""

    def __init__(self, disk: Disk, source: str, base: str) -> None:
        self.directory = os.path.join(base, RESTORING)
        self.total = Total()
        self._disk = disk
        self._source = source
        self._base = base

    def require_empty(self, ours: frozenset[str] = frozenset()) -> None:
        """Names in ``ours`` do not count. Raises NotEmpty, OSError."""
        if names := self._names(ours):
            some = ", ".join(sorted(names)[:5])
            raise NotEmpty(f"{self._base} is not empty: it has {some}")

    def move_aside(self, now: float, ours: frozenset[str] = frozenset()) -> str:
        """What is in the base, into one directory of it; empty where there was nothing."""
        names = self._names(ours)
        if not names:
            return ""
        aside = stem = os.path.join(self._base, BEFORE + name_of(now))
        number = 1
        while self._disk.exists(aside):  # renaming into it would replace what it has
            number += 1
            aside = f"{stem}-{number}"
        self._disk.make_directories(aside)
        for name in sorted(names):
            self._disk.rename(os.path.join(self._base, name), os.path.join(aside, name))
        self._disk.sync_directory(aside)
        self._disk.sync_directory(self._base)
        return aside

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Two at once would take each other's files for their own. Raises BackupBusy,
        OSError."""
        self._disk.make_directories(self.directory)
        lock = self._disk.lock(os.path.join(self.directory, _LOCK))
        if lock is None:
            raise BackupBusy(f"another restore into {self._base} is at work")
        try:
            yield
        finally:
            lock.release()

    def bring(
        self,
        is_frozen: Callable[[str], bool],
        progress: Callable[[int], None] = lambda octets: None,
    ) -> None:
        """Every file of the set, linked where ``is_frozen`` says so of its path below the
        base; what a restore before left there is removed. Raises BadBackup where one is not
        what the manifest says, OSError."""
        for name in self._brought():
            remove_tree(self._disk, os.path.join(self.directory, name))
        for entry in manifest.entries(self._disk, self._source):
            if not entry.path.startswith(_BASE):
                continue
            path = entry.path.removeprefix(_BASE)
            source, target = (
                os.path.join(self._source, entry.path),
                os.path.join(self.directory, path),
            )
            if entry.is_directory:
                self._disk.make_directories(target)
                continue
            if not (is_frozen(path) and link(self._disk, source, target)):
                copy(self._disk, source, target)
            if digest_of(self._disk, target) != (entry.size, entry.sha256):
                raise BadBackup(f"{source} is not what the manifest says")
            self.total.add(entry)
            progress(self.total.octets)

    def complete(self) -> None:
        """Durable and under their names when it returns. Raises OSError."""
        for found in walk(self._disk, self.directory):
            path = os.path.join(self.directory, found.path)
            if found.is_directory:
                self._disk.sync_directory(path)
            elif found.status.st_nlink == 1:  # a link to the set's file is as durable as that
                sync_file(self._disk, path)
        for name in self._brought():
            self._disk.rename(os.path.join(self.directory, name), os.path.join(self._base, name))
        self._disk.sync_directory(self._base)
        self._disk.unlink(os.path.join(self.directory, _LOCK))
        self._disk.remove_directory(self.directory)
        self._disk.sync_directory(self._base)

    def _brought(self) -> list[str]:
        return sorted(e.name for e in self._disk.scan(self.directory) if e.name != _LOCK)

    def _names(self, ours: frozenset[str]) -> list[str]:
        try:
            found = [entry.name for entry in self._disk.scan(self._base)]
        except FileNotFoundError:
            return []
        return [n for n in found if n not in ours and n != RESTORING and not n.startswith(BEFORE)]
