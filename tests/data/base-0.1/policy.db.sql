BEGIN TRANSACTION;
CREATE TABLE frozen (
        account TEXT PRIMARY KEY,
        since REAL NOT NULL,
        reason TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE greylist (
        key BLOB PRIMARY KEY,             -- of network, reverse-path and recipient
        network TEXT NOT NULL,
        first REAL NOT NULL,              -- seconds since the epoch
        passed REAL,                      -- when it was let through; NULL: not yet
        last REAL NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE greylist_clients (
        network TEXT PRIMARY KEY,
        passes INTEGER NOT NULL,          -- distinct triplets that came back
        last REAL NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE known_recipients (
        account BLOB NOT NULL,            -- digests: a list of who wrote to whom is not needed
        recipient BLOB NOT NULL,
        day INTEGER NOT NULL,             -- since the epoch, when it was written to last
        PRIMARY KEY (account, recipient)
    ) WITHOUT ROWID;
CREATE TABLE senders (
        account TEXT PRIMARY KEY,
        since REAL NOT NULL               -- when it first wrote to anybody, since the epoch
    ) WITHOUT ROWID;
CREATE TABLE windows (
        counted TEXT NOT NULL,            -- what: messages per user in 3600 (seconds)
        who TEXT NOT NULL,                -- whose: an address, a user, a domain ...
        last INTEGER NOT NULL,            -- number of the latest step of time
        steps TEXT NOT NULL,              -- JSON: [[number of the step, count], ...]
        PRIMARY KEY (counted, who)
    ) WITHOUT ROWID;
INSERT INTO "windows" VALUES('failed recipients per user in 3600','ann@mf.test',29927494,'[[29927494, 1]]');
CREATE INDEX greylist_by_last ON greylist (last);
COMMIT;
PRAGMA user_version=2;
