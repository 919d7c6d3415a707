"""Which workers are alive: each holds a lock on a file of its own for as long as it lives.

The kernel lets go of the lock when the process ends, however it ends, so there is no
heartbeat, no clock and nobody who has to be told. What a worker has leased (rows of the
queue) bears its name; a name whose file is not locked is a worker that will not come back.

Whoever looks at a file locks it for an instant, which is how it finds out. So a lock that is
held says "alive" only when it is held again a little later, and one who joins tries again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from mailframe.runtime.disk import Disk, DiskLock

_GLANCE = 0.002  # seconds; looking takes some microseconds
_GLANCES = 5
_JOIN_TRIES = 250


class Nodes:
    """``directory`` holds the files. ``own``: this worker's name, fit for a file's."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        own: str,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.own = own
        self._disk = disk
        self._directory = directory
        self._pause = pause
        self._lock: DiskLock | None = None

    def join(self) -> None:
        """From here on this worker counts as alive. Blocks shortly; harmless when called again.
        Raises OSError, and FileExistsError where another process has the same name."""
        if self._lock is not None:
            return
        self._disk.make_directories(self._directory)
        self._lock = self._locked(self.own, _JOIN_TRIES)
        if self._lock is None:
            raise FileExistsError(f"another process is {self.own}")

    def leave(self) -> None:
        """What is leased in this worker's name is free for others."""
        lock, self._lock = self._lock, None
        if lock is not None:
            self._remove(self.own)
            lock.release()

    def others(self) -> frozenset[str]:
        """The names of other workers that are alive. Files of dead ones are removed. Blocks
        shortly. Raises OSError."""
        if not self._disk.is_directory(self._directory):
            return frozenset()
        names = self._disk.names(self._directory)
        return frozenset(name for name in names if name != self.own and self._is_alive(name))

    def _is_alive(self, name: str) -> bool:
        lock = self._locked(name, _GLANCES)
        if lock is None:
            return True
        # Removed while it is locked: who opened it meanwhile finds that it is not there any more
        # (``Disk.lock``), and makes a new one.
        self._remove(name)
        lock.release()
        return False

    def _locked(self, name: str, tries: int) -> DiskLock | None:
        for _ in range(tries):
            lock = self._disk.lock(os.path.join(self._directory, name))
            if lock is not None:
                return lock
            self._pause(_GLANCE)
        return None

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(os.path.join(self._directory, name))
