"""The folders of one account on disk: which there are, making, removing and renaming them.

A folder goes in one rename, into the ``tmp`` of the INBOX, before anything in it is removed:
whatever happens then, it is either there as it was or gone, and what is left over is removed
later. A rename of a folder with children is a rename of each of them: a crash leaves every
one under its old name or its new one. Symbolic links are no folders and are not followed.

Synchronous. Changes of one account must not overlap: who makes them has it locked
(``paths.account_lock``), but for removing what was taken out.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping

from twisted.logger import Logger

from mailframe.core.folders import INBOX, FolderReason
from mailframe.errors import FolderRefused
from mailframe.mailbox import folder_file
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.mailbox.folders.naming import is_below, levels_above, require_short
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.paths import account_lock, folder_directory
from mailframe.mailbox.quota import note_in_maildirsize
from mailframe.runtime.disk import Disk
from mailframe.runtime.exclusion import exclusive

MAX_FOLDERS = 10_000
"""Of one account."""

_LEAVING = "mailframe-leaving-"
_ATTEMPTS = 1000  # directories that crashes left over, and that could not be removed


class FolderTree:
    """``home`` holds the account's ``Maildir``. Names are the owner's."""

    log = Logger()

    def __init__(self, account: str, home: str, disk: Disk) -> None:
        self.account = account
        self.home = home
        self.disk = disk
        self.inbox = Maildir(os.path.join(home, "Maildir"), disk)

    def directory(self, folder: str) -> str:
        """ValueError for a name that no folder can have."""
        path = folder_directory(self.inbox.path, folder)
        if path == self.inbox.path and folder != INBOX:
            raise ValueError(f"{folder!r} is another way to say INBOX")
        return path

    def folders(self) -> dict[str, str]:
        """Directories by name, the INBOX included whether or not it is there."""
        found = {name: path for name, path in self.inbox.folder_directories() if name is not None}
        return {INBOX: self.inbox.path, **found}

    def has(self, folder: str) -> bool:
        if folder == INBOX:
            return True
        try:
            path = self.directory(folder)
        except ValueError:
            return False
        return self._is_directory(path) and self._is_directory(os.path.join(path, "cur"))

    def has_below(self, folder: str) -> bool:
        return any(is_below(name, folder) for name in self.folders())

    def has_inbox(self) -> bool:
        return self._is_directory(self.inbox.subdirectory("cur"))

    def create(
        self, folder: str, now: float, special_use: frozenset[str], acl: Mapping[str, str]
    ) -> list[tuple[str, FolderTruth]]:
        """With the levels above that are missing, outermost first; they get the same rights.
        Durable when it returns. Raises FolderRefused (ALREADY_EXISTS, LIMIT, CANNOT)."""
        folders = self.folders()
        if folder in folders:
            raise FolderRefused(FolderReason.ALREADY_EXISTS, "There is such a folder already")
        names = [name for name in (*levels_above(folder), folder) if name not in folders]
        if len(folders) + len(names) > MAX_FOLDERS:
            raise FolderRefused(FolderReason.LIMIT, "There are too many folders")
        self.inbox.ensure()
        made = []
        for name in names:
            uses = special_use if name == folder else frozenset()
            made.append((name, self._create(name, now, uses, acl)))
        return made

    def take_out(self, folder: str, now: float) -> tuple[str, int, int]:
        """Gone, durably, when it returns. Where it lies now, to be removed; octets on disk and
        messages that went with it. Raises FolderRefused (CANNOT, NONEXISTENT, HAS_CHILDREN)."""
        if folder == INBOX:
            raise FolderRefused(FolderReason.CANNOT, "The INBOX stays")
        if not self.has(folder):
            # RFC 9051 section 6.3.5: a level that is no folder goes with what is below it.
            if self.has_below(folder):
                raise FolderRefused(FolderReason.HAS_CHILDREN, "There are folders below it")
            raise no_such_folder()
        aside = self._move_aside(self.directory(folder), now)
        octets, messages = Maildir(aside, self.disk).usage()
        note_in_maildirsize(self.disk, self.inbox.path, -octets, -messages)
        return aside, octets, messages

    def to_rename(self, old: str, new: str) -> list[tuple[str, str]]:
        """What a rename renames, the folder first. Raises FolderRefused where it cannot."""
        if old == new:
            raise FolderRefused(FolderReason.ALREADY_EXISTS, "There is such a folder already")
        if is_below(new, old):
            raise FolderRefused(FolderReason.CANNOT, "A folder cannot go below itself")
        folders = self.folders()
        moving = [name for name in sorted(folders) if name == old or is_below(name, old)]
        if not moving:
            raise no_such_folder()
        pairs = [(name, new + name[len(old) :]) for name in moving]
        for _, target in pairs:
            require_short(target)
            if target in folders:
                raise FolderRefused(FolderReason.ALREADY_EXISTS, "There is such a folder already")
        above = [name for name in levels_above(new) if name not in folders]
        if len(folders) + len(above) > MAX_FOLDERS:
            raise FolderRefused(FolderReason.LIMIT, "There are too many folders")
        return pairs

    def rename(self, pairs: Collection[tuple[str, str]], renamed: list[tuple[str, str]]) -> None:
        """``to_rename``'s pairs; those that are done are put into ``renamed``, also when it
        fails. Durable when it returns. MAILBOXID and UIDVALIDITY are in the folders' files
        and go along; the index sees to names that had another folder before."""
        try:
            for old, new in pairs:
                source, target = self.directory(old), self.directory(new)
                self._require_free(target)
                self.disk.rename(source, target)
                renamed.append((old, new))
        finally:
            if renamed:
                self.disk.sync_directory(self.inbox.path)

    def sweep(self) -> None:
        """Remove what a crash in the middle of ``delete`` left over."""
        left = [
            entry.path
            for entry in self._scan(self.inbox.subdirectory("tmp"))
            if entry.name.startswith(_LEAVING) and entry.is_dir(follow_symlinks=False)
        ]
        if left:
            with exclusive(self.disk, account_lock(self.home)):
                pass  # whoever takes a folder out just now has counted what is in it
        for path in left:
            self.remove(path)

    def _create(
        self, name: str, now: float, special_use: frozenset[str], acl: Mapping[str, str]
    ) -> FolderTruth:
        path = self.directory(name)
        status = self._status(path)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            raise FolderRefused(FolderReason.CANNOT, "The name is taken by something else")
        self.disk.make_directories(path)
        # Its file before ``ensure`` makes it a folder: nobody finds one without its rights.
        mailbox_id = folder_file.new_mailbox_id(self.disk, self.home, self.account, now)
        truth = FolderTruth(mailbox_id, special_use=special_use, acl=acl)
        folder_file.write(self.disk, path, truth)
        Maildir(path, self.disk).ensure()
        return truth

    def _move_aside(self, path: str, now: float) -> str:
        # A delivery that is being written into the folder's tmp fails and is tried again.
        self.inbox.ensure()
        tmp = self.inbox.subdirectory("tmp")
        stem = os.path.join(tmp, f"{_LEAVING}{int(now * 1000)}")
        for number in range(_ATTEMPTS):
            aside = f"{stem}-{number}"
            if self._status(aside) is None:
                break
        self.disk.rename(path, aside)
        self.disk.sync_directory(self.inbox.path)
        self.disk.sync_directory(tmp)
        return aside

    def remove(self, top: str) -> None:
        """A directory and all in it, as far as the disk obeys. It is out of sight already, so
        that trouble is for the journal only; the next ``sweep`` tries again. Somebody else may
        be doing the same."""
        found = [top]
        position = 0
        try:
            while position < len(found):
                for entry in list(self._scan(found[position])):
                    if entry.is_dir(follow_symlinks=False):
                        found.append(entry.path)
                    else:
                        with contextlib.suppress(FileNotFoundError):
                            self.disk.unlink(entry.path)
                position += 1
            for path in reversed(found):
                with contextlib.suppress(FileNotFoundError):
                    self.disk.remove_directory(path)
        except OSError as error:
            self.log.error("cannot remove all of {path}: {error}", path=top, error=error)

    def _require_free(self, path: str) -> None:
        # Renaming onto an empty directory would succeed.
        if self._status(path) is not None:
            raise FolderRefused(FolderReason.CANNOT, "The name is taken by something else")

    def _scan(self, directory: str) -> Iterator[os.DirEntry[str]]:
        try:
            yield from self.disk.scan(directory)
        except (FileNotFoundError, NotADirectoryError):
            return

    def _is_directory(self, path: str) -> bool:
        status = self._status(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return self.disk.status(path)
        except (FileNotFoundError, NotADirectoryError):
            return None


def no_such_folder() -> FolderRefused:
    return FolderRefused(FolderReason.NONEXISTENT, "There is no such folder")
