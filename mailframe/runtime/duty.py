"""Work that one process does for all: purging, sweeping, sending reports.

Whoever asks first has the duty until its process ends; then the next one that asks has it. So
nobody is special and nobody hands over. Every turn of a periodic job asks anew.
"""

from __future__ import annotations

import os

from twisted.logger import Logger

from mailframe.runtime.disk import Disk, DiskLock


class Duty:
    """``path``: the file whose lock is the duty. Blocks as long as opening a file."""

    log = Logger()

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._lock: DiskLock | None = None

    def is_ours(self) -> bool:
        """Never raises: where the file cannot be made the job is left out this time, and logged."""
        if self._lock is None:
            try:
                self._disk.make_directories(os.path.dirname(self._path))
                self._lock = self._disk.lock(self._path)
            except OSError as error:
                self.log.warn("{path} cannot be locked: {error}", path=self._path, error=error)
        return self._lock is not None

    def release(self) -> None:
        """For whoever asks next. Harmless when it was not ours."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()
