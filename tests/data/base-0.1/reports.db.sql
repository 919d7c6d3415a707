BEGIN TRANSACTION;
CREATE TABLE failures (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,               -- Feedback-Type
        domain TEXT NOT NULL,
        source_ip TEXT NOT NULL,
        detail TEXT NOT NULL,             -- JSON: the fields
        queue_id TEXT NOT NULL,
        sender TEXT NOT NULL,
        at REAL NOT NULL
    );
CREATE TABLE observed (
        day INTEGER NOT NULL,             -- days since the epoch, UTC
        domain TEXT NOT NULL,             -- where the record stands
        key BLOB NOT NULL,                -- of all that makes messages alike
        record TEXT NOT NULL,
        row TEXT NOT NULL,                -- JSON
        passes INTEGER NOT NULL,          -- 1: these messages passed
        count INTEGER NOT NULL,
        PRIMARY KEY (day, domain, key)
    ) WITHOUT ROWID;
CREATE TABLE proved (
        domain TEXT PRIMARY KEY,          -- a message passed by its record
        last REAL NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE received (
        id INTEGER PRIMARY KEY,
        organization TEXT NOT NULL,
        report_id TEXT NOT NULL,
        domain TEXT NOT NULL,             -- whose policy it is about
        begins REAL NOT NULL,             -- seconds since the epoch, like every time here
        ends REAL NOT NULL,
        messages INTEGER NOT NULL,
        passed INTEGER NOT NULL,          -- of them, by spf or dkim
        detail TEXT NOT NULL,             -- JSON: metadata and policy
        queue_id TEXT NOT NULL,           -- of the message it came in
        sender TEXT NOT NULL,             -- whose mail that was, as far as it was proved; or empty
        at REAL NOT NULL,
        UNIQUE (domain, organization, report_id)
    );
CREATE TABLE received_rows (
        report INTEGER NOT NULL REFERENCES received ON DELETE CASCADE,
        number INTEGER NOT NULL,
        source_ip TEXT NOT NULL,
        count INTEGER NOT NULL,
        disposition TEXT NOT NULL,
        dkim TEXT NOT NULL,
        spf TEXT NOT NULL,
        header_from TEXT NOT NULL,
        detail TEXT NOT NULL,             -- JSON: the rest of the row
        PRIMARY KEY (report, number)
    ) WITHOUT ROWID;
CREATE TABLE sent (
        id INTEGER PRIMARY KEY,
        day INTEGER NOT NULL,
        domain TEXT NOT NULL,
        destination TEXT NOT NULL,        -- an address; empty where none takes the report
        result TEXT NOT NULL,             -- sent, failed, later, skipped
        detail TEXT NOT NULL,
        queue_id TEXT NOT NULL,
        octets INTEGER NOT NULL,
        messages INTEGER NOT NULL,
        at REAL NOT NULL,
        UNIQUE (day, domain, destination)
    );
CREATE TABLE troubles (
        destination TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,        -- in succession
        until REAL NOT NULL               -- nothing is sent there before
    ) WITHOUT ROWID;
CREATE INDEX received_by_time ON received (at);
CREATE INDEX failures_by_time ON failures (at);
CREATE INDEX sent_by_time ON sent (at);
COMMIT;
PRAGMA user_version=2;
