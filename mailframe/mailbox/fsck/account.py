"""All of one account: its folders, their small files, the index, the quota. Changes nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace

from mailframe.mailbox import folder_file
from mailframe.mailbox.fsck.faults import Fault, Kind
from mailframe.mailbox.fsck.messages import BAD_BLOCK, FolderLook, mode_fault
from mailframe.mailbox.index.place import as_name, relative
from mailframe.mailbox.index.schema import MIGRATIONS
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.paths import folder_directory, folder_of
from mailframe.mailbox.quota import sum_in_maildirsize
from mailframe.mailbox.tree import usage
from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import faults_of

_SUBDIRECTORIES = ("cur", "new", "tmp")
_SMALL = {
    "subscriptions": 1 << 23,
    "dovecot-keywords": 1 << 16,
    "maildirsize": 1 << 20,
    "maildirfolder": 1 << 16,
}
"""Octets beyond which no program has written it."""
_NO_CONTENT = BAD_BLOCK | {errno.EINVAL, errno.ELOOP, errno.ENXIO}
"""Of a file: lost, or it is none (``Disk.open``)."""
_SECONDS = 10.0


class AccountLook:
    """``home`` holds the Maildir. ``now`` in seconds since the epoch."""

    def __init__(self, account: str, home: str, disk: Disk, *, read: bool, now: float) -> None:
        self.messages = 0
        self.octets = 0
        self._account = account
        self._home = home
        self._disk = disk
        self._read = read
        self._now = now
        self._inbox = Maildir(os.path.join(home, "Maildir"), disk)

    def faults(self) -> Iterator[Fault]:
        """Raises OSError and sqlite3.Error where nothing can be told."""
        for fault in self._faults():
            yield replace(fault, account=self._account)

    def _faults(self) -> Iterator[Fault]:
        yield from self._modes(self._home)
        if not self._disk.is_directory(self._inbox.path):
            return  # nothing was delivered yet
        highest = 0
        for path in (self._inbox.path, *self._folder_paths()):
            validity: list[int] = []
            yield from self._folder(path, validity)
            highest = max([highest, *validity])
        yield from self._uid_validity(highest)
        yield from self._index()
        yield from self._quota()

    def _folder_paths(self) -> list[str]:
        try:
            found = sorted(e.path for e in self._disk.scan(self._inbox.path) if _is_dotted(e.name))
        except OSError:
            return []
        return [path for path in found if _is_folder(self._disk, path)]

    def _folder(self, path: str, validity: list[int]) -> Iterator[Fault]:
        yield from self._modes(path)
        if path != self._inbox.path and (fault := _name_fault(path)):
            yield fault
        for name in _SUBDIRECTORIES:
            directory = os.path.join(path, name)
            if not self._disk.is_directory(directory):
                yield Fault(Kind.NO_FOLDER, directory, "is missing")
            else:
                yield from self._modes(directory)
        look = FolderLook(Maildir(path, self._disk), read=self._read, now=self._now)
        yield from look.faults()
        self.messages += look.messages
        self.octets += look.octets
        yield from self._small_files(path, validity)

    def _small_files(self, path: str, validity: list[int]) -> Iterator[Fault]:
        for name, most in _SMALL.items():
            file = os.path.join(path, name)
            with contextlib.suppress(FileNotFoundError, PermissionError):  # of its directory
                status = self._disk.status(file)
                if not stat.S_ISREG(status.st_mode):
                    yield Fault(Kind.SMALL_FILE, file, "is no regular file")
                elif status.st_size > most:
                    yield Fault(Kind.SMALL_FILE, file, f"has {status.st_size} octets")
                elif fault := mode_fault(file, status):
                    yield fault
        yield from self._folder_file(os.path.join(path, folder_file.FILE), validity)

    def _folder_file(self, file: str, validity: list[int]) -> Iterator[Fault]:
        fault = None
        try:
            fault = mode_fault(file, self._disk.status(file))
            truth = folder_file.parse(self._disk.read(file))
        except FileNotFoundError:
            return
        except PermissionError:
            if fault:
                yield fault
        except (*folder_file.BAD, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_CONTENT:
                raise
            yield Fault(Kind.FOLDER_FILE, file, f"cannot be used: {error}")
        else:
            validity.append(truth.uid_validity)
            if fault:
                yield fault

    def _uid_validity(self, highest: int) -> Iterator[Fault]:
        path = os.path.join(self._home, folder_file.HIGHEST)
        try:
            said = int(self._disk.read(path))
        except FileNotFoundError:
            said = 0
        except (OSError, ValueError):
            yield Fault(Kind.UIDVALIDITY, path, "cannot be used", detail=highest)
            return
        if said < highest:
            text = f"says {said}, a folder has {highest}"
            yield Fault(Kind.UIDVALIDITY, path, text, detail=highest)

    def _index(self) -> Iterator[Fault]:
        path = os.path.join(self._home, "index.db")
        if not self._disk.exists(path):
            return
        if faults := faults_of(self._disk, path, len(MIGRATIONS)):
            yield Fault(Kind.INDEX, path, "; ".join(faults[:3]))
            return
        with contextlib.suppress(sqlite3.OperationalError):  # busy, or of an older version
            if what := self._first_untruth(path) and self._first_untruth(path):
                yield Fault(Kind.INDEX, path, what)

    def _first_untruth(self, path: str) -> str:
        """What the index claims to have seen and is otherwise; empty: nothing. Changes that
        it has not looked at yet are none."""
        connection = self._disk.connect(path, timeout=_SECONDS)
        try:
            for number, name, *stamps in connection.execute(
                "SELECT id, name, new_stamp, cur_stamp FROM folder"
            ).fetchall():
                with contextlib.suppress(ValueError, OSError):
                    maildir = Maildir(folder_directory(self._inbox.path, name), self._disk)
                    if not all(stamps) or stamps != self._stamps(maildir):
                        continue
                    rows = connection.execute(
                        "SELECT base, place FROM message WHERE folder = ?", (number,)
                    )
                    known = {relative(as_name(base), as_name(place)) for base, place in rows}
                    there = {
                        f"{sub}/{entry}"
                        for sub in ("new", "cur")
                        for entry in self._disk.names(maildir.subdirectory(sub))
                        if not entry.startswith(".")
                    }
                    if _bases(known) - _bases(there) and stamps == self._stamps(maildir):
                        lost = min(_bases(known) - _bases(there))
                        return f"in {name} it has {lost}, which is not there"
        finally:
            connection.close()
        return ""

    def _stamps(self, maildir: Maildir) -> list[int]:
        names = (maildir.subdirectory("new"), maildir.subdirectory("cur"))
        return [self._disk.status(name).st_mtime_ns for name in names]

    def _quota(self) -> Iterator[Fault]:
        path = os.path.join(self._inbox.path, "maildirsize")
        said = sum_in_maildirsize(self._disk, self._inbox.path)
        if said is None or said == (self.octets, self.messages):
            return
        # Mail that comes and goes while we count is no fault.
        if sum_in_maildirsize(self._disk, self._inbox.path) != usage(self._inbox):
            text = f"says {said[0]} octets in {said[1]} messages, there are "
            yield Fault(Kind.QUOTA, path, f"{text}{self.octets} in {self.messages}")

    def _modes(self, path: str) -> Iterator[Fault]:
        with contextlib.suppress(FileNotFoundError):
            if fault := mode_fault(path, self._disk.status(path)):
                yield fault


def _bases(names: set[str]) -> set[str]:
    return {name[4:].partition(":")[0] for name in names}


def _is_dotted(name: str) -> bool:
    return name.startswith(".") and name not in (".", "..")


def _is_folder(disk: Disk, path: str) -> bool:
    """Or was one before something went missing."""
    try:
        if not stat.S_ISDIR(disk.status(path).st_mode):
            return False
        names = {entry.name for entry in disk.scan(path)}
    except OSError:
        return False
    return bool(names & {"cur", "new", folder_file.FILE, "maildirfolder"})


def _name_fault(path: str) -> Fault | None:
    try:
        folder_of(os.path.basename(path))
    except ValueError:
        return Fault(Kind.BAD_FOLDER_NAME, path, "no client can name this folder")
    return None
