"""Changing the directory: what ``mailframe domain``, ``user`` and ``alias`` do.

Synchronous: the database is opened without a reactor, ``Database(path, MIGRATIONS, None)``.
Works beside a running server, which sees each change at once. A method either did all of
what it was asked or raised a DirectoryError and changed nothing. Hashing happens here, on
the calling thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from mailframe.accounts import lookup
from mailframe.accounts.domain_settings import DomainSettings, find_settings, write_setting
from mailframe.accounts.errors import (
    AlreadyExists,
    InUse,
    InvalidEntry,
    NoSuchAlias,
    NoSuchUser,
)
from mailframe.accounts.expansion import is_dead
from mailframe.accounts.foreign_hashes import format_scram
from mailframe.accounts.names import account_key, domain_key, entered_domain, fold, split_account
from mailframe.accounts.passwords import (
    SCRAM_SALT,
    check_new_password,
    hash_password,
    scram_verifier_for,
)
from mailframe.accounts.records import Alias, Domain, MovedAddress, User
from mailframe.core.address import Address, AddressError
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database

T = TypeVar("T")


class DirectoryAdmin:
    """``seconds`` is the wall clock, ``token_bytes(n)`` yields n unguessable octets."""

    def __init__(
        self,
        database: Database,
        seconds: Callable[[], float],
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._token_bytes = token_bytes

    # -- domains

    def domains(self) -> list[Domain]:
        return self._read(lookup.list_domains)

    def add_domain(self, domain: str, *, tenant: str | None = None) -> str:
        """Returns its canonical name. ``tenant``: whose it is, None: its own. Raises
        InvalidEntry, AlreadyExists."""
        name = entered_domain(domain)

        def job(connection: sqlite3.Connection) -> None:
            if lookup.is_domain(connection, name):
                raise AlreadyExists(f"the domain {name} is there already")
            connection.execute(
                "INSERT INTO domains (name, created) VALUES (?, ?)", (name, self._seconds())
            )
            if tenant is not None:
                write_setting(connection, name, "tenant", tenant)

        self._write(job)
        return name

    def remove_domain(self, domain: str, *, force: bool = False) -> None:
        """``force`` removes its users and aliases too (their mail stays on disk).
        Raises NoSuchMailDomain, InUse."""
        name = entered_domain(domain)

        def job(connection: sqlite3.Connection) -> None:
            lookup.need_domain(connection, name)
            users = len(lookup.list_users(connection, name))
            aliases = len(lookup.list_aliases(connection, name))
            if (users or aliases) and not force:
                raise InUse(f"the domain {name} has {users} users and {aliases} aliases")
            for table in ("users", "aliases", "moved"):
                connection.execute(f"DELETE FROM {table} WHERE domain = ?", (name,))
            connection.execute("DELETE FROM domains WHERE name = ?", (name,))

        self._write(job)

    def settings(self, domain: str) -> DomainSettings:
        """Raises NoSuchMailDomain."""
        name = entered_domain(domain)

        def job(connection: sqlite3.Connection) -> DomainSettings:
            lookup.need_domain(connection, name)
            return find_settings(connection, name)

        return self._read(job)

    def set_domain(self, domain: str, key: str, value: str | None) -> None:
        """One setting of ``domain_settings.KEYS``; None goes back to the default. Raises
        NoSuchMailDomain, InvalidEntry."""
        name = entered_domain(domain)

        def job(connection: sqlite3.Connection) -> None:
            lookup.need_domain(connection, name)
            write_setting(connection, name, key, value)

        self._write(job)

    # -- users

    def users(self, domain: str | None = None) -> list[User]:
        """Of one domain or of all. Raises NoSuchMailDomain."""
        return self._list(lookup.list_users, domain)

    def user(self, address: str) -> User:
        """Raises NoSuchUser."""
        name = _account(address)
        return self._read(lambda connection: _need_user(connection, name))

    def add_user(
        self,
        address: str,
        password: str | None,
        *,
        quota_bytes: int = 0,
        quota_messages: int = 0,
        password_hash: str = "",
    ) -> str:
        """Returns the account name. ``password`` None takes ``password_hash`` as it is (from
        another mail system, renewed at the first login); without either nobody can log in
        but by a checker other than the directory.

        Raises InvalidEntry, NoSuchMailDomain, AlreadyExists.
        """
        name = _account(address)
        if password is not None:
            password_hash, scram = self._hashed(password)
        else:
            scram = ""

        def job(connection: sqlite3.Connection) -> None:
            _, domain = split_account(name)
            lookup.need_domain(connection, domain)
            if lookup.find_user(connection, name) is not None:
                raise AlreadyExists(f"the user {name} is there already")
            connection.execute(
                "INSERT INTO users (name, domain, password, scram, quota_bytes,"
                " quota_messages, disabled, created) VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
                (name, domain, password_hash, scram, quota_bytes, quota_messages, self._seconds()),
            )

        self._write(job)
        return name

    def remove_user(self, address: str) -> list[str]:
        """Returns the aliases that still point to the account. Its mail stays on disk.
        Raises NoSuchUser."""
        name = _account(address)

        def job(connection: sqlite3.Connection) -> list[str]:
            _need_user(connection, name)
            connection.execute("DELETE FROM users WHERE name = ?", (name,))
            return lookup.aliases_to(connection, name)

        return self._write(job)

    def set_password(self, address: str, password: str) -> None:
        """Raises NoSuchUser, InvalidEntry."""
        hashed, scram = self._hashed(password)
        self._update(address, "password = ?, scram = ?", (hashed, scram))

    def set_quota(self, address: str, octets: int, messages: int) -> None:
        """0 is no limit. Raises NoSuchUser."""
        self._update(address, "quota_bytes = ?, quota_messages = ?", (octets, messages))

    def set_disabled(self, address: str, disabled: bool) -> None:
        """A disabled user neither logs in nor gets mail (550 5.2.1). Raises NoSuchUser."""
        self._update(address, "disabled = ?", (int(disabled),))

    # -- aliases

    def aliases(self, domain: str | None = None) -> list[Alias]:
        """Raises NoSuchMailDomain."""
        return self._list(lookup.list_aliases, domain)

    def add_alias(self, alias: str, targets: Sequence[str], *, is_list: bool = False) -> list[str]:
        """Add targets to an alias, making it where needed. ``@domain`` is the catch-all.

        A user of the same name is shadowed: name it among the targets to keep a copy there.
        Returns the targets at our own domains that do not exist (yet): mail for them is left
        out, so the caller should say so. Raises InvalidEntry, NoSuchMailDomain.
        """
        name = _alias(alias)
        if not targets:
            raise InvalidEntry("an alias needs at least one target")
        parsed = {account_key(target): target for target in map(_address, targets)}

        def job(connection: sqlite3.Connection) -> list[str]:
            _, domain = split_account(name)
            lookup.need_domain(connection, domain)
            connection.execute(
                "INSERT INTO aliases VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET is_list = max(is_list, excluded.is_list)",
                (name, domain, int(is_list)),
            )
            after = connection.execute(
                "SELECT coalesce(max(position), 0) FROM alias_targets WHERE alias = ?", (name,)
            ).fetchone()[0]
            connection.executemany(
                "INSERT OR IGNORE INTO alias_targets VALUES (?, ?, ?, ?)",
                [
                    (name, after + number, str(target), key)
                    for number, (key, target) in enumerate(parsed.items(), 1)
                ],
            )
            return [str(target) for target in parsed.values() if is_dead(connection, target, name)]

        return self._write(job)

    def remove_alias(self, alias: str, targets: Sequence[str] = ()) -> None:
        """The whole alias, or only the named targets; the last one takes the alias with it.
        Raises NoSuchAlias."""
        name = _alias(alias)
        keys = [account_key(_address(target)) for target in targets]

        def job(connection: sqlite3.Connection) -> None:
            if lookup.find_alias(connection, name) is None:
                raise NoSuchAlias(f"there is no alias {name}")
            for key in keys:
                gone = connection.execute(
                    "DELETE FROM alias_targets WHERE alias = ? AND key = ?", (name, key)
                )
                if not gone.rowcount:
                    raise NoSuchAlias(f"the alias {name} has no target {key}")
            connection.execute(
                "DELETE FROM aliases WHERE name = ?1 AND (?2 OR NOT EXISTS"
                " (SELECT 1 FROM alias_targets WHERE alias = ?1))",
                (name, not keys),
            )

        self._write(job)

    # -- moved addresses

    def moved(self, domain: str | None = None) -> list[MovedAddress]:
        """Raises NoSuchMailDomain."""
        return self._list(lookup.list_moved, domain)

    def add_moved(self, address: str, to: str) -> str:
        """From now on senders are told the new address (551) instead of mail being taken.
        Raises InvalidEntry, NoSuchMailDomain."""
        name = _account(address)
        target = _address(to)

        def job(connection: sqlite3.Connection) -> None:
            _, domain = split_account(name)
            lookup.need_domain(connection, domain)
            connection.execute(
                "INSERT OR REPLACE INTO moved VALUES (?, ?, ?)", (name, domain, str(target))
            )

        self._write(job)
        return name

    def is_moved(self, address: str) -> bool:
        """Whether a new address is kept for it. A catch-all never moved."""
        if address.startswith("@"):
            return False
        name = _account(address)
        return self._read(lambda connection: lookup.find_moved(connection, name)) is not None

    def remove_moved(self, address: str) -> None:
        """Raises NoSuchUser."""
        name = _account(address)

        def job(connection: sqlite3.Connection) -> None:
            if not connection.execute("DELETE FROM moved WHERE name = ?", (name,)).rowcount:
                raise NoSuchUser(f"no forwarding address is kept for {name}")

        self._write(job)

    # -- how

    def _hashed(self, password: str) -> tuple[str, str]:
        octets = password.encode(errors="surrogateescape")
        check_new_password(octets)
        verifier = scram_verifier_for(octets, self._token_bytes(SCRAM_SALT))
        return hash_password(octets), format_scram(verifier)

    def _update(self, address: str, assignments: str, values: tuple[str | int, ...]) -> None:
        name = _account(address)

        def job(connection: sqlite3.Connection) -> None:
            _need_user(connection, name)
            connection.execute(f"UPDATE users SET {assignments} WHERE name = ?", (*values, name))

        self._write(job)

    def _list(
        self, listing: Callable[[sqlite3.Connection, str | None], list[T]], domain: str | None
    ) -> list[T]:
        name = entered_domain(domain) if domain is not None else None

        def job(connection: sqlite3.Connection) -> list[T]:
            if name is not None:
                lookup.need_domain(connection, name)
            return listing(connection, name)

        return self._read(job)

    def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return fired(self._database.read(job))

    def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return fired(self._database.write(job))


def _address(text: str) -> Address:
    try:
        address = Address.parse(text)
        account_key(address)
    except AddressError as error:
        raise InvalidEntry(f"{text!r} is no mail address: {error}") from None
    return address


def _account(text: str) -> str:
    """An account's name becomes a directory below ``mail/``: no slash, nothing quoted."""
    address = _address(text)
    if str(address).startswith('"') or "/" in address.local_part or address.is_literal:
        raise InvalidEntry(f"{text!r} cannot name an account: letters, digits and .+-_ can")
    return account_key(address)


def _alias(text: str) -> str:
    if text.startswith("@"):
        return f"@{entered_domain(text[1:])}"
    address = _address(text)
    return f"{fold(address.local_part)}@{domain_key(address.domain)}"


def _need_user(connection: sqlite3.Connection, name: str) -> User:
    user = lookup.find_user(connection, name)
    if user is None:
        raise NoSuchUser(f"there is no user {name}")
    return user
