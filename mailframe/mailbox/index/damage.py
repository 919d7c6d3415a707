"""What an SQLite error of an account's index means: the file, the disk, or a job's own mistake."""

from __future__ import annotations

import sqlite3

from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.mailbox.index.columns import Garbage
from mailframe.mailbox.index.lane import REBUILT
from mailframe.runtime import salvage
from mailframe.runtime.disk import STORAGE_FULL
from mailframe.runtime.soundness import mistyped

STUMBLES = (TypeError, ValueError, LookupError, AttributeError)
"""What working with values of the wrong type raises."""


class OtherVersion(sqlite3.DatabaseError):
    """The file was written by another mailframe."""


class Replaced(sqlite3.DatabaseError):
    """Somebody put another file there."""


class Unreadable(TransientFailure):
    """What the reader has is damaged."""


def is_damage(error: sqlite3.Error) -> bool:
    return isinstance(error, OtherVersion | Replaced | Garbage) or salvage.is_damage(error)


def garbage(connection: sqlite3.Connection | None, error: object) -> Garbage | None:
    """Whether a job stumbled over what the file holds, and not over a mistake of its own."""
    if connection is None or not isinstance(error, STUMBLES):
        return None
    try:
        found = mistyped(connection)
    except sqlite3.Error as worse:
        found = [str(worse)]
    return Garbage(", ".join(found)) if found else None


def is_full(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return (code & 0xFF) == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE


def failure(error: sqlite3.Error) -> Failure:
    """For whoever waits for what it kept from being done."""
    reply = STORAGE_FULL if is_full(error) else REBUILT
    return Failure(TransientFailure(reply, f"index: {error}"))
