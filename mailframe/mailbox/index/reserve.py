"""A little room kept back, so that mail can be removed from a disk that is full.

To delete by IMAP is to write: flags, mod-sequences and the uids that are gone go to the index,
whose log must grow for it. The file ``run/reserve`` holds room for that. Whoever is refused for
want of room gives it up, and can be served when it asks again; it is made anew once there is
plenty. Other writers may take what was given up: it helps once, which is what it is for.

Blocks; used by several threads.
"""

from __future__ import annotations

import contextlib
import os

from mailframe.runtime.disk import Disk, new_file

_OCTETS = 4 << 20
_PLENTY = 4 * _OCTETS  # so that keeping it does not fill the disk


class Reserve:
    def __init__(self, base: str, disk: Disk) -> None:
        self._path = os.path.join(base, "run", "reserve")
        self._disk = disk

    def keep(self) -> None:
        """Make it where it is missing and there is room. Never fails."""
        with contextlib.suppress(OSError):
            if self._disk.exists(self._path):
                return
            self._disk.make_directories(os.path.dirname(self._path))
            if self._disk.free(os.path.dirname(self._path)) < _PLENTY:
                return
            with new_file(self._disk, self._path) as file:
                file.write(bytes(_OCTETS))

    def give_up(self) -> bool:
        """Whether there was something to give up."""
        try:
            self._disk.unlink(self._path)
        except OSError:
            return False
        return True
