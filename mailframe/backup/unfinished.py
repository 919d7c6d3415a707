"""What a restore leaves in a base while it is at work, and for good.

Apart from ``placing``, which does it: every server asks at its start, and restores nothing.
"""

from __future__ import annotations

import os

from mailframe.runtime.disk import Disk

RESTORING = ".restoring"
"""The directory that files are brought to first."""
BEFORE = "before-restore-"
"""What the directory begins with that has what was there before."""


def is_unfinished(disk: Disk, base: str) -> bool:
    """A restore was cut off: nobody may take the base for a whole one."""
    return disk.exists(os.path.join(base, RESTORING))
