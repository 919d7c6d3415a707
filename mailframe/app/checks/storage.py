"""Can the server keep mail where it is told to?"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator

from mailframe.app.checks.finding import Finding, fail, ok, warn
from mailframe.app.config import Config
from mailframe.core.units import format_size

_LOW_SPACE = 500 << 20
_DATABASES = (("directory.db",), ("journal.db",), ("queue", "spool.db"))


def check_storage(config: Config) -> Iterator[Finding]:
    base = config.base
    try:
        os.makedirs(base, mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=base) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield fail("storage.base", f"{base}: {error.strerror}", "make it writable for this user")
        return
    yield ok("storage.base", f"{base} can be written")
    yield from _privacy(base)
    yield from _space(base)
    for parts in _DATABASES:
        yield from _database(os.path.join(base, *parts), ".".join(parts))


def _privacy(base: str) -> Iterator[Finding]:
    if stat.S_IMODE(os.stat(base).st_mode) & 0o077:
        text = f"other users of this machine can look into {base}"
        yield warn("storage.privacy", text, f"chmod 700 {base}")


def _space(base: str) -> Iterator[Finding]:
    free = shutil.disk_usage(base).free
    if free < _LOW_SPACE:
        yield warn("storage.space", f"only {format_size(free)} free", "make room")
    else:
        yield ok("storage.space", f"{format_size(free)} free")
    files = os.statvfs(base)
    if files.f_files and files.f_favail < 10_000:
        text = f"only {files.f_favail} files can still be made"
        yield warn("storage.files", text, "make room: each message is a file")


def _database(path: str, name: str) -> Iterator[Finding]:
    """Opened read-only, so that a check beside a running server disturbs nothing."""
    if not os.path.exists(path):
        return
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        yield fail(f"storage.{name}", f"{path}: {error}", "restore it from a backup")
    else:
        yield ok(f"storage.{name}", "can be read")
