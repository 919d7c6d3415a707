"""A base as a directory of text: what git keeps, and back.

Databases are SQL dumps with their ``user_version``; the mailboxes are as they are. What git
does not keep is in ``layout.json``: empty directories and the times of files.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
_LITTER = ("-wal", "-shm")


def save(base: Path, target: Path) -> None:
    """Of a server that is stopped."""
    shutil.rmtree(target, ignore_errors=True)
    directories, times = [], {}
    for path in sorted(base.rglob("*")):
        name = str(path.relative_to(base))
        if name.split("/")[0] == "run" or name.endswith(_LITTER):
            continue
        if path.is_dir():
            directories.append(name)
            continue
        times[name] = int(path.stat().st_mtime)
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".db"):
            copy.with_name(copy.name + ".sql").write_text(dump(path))
        else:
            shutil.copyfile(path, copy)
    layout = {"directories": directories, "times": times}
    (target / "layout.json").write_text(json.dumps(layout, indent=1, sort_keys=True) + "\n")


def load(source: Path, base: Path) -> None:
    layout = json.loads((source / "layout.json").read_text())
    base.mkdir(mode=0o700)
    for name in layout["directories"]:
        (base / name).mkdir(mode=0o700)
    for name, modified in layout["times"].items():
        path = base / name
        if name.endswith(".db"):
            restore((source / f"{name}.sql").read_text(), path)
        else:
            shutil.copyfile(source / name, path)
        path.chmod(0o600)
        os.utime(path, (modified, modified))


def dump(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return "\n".join([*connection.iterdump(), f"PRAGMA user_version={version};", ""])
    finally:
        connection.close()


def restore(script: str, path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.executescript(script)
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
