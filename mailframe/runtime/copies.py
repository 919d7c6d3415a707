"""Copies of SQLite files that others are writing to, and of a file before it is migrated.

The copy is SQLite's own online backup in one step: a read transaction, for which no writer
waits. The copy is one file, its log is in it. Synchronous.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sqlite3
from collections.abc import Callable

from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import version_of

_SECONDS = 30.0
"""How long a lock may take."""

Alter = Callable[[sqlite3.Connection], None]


def copy_database(disk: Disk, source: str, target: str, alter: Alter | None = None) -> None:
    """``alter`` changes the copy in a transaction. Not synced beyond what SQLite does. Raises
    sqlite3.Error, OSError."""
    origin = disk.connect(source, timeout=_SECONDS)
    try:
        copied = disk.connect(target, timeout=_SECONDS)
        try:
            origin.backup(copied)
            if alter is not None:
                copied.execute("BEGIN IMMEDIATE")
                alter(copied)
                copied.execute("COMMIT")
        finally:
            copied.close()
    finally:
        origin.close()


def keep_before_migration(disk: Disk, path: str, version: int) -> str:
    """``PATH.vVERSION.bak``: the file as it is before it is migrated, complete and durable
    under that name. Copies of earlier versions are removed then. Its path. Another process
    may do the same. Raises sqlite3.Error, OSError."""
    kept = f"{path}.v{version}.bak"
    # One that is there may be older than the file: somebody went back, and comes again.
    names = (f"{kept}.new{number}" for number in itertools.count(1))
    made = next(name for name in names if disk.make_file(name))
    try:
        found: list[int] = []
        copy_database(disk, path, made, lambda connection: found.append(version_of(connection)))
        if found != [version]:
            return kept  # another process was faster, and has kept it
        file = disk.append(made)
        try:
            file.sync()
        finally:
            file.close()
        disk.rename(made, kept)
        disk.sync_directory(os.path.dirname(path))
    finally:
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(made)
    _prune(disk, path, kept)
    return kept


def _prune(disk: Disk, path: str, kept: str) -> None:
    """Older ones only: another process may be at one of ours."""
    ours = re.compile(re.escape(os.path.basename(path)) + r"\.v\d+\.bak(?:\.new\d+)?")
    for name in disk.names(os.path.dirname(path)):
        if ours.fullmatch(name) and not name.startswith(os.path.basename(kept)):
            with contextlib.suppress(FileNotFoundError):
                disk.unlink(os.path.join(os.path.dirname(path), name))
