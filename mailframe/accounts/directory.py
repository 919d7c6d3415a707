"""The directory: domains, users and aliases in ``BASE/directory.db``.

The running server's view. Every question is answered from the file as it is at that moment, so
a change made by the command line, in another process, counts for the next command of a session
already open. What was asked before is answered from memory, and at once, as long as nobody has
changed the file since, which each question finds out first (``remembered``): no answer is
stale. What changes the directory is in ``admin``; the server itself only writes renewed
password hashes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable
from typing import TypeVar

from mailframe.accounts import lookup
from mailframe.accounts.domain_settings import DomainSettings, find_settings
from mailframe.accounts.foreign_hashes import format_scram
from mailframe.accounts.records import Quota, User
from mailframe.core.scram import ScramVerifier
from mailframe.runtime.database import Database
from mailframe.runtime.remembered import Found, Remembered

T = TypeVar("T")
Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


class Directory:
    """``database`` is made with ``schema.MIGRATIONS`` and opened by its owner.

    ``token_bytes(n)`` yields n unguessable octets."""

    def __init__(self, database: Database, token_bytes: Callable[[int], bytes]) -> None:
        self._database = database
        self._token_bytes = token_bytes
        self._secret: bytes | None = None
        self._users = self.remembering(_find_user)
        self._settings = self.remembering(_find_settings)

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Run several lookups as one read, off the reactor thread."""
        return await self._database.read(question)

    def remembering(self, look: Callable[[sqlite3.Connection, Q], Found[A]]) -> Remembered[Q, A]:
        """For questions that come again: their answers are remembered."""
        return Remembered(self._database, look)

    async def user(self, name: str) -> User | None:
        return await self._users.ask(name)

    def recalled_user(self, name: str) -> User | None:
        """As ``user``, but only where the answer is remembered."""
        found = self._users.recalled(name)
        return found.answer if found is not None else None

    async def user_anew(self, name: str) -> User | None:
        """As ``user``, but in the same time for every name, whether or not it is remembered."""
        return await self._users.look_anew(name)

    async def settings(self, domain: str) -> DomainSettings:
        """What the domain (canonical) decides for itself; the defaults for one not here."""
        return await self._settings.ask(domain)

    async def quota(self, account: str) -> Quota:
        """What the mailbox may hold; no limit for an account the directory does not have."""
        user = await self.user(account)
        return Quota(user.quota_bytes, user.quota_messages) if user else Quota(0, 0)

    async def renew(self, old: User, password: str, scram: ScramVerifier) -> None:
        """Replace an outdated hash, unless the password was changed meanwhile."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE users SET password = ?, scram = ? WHERE name = ? AND password = ?",
                (password, format_scram(scram), old.name, old.password),
            )
        )

    async def secret(self) -> bytes:
        """32 octets that outlive the process; they make verifiers for users who do not exist
        the same after a restart, as those of real users are."""
        if self._secret is None:
            fresh = self._token_bytes(32)
            self._secret = await self._database.write(lambda c: _keep_secret(c, fresh))
        return self._secret

    def fresh_salt(self, octets: int) -> bytes:
        return self._token_bytes(octets)


def _find_user(connection: sqlite3.Connection, name: str) -> Found[User | None]:
    user = lookup.find_user(connection, name)
    return Found(user, name, is_named=user is not None)


def _find_settings(connection: sqlite3.Connection, domain: str) -> Found[DomainSettings]:
    is_here = lookup.is_domain(connection, domain)
    return Found(find_settings(connection, domain), domain, is_named=is_here)


def _keep_secret(connection: sqlite3.Connection, fresh: bytes) -> bytes:
    connection.execute("INSERT OR IGNORE INTO secrets VALUES ('unknown users', ?)", (fresh,))
    row = connection.execute("SELECT value FROM secrets WHERE name = 'unknown users'").fetchone()
    return bytes(row[0])
