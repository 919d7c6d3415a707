"""Sizes on the wire of messages whose names do not tell.

Programs other than Dovecot and this one write no ``,W=``: such a file is read once, on a
worker, and the figure kept in memory. The file is not renamed: it is not ours, and its name
is what its owner knows it by. After a restart, or past the bound, it is read again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import BinaryIO

from mailframe.mailbox.names import FileName
from mailframe.mailbox.newlines import WireCounter
from mailframe.runtime.disk import Disk

_CHUNK = 1 << 18


class WireSizes:
    """Thread-safe; holds at most ``capacity`` figures (some 250 octets each)."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._known: OrderedDict[str, int] = OrderedDict()

    def of(self, disk: Disk, path: str, name: FileName) -> int | None:
        """Octets; None where the file cannot be read."""
        # Flags and new/cur change the path, not the message: a Maildir file never changes.
        key = f"{path.rpartition('/')[0].rpartition('/')[0]}/{name.base}"
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        try:
            with disk.open(path) as file:
                size = count(file)
        except OSError:
            return None
        with self._lock:
            self._known[key] = size
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return size


def count(file: BinaryIO) -> int:
    """Octets in wire format of what is left of the file."""
    counter = WireCounter()
    while chunk := file.read(_CHUNK):
        counter.feed(chunk)
    return counter.size
