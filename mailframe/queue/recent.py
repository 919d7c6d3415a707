"""Bodies of messages that were just committed, for the first attempt that follows at once.

Without it each reading of a fresh message (one for its header fields, one for its content)
asks the database for what was in memory a moment ago. Committed content never changes and a
queue id never comes again, so nothing in here can be wrong; what is old makes room.
"""

from __future__ import annotations

from collections import OrderedDict


class RecentBodies:
    """The latest bodies, ``octets`` of them at most."""

    def __init__(self, octets: int) -> None:
        self._room = octets
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def add(self, queue_id: str, content: bytes) -> None:
        self._bodies[queue_id] = content
        self._room -= len(content)
        while self._room < 0:
            _, oldest = self._bodies.popitem(last=False)
            self._room += len(oldest)

    def get(self, queue_id: str) -> bytes | None:
        return self._bodies.get(queue_id)

    def forget(self, queue_id: str) -> None:
        """It is delivered; harmless for one that is not here."""
        self._room += len(self._bodies.pop(queue_id, b""))
