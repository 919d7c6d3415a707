"""DKIM keys of the domains here (RFC 6376), and the three states in the life of each.

A key waits until its record can be seen in the DNS, then it signs, then it is retired: its
record must stay where it is for ``OVERLAP_SECONDS`` more, because mail that it signed is still
under way and will be verified. A domain signs with one key of each algorithm: activating one
retires the one before. Only the first key of an algorithm signs at once; without it nothing
would be signed anyway.

``DkimKeys`` is what the command line uses, beside a running server, as ``admin`` does:
synchronous, all or nothing, DirectoryErrors fit to print. The server reads ``keys_of``.
"""

from __future__ import annotations

import enum
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from mailframe.accounts import lookup
from mailframe.accounts.errors import AlreadyExists, InUse, InvalidEntry, NoSuchKey
from mailframe.accounts.names import entered_domain
from mailframe.mailauth.dkim.keys import generate, key_record
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database

T = TypeVar("T")

# RFC 5321 section 4.5.4.1 has a sender try for four to five days: our queue once, and that of
# a relay after it.
OVERLAP_SECONDS = 10 * 86_400
ALGORITHMS = {"rsa": "rsa-sha256", "ed25519": "ed25519-sha256"}
_PREFIXES = {"rsa-sha256": "rsa", "ed25519-sha256": "ed"}
_MOST_KEYS = 20  # of one domain
# RFC 6376 section 3.1: sub-domains of RFC 5321, which are letters, digits and hyphens
_SELECTOR = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_LONGEST_NAME = 253


class KeyState(enum.Enum):
    WAITING = "waiting"
    SIGNING = "signing"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class DkimKey:
    domain: str
    """A-labels."""
    selector: str
    algorithm: str
    """As in ``a=``: ``rsa-sha256`` or ``ed25519-sha256``."""
    private: bytes
    """PKCS #8, DER, as are the rows."""
    state: KeyState
    created: float
    """Seconds since the epoch."""
    changed: float
    """When it came into its state."""

    @property
    def record_name(self) -> str:
        """Where its TXT record stands (RFC 6376 section 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """What stands there (RFC 6376 section 3.6.1)."""
        return key_record(self.private)

    @property
    def needed_until(self) -> float | None:
        """Until when a retired key's record must stay; None: no end in sight."""
        return self.changed + OVERLAP_SECONDS if self.state is KeyState.RETIRED else None

    def is_published(self, now: float) -> bool:
        """Whether its record belongs into the DNS."""
        return self.needed_until is None or now < self.needed_until

    def __repr__(self) -> str:
        return f"<DkimKey {self.record_name} {self.state.value}>"  # logs hold no secrets


_COLUMNS = "domain, selector, algorithm, private, state, created, changed"


