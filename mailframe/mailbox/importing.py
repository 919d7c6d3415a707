"""``mailframe mail import``: an archive into an account, durably, with the server up or down.

Messages go the way of a delivery (tmp, sync, rename, sync), a batch at a time, so that a
directory is synced once a batch. Each name carries a digest of the content: what an earlier
import already brought into that folder is passed over, so that a broken-off import is simply
run again, and an archive that has grown brings what is new. A message that the archive holds
twice arrives twice. Mail that came otherwise is not compared. Quotas are not asked: it is an
administrator who imports. A running server sees the mail in the next listing of the mailbox.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.mailbox.archives import Archive, ArchivedMessage
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import host_part, key_of, new_name
from mailframe.mailbox.paths import folder_directory, maildir_of
from mailframe.mailbox.quota import note_in_maildirsize
from mailframe.mailbox.writing import Writing
from mailframe.runtime.disk import Disk

Progress = Callable[[int, int], None]

_BATCH_MESSAGES = 64
_BATCH_OCTETS = 8 << 20
_KEY = re.compile(r"R([A-Z2-7]{16})\.")


@dataclass(slots=True)
class ImportResult:
    imported: int = 0
    present: int = 0
    """Left out because an earlier import had brought them."""


def import_mail(
    base: str,
    account: str,
    archive: Archive,
    disk: Disk,
    *,
    hostname: str,
    now: float,
    below: str = "",
    progress: Progress = lambda done, total: None,
) -> ImportResult:
    """Bring every message of the archive into the account, whose folders are made as needed.

    ``below``: a folder to put everything into, the archive's INBOX being that folder itself.
    ``now``: for messages that tell no time. ``progress`` hears octets done and in all.
    Raises OSError, BadArchive, ValueError for a name that cannot be a folder. What was
    imported before an error stays, durably up to the last full batch."""
    batch = _Batch(disk, maildir_of(base, account), hostname, now)
    try:
        for message, done in archive:
            batch.add(message, _joined(below, message.folder))
            if batch.is_full:
                batch.store()
            progress(done, archive.total)
        batch.store()
    finally:
        batch.abort()
    return batch.result


class _Batch:
    """Messages on their way, some of them at once."""

    def __init__(self, disk: Disk, inbox: str, hostname: str, now: float) -> None:
        self.result = ImportResult()
        self._disk = disk
        self._inbox = inbox
        self._host = host_part(hostname)
        self._now = now
        self._number = 0
        self._octets = 0
        self._present: dict[str, set[str]] = {}
        self._seen: Counter[tuple[str, bytes]] = Counter()
        self._waiting: list[tuple[Writing, Maildir, ArchivedMessage]] = []

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= _BATCH_MESSAGES or self._octets >= _BATCH_OCTETS

    def add(self, message: ArchivedMessage, folder: str) -> None:
        maildir = Maildir(folder_directory(self._inbox, folder), self._disk)
        key = self._key(maildir.path, message.content)
        if key in self._keys(maildir):
            self.result.present += 1
            return
        received = message.received if message.received is not None else self._now
        # The number keeps the archive's order among messages of the same second.
        unique = new_name(max(1, received), self._number, key, self._host)
        self._number += 1
        writing = Writing(maildir, unique)
        self._waiting.append((writing, maildir, message))
        self._octets += len(message.content)
        writing.write(message.content)
        writing.complete(received)

    def store(self) -> None:
        """Make durable what waits."""
        waiting, self._waiting, self._octets = self._waiting, [], 0
        touched: set[str] = set()
        octets = 0
        try:
            # All are written by now, so that the first sync does most of the others' work.
            for writing, _, _ in waiting:
                writing.sync()
            for writing, _, message in waiting:
                where = "new" if message.is_new else "cur"
                path = writing.publish(where, "" if message.is_new else f":2,{message.flags}")
                touched.add(os.path.dirname(path))
                octets += writing.disk_size
        finally:
            for writing, _, _ in waiting:
                writing.abort()  # nothing, for those that are published
        for directory in touched:
            self._disk.sync_directory(directory)
        self.result.imported += len(waiting)
        if waiting:
            note_in_maildirsize(self._disk, self._inbox, octets, len(waiting))

    def abort(self) -> None:
        for writing, _, _ in self._waiting:
            writing.abort()

    def _key(self, folder: str, content: bytes) -> str:
        digest = hashlib.sha256(content.replace(b"\r\n", b"\n")).digest()
        self._seen[folder, digest] += 1
        return key_of(f"import {digest.hex()} {self._seen[folder, digest]}")

    def _keys(self, maildir: Maildir) -> set[str]:
        """Keys of the messages that were in the folder before this import."""
        if maildir.path not in self._present:
            found = (_KEY.search(name.base) for _, name in maildir.files())
            keys = self._present[maildir.path] = {match[1] for match in found if match}
            if keys:  # whoever brought them may have died before this
                for name in ("new", "cur"):
                    self._disk.sync_directory(maildir.subdirectory(name))
        return self._present[maildir.path]


def _joined(below: str, folder: str) -> str:
    return f"{below}/{folder}" if below and folder else below or folder
