"""Tables of ``journal.db``."""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,     -- in the order of recording, hence of time
        time REAL NOT NULL,          -- seconds since the epoch
        id TEXT NOT NULL,            -- of the message or session
        session TEXT NOT NULL,       -- the session a message came in by, or empty
        step TEXT NOT NULL,
        result TEXT NOT NULL,
        detail TEXT NOT NULL         -- JSON object
    );
    CREATE INDEX events_id ON events (id, seq);
    CREATE INDEX events_session ON events (session, seq) WHERE session != '';
    -- By what else an event can be found: see journal/keys.py.
    CREATE TABLE keys (
        key TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (key, seq)
    ) WITHOUT ROWID;
    CREATE INDEX keys_seq ON keys (seq);
    """,
    # Several rows an event, each in some other corner of its index, cost more than all else that
    # the journal does. What was recorded before is not carried over: see journal/pages.py.
    """
    DROP TABLE keys;
    DROP TABLE events;
    CREATE TABLE pages (
        seq INTEGER PRIMARY KEY,     -- in the order of recording, hence of time
        time REAL NOT NULL,          -- of its last event, seconds since the epoch
        chapter INTEGER NOT NULL,
        marks INTEGER NOT NULL,      -- of the chapter up to here, this page's among them
        events TEXT NOT NULL         -- JSON: [[time, id, session, step, result, detail], ...]
    );
    CREATE TABLE marks (
        chapter INTEGER NOT NULL,
        mark INTEGER NOT NULL,       -- of a word by which some event of the page can be found
        page INTEGER NOT NULL,
        PRIMARY KEY (chapter, mark, page)
    ) WITHOUT ROWID;
    """,
)
