"""The tables of an account's index, ``BASE/mail/DOMAIN/LOCALPART/index.db``.

Nothing here is the only copy of anything: whatever is lost is read from the Maildir again.
What must survive the index (UIDVALIDITY, MAILBOXID, special uses, annotations, access
rights) is in the ``mailframe-folder`` file of each folder.

A message's row is its place in a folder; what was read of its octets hangs on ``content``,
which copies share; a ``content`` row goes with its last message.
"""

MIGRATIONS = (
    """
    CREATE TABLE folder (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,          -- as IMAP names it, from the owner's point of view
        mailbox_id TEXT NOT NULL,           -- by it a directory is found again that was renamed
        uid_validity INTEGER NOT NULL,
        uid_next INTEGER NOT NULL,
        modseq INTEGER NOT NULL,            -- the highest there is
        recent_from INTEGER NOT NULL,       -- uids from here on are nobody's Recent yet
        vanished_from INTEGER NOT NULL,     -- table vanished is complete after this modseq
        new_stamp INTEGER NOT NULL,         -- mtime (ns) of new/ and cur/ when they were read; 0:
        cur_stamp INTEGER NOT NULL          -- read them again whatever it is now
    );
    CREATE TABLE content (
        id INTEGER PRIMARY KEY,
        email_id TEXT NOT NULL,
        thread_id TEXT NOT NULL,
        envelope BLOB NOT NULL,
        body BLOB NOT NULL,
        structure BLOB NOT NULL,
        parts BLOB NOT NULL,
        preview TEXT NOT NULL
    );
    CREATE INDEX content_email ON content (email_id);
    CREATE INDEX content_thread ON content (thread_id);
    -- What SEARCH and SORT look at: narrow rows, texts folded (UTF-8 in BLOBs: bytes compare).
    CREATE TABLE heading (
        content INTEGER PRIMARY KEY,
        sent INTEGER,                       -- Date in UTC, seconds; for SORT DATE; NULL: none
        sent_day INTEGER,                   -- Date's day as written, days since 1970; for SENTON
        from_ BLOB NOT NULL,                -- decoded and folded field texts, for SEARCH FROM ...
        to_ BLOB NOT NULL,
        cc BLOB NOT NULL,
        bcc BLOB NOT NULL,
        subject BLOB NOT NULL,
        base_subject BLOB NOT NULL,         -- RFC 5256 section 2.1, as a collation key; as those:
        from_key BLOB NOT NULL,             -- first address's mailbox, for SORT FROM
        to_key BLOB NOT NULL,
        cc_key BLOB NOT NULL,
        display_from BLOB NOT NULL,         -- RFC 5957
        display_to BLOB NOT NULL,
        is_reply INTEGER NOT NULL,          -- whether base subject extraction took a Re: or Fwd:
        message_id TEXT NOT NULL,
        reference_ids TEXT NOT NULL         -- space-separated, oldest first (References, else
    );                                      -- the first of In-Reply-To)
    CREATE TABLE words (
        content INTEGER PRIMARY KEY,
        headers BLOB NOT NULL,              -- every field, decoded and folded: LF name: value LF
        body BLOB NOT NULL                  -- text of all text parts, decoded and folded
    );
    CREATE TABLE message (
        folder INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        base TEXT NOT NULL,                 -- file name before the colon
        place TEXT NOT NULL,                -- the rest of it: directory and info, cur/:2,FS
        flags TEXT NOT NULL,                -- space-separated, sorted
        modseq INTEGER NOT NULL,
        size INTEGER NOT NULL,              -- wire format
        octets INTEGER NOT NULL,            -- on disk
        received INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        content INTEGER,                    -- NULL: not read yet
        PRIMARY KEY (folder, uid)
    ) WITHOUT ROWID;
    CREATE INDEX message_content ON message (content) WHERE content IS NOT NULL;
    CREATE INDEX message_unread ON message (folder, uid) WHERE content IS NULL;
    CREATE TABLE vanished (
        folder INTEGER NOT NULL,
        modseq INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        PRIMARY KEY (folder, modseq, uid)
    ) WITHOUT ROWID;
    -- The highest UIDVALIDITY that each name ever had; by a rename it must not go back.
    CREATE TABLE past (
        name TEXT PRIMARY KEY,
        uid_validity INTEGER NOT NULL
    ) WITHOUT ROWID;
    -- Names that files get before the commit that makes them messages, where it is all or
    -- none: what a crash leaves of them is removed.
    CREATE TABLE pending (
        folder INTEGER NOT NULL,
        base TEXT NOT NULL,
        PRIMARY KEY (folder, base)
    ) WITHOUT ROWID;
    """,
    """
    -- One row: which file this is, and how often it was changed (``mark``).
    CREATE TABLE life (
        id TEXT NOT NULL,
        commits INTEGER NOT NULL
    );
    INSERT INTO life (id, commits) VALUES (lower(hex(randomblob(8))), 0);
    ALTER TABLE past ADD COLUMN mailbox_id TEXT NOT NULL DEFAULT '';  -- whose that was
    """,
    """
    -- Header sections in wire format, with their empty line; of those that are too long, and
    -- of what was read before there was this table, there is none.
    CREATE TABLE header (
        content INTEGER PRIMARY KEY,
        octets BLOB NOT NULL
    );
    -- 0: what SEARCH and SORT look at, heading and words, was not read yet.
    ALTER TABLE content ADD COLUMN searchable INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX content_unsearchable ON content (id) WHERE searchable = 0;
    """,
    """
    -- Numbers of folders are not used again: another process may still have the one that went.
    ALTER TABLE life ADD COLUMN last_folder INTEGER NOT NULL DEFAULT 0;
    UPDATE life SET last_folder = (SELECT coalesce(max(id), 0) FROM folder);
    """,
)
"""``MIGRATIONS[n]`` brings version n to n + 1. An index of another version may be thrown away."""
