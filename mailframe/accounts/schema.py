"""The tables of ``directory.db``. Names in them are canonical (see ``names``)."""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE domains (
        name TEXT PRIMARY KEY,
        created REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,           -- order of creation: the eldest is the postmaster
        name TEXT NOT NULL UNIQUE,
        domain TEXT NOT NULL REFERENCES domains (name),
        password TEXT NOT NULL,
        scram TEXT NOT NULL,              -- iterations,salt,stored key,server key; or empty
        quota_bytes INTEGER NOT NULL,
        quota_messages INTEGER NOT NULL,
        disabled INTEGER NOT NULL,
        created REAL NOT NULL
    );
    CREATE INDEX users_by_domain ON users (domain);
    CREATE TABLE aliases (
        name TEXT PRIMARY KEY,
        domain TEXT NOT NULL REFERENCES domains (name),
        is_list INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX aliases_by_domain ON aliases (domain);
    CREATE TABLE alias_targets (
        alias TEXT NOT NULL REFERENCES aliases (name) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        target TEXT NOT NULL,             -- as an address is written
        key TEXT NOT NULL,                -- canonical, to find who points to an account
        PRIMARY KEY (alias, key)
    ) WITHOUT ROWID;
    CREATE INDEX alias_targets_by_key ON alias_targets (key);
    CREATE TABLE moved (
        name TEXT PRIMARY KEY,
        domain TEXT NOT NULL REFERENCES domains (name),
        target TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE domains ADD COLUMN tenant TEXT NOT NULL DEFAULT '';  -- whose it is; '': its own
    CREATE TABLE domain_settings (
        domain TEXT NOT NULL REFERENCES domains (name) ON DELETE CASCADE,
        key TEXT NOT NULL,                -- junk, reject, share ... (see domain_settings.py)
        value TEXT NOT NULL,
        PRIMARY KEY (domain, key)
    ) WITHOUT ROWID;
    CREATE TABLE dkim_keys (
        domain TEXT NOT NULL REFERENCES domains (name) ON DELETE CASCADE,
        selector TEXT NOT NULL,
        algorithm TEXT NOT NULL,          -- rsa-sha256, ed25519-sha256
        private BLOB NOT NULL,            -- PKCS #8, DER
        state TEXT NOT NULL,              -- waiting, signing, retired
        created REAL NOT NULL,
        changed REAL NOT NULL,            -- when it came into this state
        PRIMARY KEY (domain, selector)
    ) WITHOUT ROWID;
    """,
)
