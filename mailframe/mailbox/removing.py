"""Removing messages from a Maildir for good. Synchronous; runs on worker threads."""

from __future__ import annotations

import os
from collections.abc import Collection

from mailframe.mailbox.maildir import Entry, Maildir


class Removal:
    """Removes on creation; then says how it went."""

    def __init__(self, maildir: Maildir, entries: Collection[Entry]) -> None:
        self.failed: dict[str, OSError] = {}
        """Why, by uid. A removal that is not durable is a failed one."""
        self.octets = 0
        """On disk, that were freed."""
        self.messages = 0
        self._maildir = maildir
        self._touched: dict[str, list[str]] = {}
        moved = [entry for entry in entries if not self._unlink(entry, entry.path)]
        if moved:
            self._unlink_moved(moved)
        for directory, uids in self._touched.items():
            self._sync(directory, uids)

    def _unlink_moved(self, entries: list[Entry]) -> None:
        """They are not where they were: other flags, or gone, which is as good."""
        where = {name.base: path for path, name in self._maildir.files()}
        for entry in entries:
            if entry.name.base in where:
                self._unlink(entry, where[entry.name.base])

    def _unlink(self, entry: Entry, path: str) -> bool:
        """False when there is no such file."""
        try:
            octets = entry.name.size
            if octets is None:
                octets = self._maildir.disk.status(path).st_size
            self._maildir.disk.unlink(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            self.failed[entry.uid] = error
            return True
        self.octets += octets
        self.messages += 1
        self._touched.setdefault(os.path.dirname(path), []).append(entry.uid)
        self._unlink_old_name(entry, path)
        return True

    def _unlink_old_name(self, entry: Entry, path: str) -> None:
        """A power cut may have left the name in new/ that the message had before. Where it did
        not, that the name went may still not be durable, and the next one would bring it back."""
        new = self._maildir.subdirectory("new")
        if os.path.dirname(path) == new:
            return
        try:
            self._maildir.disk.unlink(os.path.join(new, entry.name.base))
        except FileNotFoundError:
            pass
        except OSError as error:
            self.failed[entry.uid] = error
            return
        self._touched.setdefault(new, []).append(entry.uid)

    def _sync(self, directory: str, uids: list[str]) -> None:
        try:
            self._maildir.disk.sync_directory(directory)
        except OSError as error:
            self.failed.update(dict.fromkeys(uids, error))
