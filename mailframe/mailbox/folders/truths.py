"""What the ``mailframe-folder`` files say, read again only when they changed. Synchronous.

Listing an account asks for every folder's file; one that did not change costs an ``lstat``.
A file that cannot be read is none here: nobody gets rights from it, and the folder is listed.
"""

from __future__ import annotations

import os

from twisted.logger import Logger

from mailframe.mailbox import folder_file
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.runtime.disk import Disk

_KEPT = 20_000

NOTHING = FolderTruth("")
"""Of a folder that has no file yet."""


class Truths:
    """One per process, used by several threads: every step is one operation on a dict."""

    log = Logger()

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._known: dict[str, tuple[tuple[int, int, int], FolderTruth]] = {}

    def of(self, maildir: str) -> FolderTruth:
        path = os.path.join(maildir, folder_file.FILE)
        try:
            status = self._disk.status(path)
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            truth = folder_file.read(self._disk, maildir) or NOTHING
        except FileNotFoundError:
            self._known.pop(path, None)
            return NOTHING
        except OSError as error:
            self.log.error("cannot read {path}: {error}", path=path, error=error)
            return NOTHING
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[path] = (stamp, truth)
        return truth
