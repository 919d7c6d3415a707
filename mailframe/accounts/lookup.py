"""Reading the directory's tables: plain functions over a connection, on whatever thread.

Names handed in are canonical. Each function is one or two indexed queries.
"""

from __future__ import annotations

import sqlite3

from mailframe.accounts.errors import NoSuchMailDomain
from mailframe.accounts.foreign_hashes import parse_scram
from mailframe.accounts.records import Alias, Domain, MovedAddress, User
from mailframe.core.address import Address

_USER = "SELECT name, password, scram, quota_bytes, quota_messages, disabled, created FROM users"


def is_domain(connection: sqlite3.Connection, name: str) -> bool:
    row = connection.execute("SELECT 1 FROM domains WHERE name = ?", (name,)).fetchone()
    return row is not None


def need_domain(connection: sqlite3.Connection, name: str) -> None:
    """Raises NoSuchMailDomain."""
    if not is_domain(connection, name):
        raise NoSuchMailDomain(f"there is no domain {name} here (mailframe domain add {name})")


def find_user(connection: sqlite3.Connection, name: str) -> User | None:
    row = connection.execute(f"{_USER} WHERE name = ?", (name,)).fetchone()
    return _user(row) if row else None


def first_user(connection: sqlite3.Connection, domain: str | None) -> User | None:
    """The eldest user that may log in, of the domain or (None) of all."""
    row = connection.execute(
        f"{_USER} WHERE disabled = 0 AND (?1 IS NULL OR domain = ?1) ORDER BY id LIMIT 1",
        (domain,),
    ).fetchone()
    return _user(row) if row else None


def list_users(connection: sqlite3.Connection, domain: str | None) -> list[User]:
    rows = connection.execute(
        f"{_USER} WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, name", (domain,)
    )
    return [_user(row) for row in rows]


def _user(row: tuple[str, str, str, int, int, int, float]) -> User:
    name, password, scram, quota_bytes, quota_messages, disabled, created = row
    return User(
        name=name,
        password=password,
        scram=parse_scram(scram) if scram else None,
        quota_bytes=quota_bytes,
        quota_messages=quota_messages,
        disabled=bool(disabled),
        created=created,
    )


def list_domains(connection: sqlite3.Connection) -> list[Domain]:
    rows = connection.execute(
        "SELECT name, (SELECT count(*) FROM users WHERE domain = domains.name),"
        " (SELECT count(*) FROM aliases WHERE domain = domains.name), created"
        " FROM domains ORDER BY name"
    )
    return [Domain(*row) for row in rows]


def find_alias(connection: sqlite3.Connection, name: str) -> Alias | None:
    row = connection.execute("SELECT is_list FROM aliases WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    rows = connection.execute(
        "SELECT target FROM alias_targets WHERE alias = ? ORDER BY position", (name,)
    )
    return Alias(name, tuple(Address.parse(target) for (target,) in rows), bool(row[0]))


def list_aliases(connection: sqlite3.Connection, domain: str | None) -> list[Alias]:
    names = connection.execute(
        "SELECT name FROM aliases WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, name",
        (domain,),
    ).fetchall()
    found = [find_alias(connection, name) for (name,) in names]
    return [alias for alias in found if alias is not None]


def find_moved(connection: sqlite3.Connection, name: str) -> MovedAddress | None:
    row = connection.execute("SELECT target FROM moved WHERE name = ?", (name,)).fetchone()
    return MovedAddress(name, Address.parse(row[0])) if row else None


def list_moved(connection: sqlite3.Connection, domain: str | None) -> list[MovedAddress]:
    rows = connection.execute(
        "SELECT name, target FROM moved WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, name",
        (domain,),
    )
    return [MovedAddress(name, Address.parse(target)) for name, target in rows]


def aliases_to(connection: sqlite3.Connection, name: str) -> list[str]:
    """Names of the aliases that have ``name`` among their own targets."""
    rows = connection.execute(
        "SELECT alias FROM alias_targets WHERE key = ? ORDER BY alias", (name,)
    )
    return [alias for (alias,) in rows]
