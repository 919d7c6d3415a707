"""The time zone of the machine, for what is to happen at a time of day."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from twisted.logger import Logger

from mailframe.runtime.disk import Disk

_log = Logger()


def local_zone(environ: Mapping[str, str], disk: Disk, path: str = "/etc/localtime") -> tzinfo:
    """That of ``TZ`` where it is set, else the one that the file at ``path`` holds; UTC where
    neither is one that can be read, which is logged. Blocks as long as reading a file."""
    name = environ.get("TZ", "").removeprefix(":")
    try:
        if name and not name.startswith("/"):
            return ZoneInfo(name)
        # A link on nearly every system, which ``open`` does not follow.
        with disk.open(os.path.realpath(name or path)) as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        # Its words only: with its traceback it would keep in memory whoever asked.
        _log.warn("times of schedules are UTC: {why}", why=repr(error))
        return UTC
