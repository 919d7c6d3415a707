"""The tables of ``queue/spool.db``: portable SQL, times in integer microseconds.

A queue id never comes again, so ``(queue_id, number)`` names a recipient for ever and a late
write can never hit another one's row. ``recipient_due`` serves every question of the
scheduler; it holds all that they ask for, so the rows themselves are only read when taken.
"""

from __future__ import annotations

import enum


class State(enum.IntEnum):
    """What is to happen to a recipient; the scheduler takes those below HELD, in this order, and
    only those expire."""

    RETURNING = 0
    """The administrator wants it bounced: the next time it is due, it fails."""
    FRESH = 1
    """Never tried."""
    DEFERRED = 2
    HELD = 3
    """Until the administrator releases it."""
    CORRUPT = 4
    """Its content is lost or cut off; kept for the administrator to see."""
    DEAD = 5
    """A dead letter: a program here (``Local.courier``) did not take it while there was time.
    Kept until the administrator has it tried again, returned or removed."""


RUNNABLE = (State.RETURNING, State.FRESH, State.DEFERRED)


class Lease(enum.IntEnum):
    """Whether an attempt is under way, or was and nobody knows how it ended."""

    FREE = 0
    TAKEN = 1
    UNKNOWN = 2


MICROSECONDS = 1_000_000


def micros(seconds: float) -> int:
    return round(seconds * MICROSECONDS)


MIGRATIONS = (
    """
    CREATE TABLE message (
        queue_id TEXT NOT NULL PRIMARY KEY,
        arrived BIGINT NOT NULL,
        size BIGINT NOT NULL,           -- prefix and content, in wire format
        prefix BLOB NOT NULL,           -- trace header fields, before the content
        in_file SMALLINT NOT NULL,      -- 1: content is bodies/QUEUE_ID; 0: table body
        reverse_path TEXT,              -- NULL: the null reverse-path
        options TEXT NOT NULL,          -- MAIL parameters, JSON
        arrival TEXT NOT NULL           -- how it came in, JSON
    ) WITHOUT ROWID;

    CREATE TABLE body (
        queue_id TEXT NOT NULL PRIMARY KEY,
        content BLOB NOT NULL
    );

    CREATE TABLE recipient (
        queue_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        lane TEXT NOT NULL,             -- account here, or mail domain elsewhere
        state SMALLINT NOT NULL,
        next_at BIGINT NOT NULL,        -- when to try; while an attempt runs: when to give it up
        token BIGINT NOT NULL,          -- raised by each lease
        lease SMALLINT NOT NULL,
        attempts INTEGER NOT NULL,
        warned SMALLINT NOT NULL,       -- 1: the sender was told of the delay
        address TEXT NOT NULL,
        notify TEXT,                    -- keywords joined by commas; NULL: not given
        orcpt TEXT,
        original TEXT,
        account TEXT,                   -- the mailbox here; NULL: relay
        folder TEXT,
        last_at BIGINT,                 -- of the last attempt
        reply_code INTEGER,             -- what it brought
        reply_status TEXT,              -- without the class digit
        reply_text TEXT,
        remote TEXT,
        PRIMARY KEY (queue_id, number)
    ) WITHOUT ROWID;

    CREATE INDEX recipient_due ON recipient (lane, state, next_at);
    """,
    """
    ALTER TABLE recipient ADD COLUMN headers TEXT;  -- for this mailbox's copy, JSON; NULL: none
    """,
    """
    ALTER TABLE recipient ADD COLUMN node TEXT;  -- who has, or had, the lease; NULL: of old
    """,
    """
    ALTER TABLE recipient ADD COLUMN courier TEXT;  -- who takes it for the account; NULL: the store
    """,
)
