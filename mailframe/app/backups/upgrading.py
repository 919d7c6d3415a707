"""Schemas of all files of a base: which they have, which this mailframe has, and the way there.

Each database migrates by itself when it is opened, after a copy of it was kept
(``runtime.copies``); indexes of mailboxes migrate, or are begun anew, when they are used. So
``migrate`` only does at once, for everybody to see, what the next start would do.

``BASE/version`` is for people and for later versions: which mailframe served this base last,
with the schemas that it had.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from mailframe import __version__
from mailframe.app.backups import layout
from mailframe.mailbox.folder_file import replace_file
from mailframe.mailbox.tree import inboxes
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import version_of

NOTE = "version"
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """One file."""

    path: str
    """Below the base."""
    has: int
    knows: int
    """The schema of this mailframe."""

    @property
    def action(self) -> str:
        if self.has > self.knows:
            return "newer than this mailframe"
        return "migrate" if self.has < self.knows else "nothing"


def plan(base: str, disk: Disk) -> Iterator[Step]:
    """Every database that is there. Nothing is changed. Raises sqlite3.Error, OSError."""
    for file in layout.DATABASES:
        if disk.exists(os.path.join(base, file.path)):
            yield _step(base, disk, file.path, len(file.migrations))
    for _, inbox in inboxes(base, disk):
        path = os.path.relpath(os.path.join(os.path.dirname(inbox.path), layout.INDEX_NAME), base)
        if disk.exists(os.path.join(base, path)):
            try:
                yield _step(base, disk, path, layout.INDEX_SCHEMA)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                yield Step(path, 0, layout.INDEX_SCHEMA)  # damaged: begun anew, as an old one


def migrate(base: str, disk: Disk, step: Step) -> None:
    """One of the server's databases; indexes wait for their mailbox to be opened. Raises
    sqlite3.Error, OSError; then the file is as it was."""
    for file in layout.DATABASES:
        if file.path == step.path:
            path = os.path.join(base, file.path)
            opened = Database(path, file.migrations, None, durable=file.durable, disk=disk)
            opened.open()
            opened.close()


def note_version(base: str, disk: Disk) -> None:
    """Written where it says something else. Raises OSError."""
    path = os.path.join(base, NOTE)
    schemas = {file.path: len(file.migrations) for file in layout.DATABASES}
    schemas[layout.INDEX_NAME] = layout.INDEX_SCHEMA
    note = json.dumps({"mailframe": __version__, "schemas": schemas}, indent=1).encode() + b"\n"
    if not disk.exists(path) or disk.read(path) != note:
        replace_file(disk, path, note)


def noted_version(base: str, disk: Disk) -> str:
    """Of the mailframe that served the base last; empty where nothing tells."""
    try:
        return str(json.loads(disk.read(os.path.join(base, NOTE)))["mailframe"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _step(base: str, disk: Disk, path: str, knows: int) -> Step:
    connection = disk.connect(os.path.join(base, path), timeout=_SECONDS)
    try:
        return Step(path, version_of(connection), knows)
    except sqlite3.Error as error:
        raise type(error)(f"{path}: {error}") from error
    finally:
        connection.close()
