"""Columns that hold what they never should, as a damaged disk leaves them.

SQLite minds no value's type: a page with a spoiled octet may read as a row whose flags are a
BLOB. The first who cannot work with such a value says so (``TypeError`` and its like, from a
job); then ``AccountIndex`` has the whole file looked at, and begins it anew where it is damaged.
"""

from __future__ import annotations

import sqlite3


class Garbage(sqlite3.DatabaseError):
    """Rows hold what was never written there."""


def of_type(kind: type, *values: object) -> None:
    """For values that go far from here before anybody works with them. Raises TypeError."""
    for value in values:
        if type(value) is not kind:
            raise TypeError(f"{type(value).__name__} in a column of {kind.__name__}")
