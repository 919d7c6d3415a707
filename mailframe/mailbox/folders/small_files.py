"""Reading a small file that other programs may have made, whatever they made. Synchronous."""

from __future__ import annotations

import errno

from mailframe.runtime.disk import Disk

_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL}  # as ``Disk.open`` says it


def read(disk: Disk, path: str, most: int) -> bytes | None:
    """The first ``most`` octets; None where there is no such file, or no regular one."""
    try:
        with disk.open(path) as file:
            return file.read(most)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
