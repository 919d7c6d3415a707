"""The tables of ``spam.db``: who taught the filter what, and models made of it.

``trainings`` is the truth; a model is what comes of learning those in force, in the order of
their ids. ``snapshots`` only save time, except the base: what it was made of has been removed,
because the log may not grow without bound.
"""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE scopes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given again
        name TEXT NOT NULL UNIQUE,             -- ann@example.org, @example.org, site
        epoch INTEGER NOT NULL DEFAULT 0,      -- changes whenever more than the end of the log does
        last INTEGER NOT NULL DEFAULT 0,       -- id of the latest training
        latest REAL NOT NULL DEFAULT 0,        -- its time
        rows INTEGER NOT NULL DEFAULT 0,       -- trainings that the log still has
        horizon REAL NOT NULL DEFAULT -1,      -- the log tells nothing of this time and before
        base_hams INTEGER NOT NULL DEFAULT 0,  -- messages in the base
        base_spams INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE trainings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        scope INTEGER NOT NULL REFERENCES scopes,
        at REAL NOT NULL,                      -- seconds since the epoch; never falls in a scope
        digest BLOB NOT NULL,                  -- of the message
        is_spam INTEGER,                       -- NULL: it was forgotten
        source TEXT NOT NULL,                  -- move, command, web ...
        taught_by TEXT NOT NULL,               -- an account; empty: an administrator
        features BLOB,                         -- NULL where there is nothing to learn
        ended INTEGER                          -- the training that took its place; NULL: in force
    );
    CREATE INDEX trainings_by_scope ON trainings (scope, id);
    CREATE INDEX trainings_by_end ON trainings (scope, ended) WHERE ended IS NOT NULL;
    CREATE UNIQUE INDEX trainings_in_force ON trainings (scope, digest)
        WHERE ended IS NULL AND is_spam IS NOT NULL;
    CREATE TABLE snapshots (
        scope INTEGER NOT NULL REFERENCES scopes,
        upto INTEGER NOT NULL,                 -- the latest training that is in it
        is_base INTEGER NOT NULL,
        model BLOB NOT NULL,
        UNIQUE (scope, is_base, upto)          -- an index of its own: models are large
    );
    """,
)
