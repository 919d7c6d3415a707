"""What SQLite's connections to one file share: its locks, and the memory of its log's index.

Both are the process's and not the disk's: they are gone after a crash. The rules are those of
SQLite's file locks (five levels) and of its eight slots in the shared memory.
"""

from __future__ import annotations

import ctypes

SHARED, RESERVED, PENDING, EXCLUSIVE = 1, 2, 3, 4
SLOTS = 8


class Sharing:
    """Of one inode. Holders are any hashable thing, one for each open file."""

    def __init__(self) -> None:
        self.opened = 0
        self._levels: dict[int, int] = {}
        self._regions: list[ctypes.Array[ctypes.c_char]] = []
        self._mapped: set[int] = set()
        self._shared: list[set[int]] = [set() for _ in range(SLOTS)]
        self._exclusive: list[int] = [0] * SLOTS

    def lock(self, holder: int, level: int) -> bool:
        """Whether it was got. A refused EXCLUSIVE keeps others from beginning to read."""
        mine = self._levels.get(holder, 0)
        if mine >= level:
            return True
        highest = max((lv for other, lv in self._levels.items() if other != holder), default=0)
        if level == SHARED:
            if highest >= PENDING:
                return False
        elif highest >= RESERVED:
            return False
        elif level == EXCLUSIVE and highest >= SHARED:
            self._levels[holder] = PENDING
            return False
        self._levels[holder] = level
        return True

    def unlock(self, holder: int, level: int) -> None:
        if self._levels.get(holder, 0) <= level:
            return
        if level:
            self._levels[holder] = level
        else:
            del self._levels[holder]

    @property
    def is_reserved(self) -> bool:
        return any(level >= RESERVED for level in self._levels.values())

    def region(self, holder: int, index: int, octets: int, extend: bool) -> int | None:
        """The address of a piece of the shared memory; None when it is not there yet."""
        self._mapped.add(holder)
        while extend and len(self._regions) <= index:
            self._regions.append(ctypes.create_string_buffer(octets))
        return ctypes.addressof(self._regions[index]) if index < len(self._regions) else None

    def unmap(self, holder: int) -> None:
        self._mapped.discard(holder)
        for slot in range(SLOTS):
            self.release(holder, slot)
        if not self._mapped:
            self._regions.clear()

    def share(self, holder: int, slots: range) -> bool:
        if any(self._exclusive[slot] not in (0, holder) for slot in slots):
            return False
        for slot in slots:
            self._shared[slot].add(holder)
        return True

    def exclude(self, holder: int, slots: range) -> bool:
        for slot in slots:
            if self._exclusive[slot] not in (0, holder) or self._shared[slot] - {holder}:
                return False
        for slot in slots:
            self._exclusive[slot] = holder
        return True

    def release(self, holder: int, slot: int) -> None:
        self._shared[slot].discard(holder)
        if self._exclusive[slot] == holder:
            self._exclusive[slot] = 0
