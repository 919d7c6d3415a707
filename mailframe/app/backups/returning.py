"""Single messages, folders or accounts out of a set, into a mailbox that is in use.

They go the way of an import (``mailbox.importing``): written, synced, renamed into place, so
that the server's own listing and its watchers find them; an administrator does it, hence no
quota is asked. What the mailbox still has is left out: names are for ever, so a message that
was only moved or flagged since is known. Returned twice, it is there once. Times, flags and
keywords come along; uids are new.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from mailframe.backup import manifest
from mailframe.backup.manifest import BadBackup
from mailframe.mailbox.archives import ArchivedMessage
from mailframe.mailbox.headers import field, header_section
from mailframe.mailbox.importing import Progress, import_mail
from mailframe.mailbox.index.flags import flag_set
from mailframe.mailbox.index.keywords import Keywords
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName
from mailframe.mailbox.paths import folder_directory, maildir_of
from mailframe.mailbox.tree import with_folders
from mailframe.runtime.disk import Disk


@dataclass(slots=True)
class Returned:
    returned: int = 0
    present: int = 0
    """The mailbox has them: nothing was done."""
    found: int = 0
    """In the backup, that were asked for."""


def return_messages(
    source: str,
    base: str,
    account: str,
    *,
    disk: Disk,
    hostname: str,
    now: float,
    message_ids: Collection[str] = (),
    folder: str | None = None,
    into: str = "",
    progress: Progress = lambda done, total: None,
) -> Returned:
    """``source`` is a set. ``message_ids``: only these, ``<...>`` or without. ``folder``: only
    what lies there in the backup. ``into``: a folder to put everything below. Raises
    FileNotFoundError where the backup has no such account, BadBackup where it is damaged,
    OSError, ValueError."""
    inbox = Maildir(maildir_of(os.path.join(source, "base"), account), disk)
    if not disk.is_directory(inbox.path):
        raise FileNotFoundError(2, "the backup has no mailbox of that account", account)
    digests = _digests(disk, source, os.path.relpath(inbox.path, source))
    archive = _Chosen(inbox, maildir_of(base, account), message_ids, folder, into, digests)
    result = import_mail(
        base, account, archive, disk, hostname=hostname, now=now, below=into, progress=progress
    )
    return Returned(result.imported, result.present + archive.present, archive.found)


def _digests(disk: Disk, source: str, below: str) -> dict[str, str]:
    """By path, of what the manifest has there."""
    return {
        os.path.join(source, entry.path): entry.sha256
        for entry in manifest.entries(disk, source)
        if entry.path.startswith(f"{below}/")
    }


class _Chosen:
    """An ``Archive`` of what is wanted and not there."""

    def __init__(
        self,
        inbox: Maildir,
        target: str,
        message_ids: Collection[str],
        folder: str | None,
        into: str,
        digests: Mapping[str, str],
    ) -> None:
        self.found = 0
        self.present = 0
        self._known = digests
        self._disk = inbox.disk
        self._target = target
        self._into = into
        self._ids = frozenset(_bare(text) for text in message_ids)
        self._folders = [
            (name, maildir)
            for name, maildir in [("", inbox), *inbox.named_folders()]
            if folder is None or name == ("" if folder.upper() == "INBOX" else folder)
        ]
        self._there = {
            name.unique
            for maildir in with_folders(Maildir(target, self._disk))
            for _, name in maildir.files()
        }
        self.total = sum(maildir.usage()[0] for _, maildir in self._folders)

    def __iter__(self) -> Iterator[tuple[ArchivedMessage, int]]:
        done = 0
        for folder, maildir in self._folders:
            letters = _Letters(maildir, self._disk, self._place(folder))
            for path, name in maildir.in_order():
                done += name.size or 0
                if self._ids and self._id_of(path) not in self._ids:
                    continue
                self.found += 1
                if name.unique in self._there:
                    self.present += 1
                    continue
                if (read := maildir.read(path, name)) is None:
                    raise BadBackup(f"{path} cannot be read")
                content, modified = read
                if hashlib.sha256(content).hexdigest() != self._known.get(path):
                    raise BadBackup(f"{path} is not what the manifest says")
                received = min(modified, name.received or modified)
                is_new = os.path.basename(os.path.dirname(path)) == "new"
                flags = "" if is_new else letters.of(name)
                yield ArchivedMessage(content, folder, flags, is_new, received), done

    def _place(self, folder: str) -> str:
        name = "/".join(part for part in (self._into, folder) if part)
        return folder_directory(self._target, name)

    def _id_of(self, path: str) -> str:
        with self._disk.open(path) as file:
            header = header_section(file.read(1 << 18))
        return _bare(field(header, b"Message-ID"))


class _Letters:
    """What a message's flags are called in the folder that it goes to."""

    def __init__(self, maildir: Maildir, disk: Disk, target: str) -> None:
        self._disk = disk
        self._theirs = Keywords(disk, maildir.path)
        self._theirs.refresh()
        self._path = target
        self._ours: Keywords | None = None

    def of(self, name: FileName) -> str:
        flags = flag_set(self._theirs.text_of(f":2,{name.flags}"))
        if self._ours is None:
            Maildir(self._path, self._disk).ensure()
            self._ours = Keywords(self._disk, self._path)
            self._ours.refresh()
        self._ours.claim(flags)
        return self._ours.info(flags, "").removeprefix(":2,")


def _bare(text: str) -> str:
    return text.strip().removeprefix("<").removesuffix(">")