def keys_of(connection: sqlite3.Connection, domain: str) -> list[DkimKey]:
    """All keys of a domain (canonical), the oldest first; RSA before Ed25519."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM dkim_keys WHERE domain = ?"
        " ORDER BY created, algorithm DESC, selector",
        (domain,),
    )
    return [_key(row) for row in rows]


def _key(row: tuple[str, str, str, bytes, str, float, float]) -> DkimKey:
    domain, selector, algorithm, private, state, created, changed = row
    return DkimKey(domain, selector, algorithm, private, KeyState(state), created, changed)


class DkimKeys:
    """``database`` is that of the directory; ``seconds`` the wall clock."""

    def __init__(self, database: Database, seconds: Callable[[], float]) -> None:
        self._database = database
        self._seconds = seconds

    def keys(self, domain: str) -> list[DkimKey]:
        """Raises NoSuchMailDomain."""
        name = entered_domain(domain)

        def job(connection: sqlite3.Connection) -> list[DkimKey]:
            lookup.need_domain(connection, name)
            return keys_of(connection, name)

        return fired(self._database.read(job))

    def create(
        self, domain: str, algorithms: Sequence[str], selector: str | None = None
    ) -> list[DkimKey]:
        """New keys for each of ``algorithms``; they wait, unless it is the first. ``selector``
        only with a single algorithm; None makes one of the month.

        Raises NoSuchMailDomain, InvalidEntry, AlreadyExists.
        """
        name = entered_domain(domain)
        if selector is not None:
            selector = selector.lower()
            if not _SELECTOR.fullmatch(selector):
                raise InvalidEntry(f"{selector!r} is no selector: letters, digits, - and .")
        # outside of the transaction: an RSA key takes its time
        fresh = [(algorithm, generate(algorithm)) for algorithm in algorithms]

        def job(connection: sqlite3.Connection) -> list[DkimKey]:
            lookup.need_domain(connection, name)
            return [self._insert(connection, name, *each, selector) for each in fresh]

        return self._write(job)

    def rotate(self, domain: str) -> list[DkimKey]:
        """A new waiting key beside each that signs. Raises NoSuchMailDomain, NoSuchKey, and
        AlreadyExists where one waits already."""
        keys = self.keys(domain)
        waiting = [key.selector for key in keys if key.state is KeyState.WAITING]
        if waiting:
            raise AlreadyExists(
                f"{', '.join(waiting)} of {domain} waits already: publish it, and then"
                f" mailframe dkim activate {domain}"
            )
        signing = [key.algorithm for key in keys if key.state is KeyState.SIGNING]
        if not signing:
            raise NoSuchKey(f"{domain} signs with no key yet (mailframe dkim new {domain})")
        return self.create(domain, signing)

    def activate(self, domain: str, selectors: Sequence[str]) -> list[DkimKey]:
        """Sign with these from now on, which waited or were retired; returns the keys that they
        retire. Whether the DNS knows them is the caller's to find out. Raises
        NoSuchMailDomain, NoSuchKey."""
        name = entered_domain(domain)

        def job(connection: sqlite3.Connection) -> list[DkimKey]:
            retired: list[DkimKey] = []
            for selector in selectors:
                key = _need_key(connection, name, selector)
                if key.state is KeyState.SIGNING:
                    continue
                before = [
                    other
                    for other in keys_of(connection, name)
                    if other.algorithm == key.algorithm and other.state is KeyState.SIGNING
                ]
                for other in before:
                    self._change(connection, other, KeyState.RETIRED)
                self._change(connection, key, KeyState.SIGNING)
                retired += before
            return retired

        return self._write(job)

    def remove(self, domain: str, selector: str, *, force: bool = False) -> None:
        """Destroy a key. Raises NoSuchMailDomain, NoSuchKey; without ``force`` InUse where it
        signs, or where mail that it signed may still be under way."""
        name = entered_domain(domain)

        def job(connection: sqlite3.Connection) -> None:
            key = _need_key(connection, name, selector)
            if not force and (reason := in_use(key, self._seconds())):
                raise InUse(reason)
            connection.execute(
                "DELETE FROM dkim_keys WHERE domain = ? AND selector = ?", (name, key.selector)
            )

        self._write(job)

    def _insert(
        self,
        connection: sqlite3.Connection,
        domain: str,
        algorithm: str,
        private: bytes,
        selector: str | None,
    ) -> DkimKey:
        now = self._seconds()
        keys = keys_of(connection, domain)
        if len(keys) >= _MOST_KEYS:
            raise InUse(f"{domain} has {len(keys)} keys: mailframe dkim rm the oldest")
        taken = {key.selector for key in keys}
        if selector in taken:
            raise AlreadyExists(f"{domain} has a key {selector} already")
        chosen = selector or _selector(algorithm, now, taken)
        is_first = not any(
            key.algorithm == algorithm and key.state is KeyState.SIGNING for key in keys
        )
        state = KeyState.SIGNING if is_first else KeyState.WAITING
        key = DkimKey(domain, chosen, algorithm, private, state, now, now)
        if len(key.record_name) > _LONGEST_NAME:
            raise InvalidEntry(f"{key.record_name} is too long for a name")
        connection.execute(
            f"INSERT INTO dkim_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (domain, chosen, algorithm, private, state.value, now, now),
        )
        return key

    def _change(self, connection: sqlite3.Connection, key: DkimKey, state: KeyState) -> None:
        connection.execute(
            "UPDATE dkim_keys SET state = ?, changed = ? WHERE domain = ? AND selector = ?",
            (state.value, self._seconds(), key.domain, key.selector),
        )

    def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return fired(self._database.write(job))


def in_use(key: DkimKey, now: float) -> str:
    """Why the key must not go yet; empty if it may."""
    if key.state is KeyState.SIGNING:
        return f"{key.selector} signs the mail of {key.domain}"
    if key.needed_until is not None and now < key.needed_until:
        day = datetime.fromtimestamp(key.needed_until, UTC).date()
        return f"mail that {key.selector} has signed may be under way until {day}"
    return ""


def _selector(algorithm: str, now: float, taken: set[str]) -> str:
    """``rsa202611``, then ``rsa202611-2``."""
    base = f"{_PREFIXES[algorithm]}{datetime.fromtimestamp(now, UTC):%Y%m}"
    return next(
        name
        for name in (base, *(f"{base}-{number}" for number in range(2, _MOST_KEYS + 2)))
        if name not in taken
    )


def _need_key(connection: sqlite3.Connection, domain: str, selector: str) -> DkimKey:
    lookup.need_domain(connection, domain)
    for key in keys_of(connection, domain):
        if key.selector == selector.lower():
            return key
    raise NoSuchKey(f"{domain} has no key {selector} (mailframe dkim show {domain})")
