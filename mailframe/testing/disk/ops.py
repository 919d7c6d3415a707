"""One change of the simulated disk, as it is recorded.

An ``Op`` says all that is needed to do it again on a copy of the disk as it was: which inode,
which octets, which entries of which directories. ``site`` names the calling code, so that a
planted bug can be aimed at it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType

#: A directory's inode, a name in it, and the inode it names from now on: 0 is none.
Entry = tuple[int, str, int]

DONE = "done"
SKIPPED = "skipped"  # by a planted bug: nothing happened
FAILED = "failed"  # by a fault; of a failed sync the unsynced writes are gone

KINDS = (
    "create", "write", "truncate", "set_modified", "set_mode", "sync", "cell_write",
    "rename", "link", "unlink", "mkdir", "rmdir", "sync_directory",
)  # fmt: skip

_SEAM = ("mailframe.testing.disk", "mailframe.runtime.disk", "contextlib")


class PowerLost(BaseException):
    """The simulated machine has no power: whatever it asks of its disk ends so."""


@dataclass(slots=True)
class Op:
    """``inode`` is the file or directory that is changed, synced or named; ``entries`` are
    what directories say then; ``octets`` the size after a truncate, a time in ns or a mode."""

    number: int
    """From 0, since the disk was made."""
    kind: str
    """One of ``ops.KINDS``."""
    path: str
    """As it was named; of a rename or link the old name."""
    inode: int
    entries: tuple[Entry, ...] = ()
    offset: int = 0
    """Of a write: where."""
    data: bytes = b""
    """Of a write: what."""
    octets: int = 0
    target: str = ""  # rename, link: the new path
    """Of a rename or link: the new name."""
    sqlite: bool = False
    """Whether it was SQLite's doing."""
    site: str = ""
    """The code that asked, ``module:function``."""
    time: int = 0  # ns since the epoch
    """When, in ns since the epoch."""
    outcome: str = DONE
    """``done``, ``failed``, or ``skipped`` by a planted bug."""

    def __str__(self) -> str:
        words = [f"{self.number}", self.kind, self.path]
        if self.target:
            words.append(f"-> {self.target}")
        if self.data:
            words.append(f"{len(self.data)}@{self.offset}")
        if self.kind == "truncate":
            words.append(f"to {self.octets}")
        if self.outcome != DONE:
            words.append(self.outcome)
        return " ".join(words)


def calling_site() -> str:
    """The code beyond the seam that asked, as ``module:function``."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(_SEAM):
            return f"{module}:{frame.f_code.co_qualname}"
        frame = frame.f_back
    return ""
