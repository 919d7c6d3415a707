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
)
