"""Following Maildirs while they change: every message that is there throughout is copied.

A message may be renamed (flags), go from new to cur, or to another folder or account while
the directories are read, and be missed at both places. So accounts whose directories changed
since they were looked at are looked at again, and what is new is added; what has vanished
stays for the time being, it may have gone to a place that was read before. At the end a file
that is there under several names keeps those that it really has (copies by IMAP share a
file), or else one.

Per account that changes while the backup runs the inodes of its messages are in memory. Of
others there is nothing where messages are linked; elsewhere a pair of inodes for each, since
a copy does not tell whose it is.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from mailframe.app.backups.layout import MAIL, Kind, is_frozen, is_litter, kind_of
from mailframe.backup.files import Found, Unreadable, walk
from mailframe.backup.writing import SetWriter
from mailframe.mailbox.index.place import is_settled
from mailframe.mailbox.names import key_in
from mailframe.runtime.disk import Disk

_LOOKS = 5
_MARGIN = 2.0  # seconds: stamps of some file systems are that coarse
_SKEW = 3600.0  # seconds; a stamp further ahead was set by another clock, not just now
Stamps = dict[str, int]


@dataclass(slots=True)
class MailCopy:
    """``run``, then read what it found."""

    disk: Disk
    base: str
    writer: SetWriter
    prefix: str
    """Of paths in the set."""
    clock: Callable[[], float]
    """Seconds since the epoch."""
    wanted: Collection[str] = ()
    """Keys of deliveries that the copied queue has."""
    delivered: set[str] = field(default_factory=set)
    """Those of them that are in a mailbox."""
    homes: list[str] = field(default_factory=list)
    """Of accounts; relative to the base."""
    messages: int = 0
    unread: list[str] = field(default_factory=list)
    """What could not be copied, and why."""
    restless: int = 0
    """Accounts that changed during every look."""
    _began: float = 0.0
    _looked: dict[str, float] = field(default_factory=dict)
    _stamps: dict[str, Stamps] = field(default_factory=dict)
    _names: dict[int, list[str]] = field(default_factory=dict)
    """Of messages that may have more than one name, by inode."""
    _copies: dict[int, int] = field(default_factory=dict)
    """Inodes in the set with those that they are copies of, where they differ."""

    def run(self) -> None:
        """Raises OSError for trouble with the target, or with all of the source."""
        self._began = self.clock()
        self.homes = list(self._find_homes())
        changed = list(self.homes)
        for number in range(_LOOKS):
            for home in changed:
                self._look(home, again=number > 0)
            known = set(self.homes)
            self.homes += [home for home in self._find_homes() if home not in known]
            changed = [home for home in self.homes if self._has_changed(home)]
            if not changed:
                break
        self.restless = len(changed)
        self._settle_names()

    def _find_homes(self) -> Iterator[str]:
        for domain in _directories(self.disk, os.path.join(self.base, MAIL)):
            try:
                homes = _directories(self.disk, os.path.join(self.base, MAIL, domain))
            except OSError as error:
                self._note_unread(f"{MAIL}/{domain}", error)
                continue
            for local in homes:
                yield f"{MAIL}/{domain}/{local}"

    def _look(self, home: str, *, again: bool) -> None:
        self._looked[home] = self.clock()
        self._stamps[home] = self._current(home)
        is_restless = again or self._is_young(home)
        if again:
            self._recall_names(home)
        for found in walk(self.disk, self.base, home, skip=is_litter, unread=self._note_unread):
            kind = kind_of(found.path, found.is_directory)
            if kind is Kind.LITTER or kind is Kind.INDEX:
                continue
            if found.is_directory:
                self.writer.make_directory(self.prefix + found.path)
            elif kind is Kind.FROZEN and found.is_file:
                self._message(found.path, found, is_restless)

    def _recall_names(self, home: str) -> None:
        """Those that the first look brought: whatever has another one now is there twice."""
        for path, inode in self.writer.inodes(self.prefix + home):
            path = path.removeprefix(self.prefix)
            if not is_frozen(path):
                continue
            names = self._names.setdefault(self._copies.get(inode, inode), [])
            if path not in names:
                names.append(path)

    def _message(self, path: str, found: Found, is_restless: bool) -> None:
        if is_restless:
            names = self._names.setdefault(found.status.st_ino, [])
            if path in names:
                return
            names.append(path)
        if self.writer.has(self.prefix + path):
            return
        try:
            is_same = self.writer.add_frozen(os.path.join(self.base, path), self.prefix + path)
        except FileNotFoundError:
            return  # it has another name now, or was deleted
        except (PermissionError, Unreadable) as error:
            self._note_unread(path, error)
            return
        if not is_same:
            self._copies[self.writer.inode(self.prefix + path)] = found.status.st_ino
        self.messages += 1
        if self.wanted and (key := key_in(os.path.basename(path))) in self.wanted:
            self.delivered.add(key)

    def _has_changed(self, home: str) -> bool:
        """Or may have, in the same tick of the clock as something that was seen."""
        stamps = self._stamps.get(home)
        if stamps is None or stamps != self._current(home):
            return True
        looked = self._looked[home]
        near = [stamp for stamp in stamps.values() if stamp / 1e9 < looked + _SKEW]
        return not is_settled(near, looked)

    def _is_young(self, home: str) -> bool:
        """Something changed since the backup began: it may have come from elsewhere."""
        newest = max(self._stamps.get(home, {}).values(), default=0)
        return newest / 1e9 >= self._began - _MARGIN

    def _current(self, home: str) -> Stamps:
        top = os.path.join(self.base, home)
        stamps = {}
        for path in _maildirs(self.disk, os.path.join(top, "Maildir")):
            for name in ("", "new", "cur"):
                place = os.path.join(path, name) if name else path
                try:
                    stamps[place] = self.disk.status(place).st_mtime_ns
                except OSError:
                    continue
        return stamps

    def _note_unread(self, path: str, error: OSError) -> None:
        text = f"{path}: {error.strerror}"
        if text not in self.unread:
            self.unread.append(text)

    def _settle_names(self) -> None:
        for paths in self._names.values():
            kept = [path for path in paths if self.writer.has(self.prefix + path)]
            if len(kept) < 2:
                continue
            there = [p for p in kept if self.disk.exists(os.path.join(self.base, p))] or kept[-1:]
            for path in kept:
                if path not in there:
                    self.writer.remove(self.prefix + path)
                    self.messages -= 1


def _maildirs(disk: Disk, inbox: str) -> Iterator[str]:
    yield inbox
    with contextlib.suppress(OSError):  # the walk tells
        for name in _directories(disk, inbox):
            if name.startswith("."):
                yield os.path.join(inbox, name)


def _directories(disk: Disk, path: str) -> list[str]:
    try:
        return sorted(e.name for e in disk.scan(path) if _is_directory(disk, e.path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_directory(disk: Disk, path: str) -> bool:
    try:
        return stat.S_ISDIR(disk.status(path).st_mode)
    except OSError:
        return False
