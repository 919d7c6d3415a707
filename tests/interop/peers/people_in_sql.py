"""The same people in a database, for PostgreSQL and SQLite: tables, rows, queries."""

from __future__ import annotations

from mailframe.accounts.passwords import hash_password

PASSWORD = "correct horse 7"
DOMAIN = "sql.test"

TABLES = (
    "CREATE TABLE users (login text PRIMARY KEY, password text, quota bigint,"
    " enabled boolean NOT NULL DEFAULT true)",
    "CREATE TABLE aliases (address text, target text)",
)


def user(name: str, password: str = PASSWORD, quota: str = "NULL", enabled: str = "true") -> str:
    """The statement that adds one."""
    stored = hash_password(password.encode())
    return f"INSERT INTO users VALUES ('{name}@{DOMAIN}', '{stored}', {quota}, {enabled})"


def alias(name: str, target: str) -> str:
    return f"INSERT INTO aliases VALUES ('{name}@{DOMAIN}', '{target}')"


PEOPLE = (
    user("ann"),
    user("bob", quota="20000"),
    user("gone", enabled="false"),
    alias("info", f"ann@{DOMAIN}"),
    alias("both", f"ann@{DOMAIN}"),
    alias("both", f"bob@{DOMAIN}"),
    alias("round", f"about@{DOMAIN}"),
    alias("about", f"round@{DOMAIN}"),
    alias("about", f"bob@{DOMAIN}"),
)

FIND = """
    SELECT login AS account, NULL AS forward, quota, enabled FROM users WHERE login = :address
    UNION ALL
    SELECT NULL, target, NULL, NULL FROM aliases WHERE address = :address
"""
CHECK = "SELECT login AS account, password, enabled FROM users WHERE login = :address"
