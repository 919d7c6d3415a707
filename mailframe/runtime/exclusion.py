"""One at a time, whichever process or thread it is: a locked file for what must not overlap.

A process that dies lets go. A thread that has the lock may take it again within: what it calls
need not know. Whoever has to wait looks again and again, seldomer each time, for a lock of the
kernel's cannot be waited for with a limit. Blocks: for worker threads and the command line.

Of two locks everybody takes the same one first: an account's, then its domain's.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.runtime.disk import Disk, DiskLock

BUSY = Reply(451, status.SYSTEM_OTHER, "Somebody else is changing it, try again later")
_PATIENCE = 10.0  # s
_FIRST_NAP, _LONGEST_NAP = 0.0005, 0.02  # s
_held = threading.local()


@contextlib.contextmanager
def exclusive(disk: Disk, path: str, patience: float = _PATIENCE) -> Iterator[None]:
    """Within, nobody else has the file ``path`` locked. It is made where it is missing, and
    stays. Raises TransientFailure when it is not to be had in ``patience`` seconds, OSError."""
    mine: set[str] = _held.__dict__.setdefault("paths", set())
    if path in mine:
        yield
        return
    lock = _wait_for(disk, path, patience)
    mine.add(path)
    try:
        yield
    finally:
        mine.discard(path)
        lock.release()


def _wait_for(disk: Disk, path: str, patience: float) -> DiskLock:
    waited, nap = 0.0, _FIRST_NAP
    while (lock := _try(disk, path)) is None:
        if waited >= patience:
            raise TransientFailure(BUSY, f"{path} is locked by somebody else")
        time.sleep(nap)
        waited += nap
        nap = min(2 * nap, _LONGEST_NAP)
    return lock


def _try(disk: Disk, path: str) -> DiskLock | None:
    try:
        return disk.lock(path)
    except FileNotFoundError:
        disk.make_directories(os.path.dirname(path))
        return disk.lock(path)
