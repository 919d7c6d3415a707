"""Accounts in a database, by query templates (``IPasswordSource``).

Three questions: who gets mail at an address, which password hashes a login has, and whether a
domain is there. Rows are read by the names of their columns. Passwords are checked here, against
the hash that the database has; they are never sent to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from twisted.logger import Logger
from zope.interface import alsoProvides, implementer

from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import Entry, IDomainSource, IPasswordSource, ITryableSource
from mailframe.sources.fields import KNOWN, Unusable, completed, entry_of, together
from mailframe.sources.rotation import CANNOT_ASK, Rotation
from mailframe.sources.sql.questions import QueryFailed, Row, SqlServer

_MOST_PASSWORDS = 10  # of one login; each costs a hash
_NOBODYS_PASSWORD = b"the password of nobody"
NOBODY = "mailframe-check@mailframe-check.invalid"
_COLUMNS = frozenset({"password", "account", "enabled"})

CheckHash = Callable[[str, str | None, bytes], Awaitable[bool]]
"""Whether the password is the one behind a stored hash (account, hash, password). A hash of None
is a user who does not exist: that takes as long, and is never right."""
NameOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Queries:
    """Templates; empty for what is not asked."""

    find: str = ""
    password: str = ""
    domain: str = ""


@implementer(IPasswordSource, ITryableSource)
class SqlSource:
    """
    name_of
        The account that a login names, in its canonical spelling; None: it is no address.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        queries: Queries,
        servers: Rotation[SqlServer],
        *,
        domains: Collection[str],
        check_hash: CheckHash,
        name_of: NameOf,
    ) -> None:
        self.name = name
        self.domains = frozenset(domains)
        self._queries = queries
        self._servers = servers
        self._check_hash = check_hash
        self._name_of = name_of
        self._hash_seen: str | None = None
        """Of whoever wanted to log in last."""
        if queries.domain:
            alsoProvides(self, IDomainSource)

    async def find(self, address: Address) -> Entry | None:
        if not self._queries.find:
            return None
        rows = await self._ask(
            self._queries.find, _of_address(f"{address.local_part}@{address.domain}")
        )
        try:
            return together([entry_of(row, address) for row in rows]) if rows else None
        except Unusable as error:
            raise self._unusable(f"about {address}: {error}") from error

    async def check(self, login: str, password: bytes) -> str:
        if not password:
            raise LoginFailed("an empty password")
        account = self._name_of(login) or ""
        rows: Sequence[Row] = ()
        if self._queries.password and "\0" not in login:
            asked = {"login": login, **_of_address(account)}
            rows = await self._ask(self._queries.password, asked)
        candidates = self._candidates(rows, account)
        for name, stored in candidates:
            self._hash_seen = stored
            if await self._check_hash(name, stored, password):
                return name
        if candidates:
            raise LoginFailed("wrong password")
        # Hashes of one kind take a hundred times as long as those of another, and the time must
        # not tell who is here. Never the client's password: it may be right, for somebody else.
        await self._check_hash("", self._hash_seen, _NOBODYS_PASSWORD)
        raise LoginFailed("no such user in the database")

    async def holds(self, domain: str) -> bool:
        """As of ``IDomainSource``, where there is a query for it."""
        return bool(await self._ask(self._queries.domain, {"domain": domain}))

    async def try_questions(self) -> Sequence[str]:
        queries, nobody = self._queries, _of_address(NOBODY)
        login, domain = {"login": NOBODY, **nobody}, {"domain": nobody["domain"]}
        return [
            *await self._try("find", queries.find, nobody, KNOWN),
            *await self._try("password_query", queries.password, login, _COLUMNS, "password"),
            *await self._try("domain_query", queries.domain, domain, None),
        ]

    async def _try(
        self,
        name: str,
        query: str,
        parameters: Mapping[str, str],
        known: Collection[str] | None,
        needed: str = "",
    ) -> list[str]:
        """``known``: columns that it may yield, None for any; ``needed``: one that it must."""
        if not query:
            return []
        try:
            columns = await self._servers.ask(lambda server: server.columns(query, parameters))
        except QueryFailed as error:
            return [f"{name} fails: {error.detail}"]
        if not columns:
            return [f"{name} yields no rows at all"]
        unknown = [] if known is None else [one for one in columns if one not in known]
        wrong = [f"{name} yields a column {one[:40]!r}" for one in unknown]
        if needed and needed not in columns:
            wrong.append(f"{name} yields no column {needed!r}")
        if wrong and known is not None:
            wrong[-1] += f" (there may be: {', '.join(sorted(known))})"
        return wrong

    def close(self) -> None:
        for server in self._servers.servers:
            server.close()

    async def _ask(self, query: str, parameters: Mapping[str, str]) -> Sequence[Row]:
        try:
            return await self._servers.ask(lambda server: server.ask(query, parameters))
        except QueryFailed as error:
            self.log.error("{name}: {why}", name=self.name, why=error.detail)
            raise

    def _candidates(self, rows: Sequence[Row], account: str) -> list[tuple[str, str]]:
        """Account and hash of each password that the login has."""
        found: list[tuple[str, str]] = []
        for row in rows:
            unknown = sorted(row.keys() - _COLUMNS)
            if unknown or "password" not in row:
                what = f"column {unknown[0][:40]!r}" if unknown else "no column 'password'"
                raise self._unusable(f"password_query yields {what}")
            try:
                own = {name: row[name] for name in row if name != "password"}
                entry = entry_of(own | {"mailbox": True}, _named(account))
            except Unusable as error:
                raise self._unusable(f"password_query: {error}") from error
            stored = _hash(row["password"])
            if entry.is_enabled and stored:
                domain = account.rpartition("@")[2]
                found.append((completed(str(row.get("account") or account), domain), stored))
        if len({name for name, _ in found}) > 1 or len(found) > _MOST_PASSWORDS:
            raise self._unusable(f"password_query yields {len(found)} passwords, of several users")
        return found

    def _unusable(self, what: str) -> TransientFailure:
        self.log.error("{name}: {what}", name=self.name, what=what)
        return TransientFailure(CANNOT_ASK, f"{self.name}: {what}")


def _of_address(account: str) -> dict[str, str]:
    local_part, _, domain = account.rpartition("@")
    return {"address": account, "local_part": local_part, "domain": domain}


def _named(account: str) -> Address:
    local_part, _, domain = account.rpartition("@")
    return Address(local_part or "nobody", domain or "invalid")


def _hash(value: object) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("ascii", "replace").strip()
    return value.strip() if isinstance(value, str) else ""
