"""From an address of ours to where its mail ends: users, aliases, plus-addresses, catch-all.

What an address is, first match wins: an alias of that name, a user, a forwarding address,
then the same for the name without its detail (``ann+shop`` -> ``ann``, RFC 5233), then the
domain's catch-all, then the postmaster for the role names of RFC 2142. Aliases are followed
to the end. A name met a second time on the way is no longer an alias: it is the user of that
name, which is how ``ann -> ann, backup@elsewhere`` keeps a copy, and what ends a loop.

Works on one connection, on a worker thread: the answer is one consistent snapshot.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from mailframe.accounts import lookup
from mailframe.accounts.names import account_key, domain_key, fold
from mailframe.accounts.records import Alias, MovedAddress
from mailframe.core import status
from mailframe.core.address import Address, AddressError
from mailframe.core.reply import Reply
from mailframe.core.resolution import (
    Elsewhere,
    Expanded,
    Local,
    Moved,
    Refused,
    Resolution,
    Target,
)

NO_SUCH_USER = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")
DISABLED = Reply(550, status.MAILBOX_DISABLED, "This mailbox is disabled")
TOO_MANY = Reply(451, status.DIRECTORY_FAILURE, "The alias has too many targets")

# RFC 2142 section 5 and RFC 5321 section 4.5.1. Mailer-daemon signs our own bounces.
ROLES = frozenset({"postmaster", "abuse", "mailer-daemon"})
_MOST_TARGETS = 10_000  # of one address; a list larger than this belongs to list software


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Places:
    """What is ours beside the tables."""

    separator: str = "+"
    """Between a user's name and the detail; empty: no plus-addresses."""
    other_users: Collection[str] = ()
    """Accounts that other checkers keep (``file:``); their domains are ours as well."""
    other_domains: Collection[str] = ()
    postmaster: Address | None = None
    """Who gets mail for role names that nobody set up; None: the eldest user."""
    hostname: str = ""
    """A-labels. Ours even where it is no mail domain: then only its role names take mail."""


@dataclass(slots=True)
class Expansion:
    """Resolves one address; make a new one each time."""

    connection: sqlite3.Connection
    places: Places
    _met: set[str] = field(default_factory=set)
    _targets: dict[str, Target] = field(default_factory=dict)
    _dead: list[str] = field(default_factory=list)
    is_named: bool = False
    """Whether the directory names the address that was resolved. Else what takes its mail, if
    anything does, takes that of addresses without number: a catch-all, ``ann+anything``."""

    @property
    def dead(self) -> list[str]:
        """Targets of ours that an alias names and that take no mail; they were left out."""
        return self._dead

    def resolve(self, address: Address) -> Resolution:
        """``address`` has a domain that is a name."""
        try:
            domain = domain_key(address.domain)
        except AddressError:
            return Elsewhere()
        if not self._is_ours(domain):
            return Elsewhere()
        local = fold(address.local_part)
        found = self._exact(f"{local}@{domain}")
        self.is_named = found is not None
        if found is None:
            found = self._near(local, domain)
        if isinstance(found, _User):
            return Refused(DISABLED) if found.disabled else Local(found.name)
        if isinstance(found, MovedAddress):
            return Moved(found.to)
        if found is None:
            return Refused(NO_SUCH_USER)
        return self._expand(found)

    def has(self, address: Address) -> bool:
        """Whether the tables name the address, which is canonical."""
        return self._exact(f"{address.local_part}@{address.domain}") is not None

    def _is_ours(self, domain: str) -> bool:
        return (
            lookup.is_domain(self.connection, domain)
            or domain in self.places.other_domains
            or domain == self.places.hostname
        )

    def _find(self, local: str, domain: str) -> _User | Alias | MovedAddress | None:
        return self._exact(f"{local}@{domain}") or self._near(local, domain)

    def _near(self, local: str, domain: str) -> _User | Alias | MovedAddress | None:
        """What takes mail for a name that is not in the directory."""
        found: _User | Alias | MovedAddress | None = None
        separator = self.places.separator
        if separator and separator in local[1:]:
            base = local[: local.index(separator, 1)]
            found = self._exact(f"{base}@{domain}")
        if found is None:
            found = self._alias(f"@{domain}")
        if found is None and local in ROLES:
            found = self._postmaster(domain)
        return found

    def _exact(self, name: str) -> _User | Alias | MovedAddress | None:
        return self._alias(name) or self._user(name) or self._moved(name)

    def _alias(self, name: str) -> Alias | None:
        return None if name in self._met else lookup.find_alias(self.connection, name)

    def _moved(self, name: str) -> MovedAddress | None:
        return None if name in self._met else lookup.find_moved(self.connection, name)

    def _user(self, name: str) -> _User | None:
        user = lookup.find_user(self.connection, name)
        if user is not None:
            return _User(name, user.disabled)
        return _User(name, disabled=False) if name in self.places.other_users else None

    def _postmaster(self, domain: str) -> _User | Alias | None:
        """RFC 5321 section 4.5.1: a domain that takes mail takes it for its postmaster."""
        if self.places.postmaster is not None and "" not in self._met:
            return Alias("", (self.places.postmaster,), is_list=False)
        eldest = lookup.first_user(self.connection, domain) or lookup.first_user(
            self.connection, None
        )
        if eldest is not None:
            return _User(eldest.name, eldest.disabled)
        others = sorted(self.places.other_users)
        own = [name for name in others if name.endswith(f"@{domain}")]
        return next((_User(name, disabled=False) for name in own + others), None)

    def _expand(self, alias: Alias) -> Resolution:
        self._met.add(alias.name)
        waiting = deque(alias.targets)
        steps = 0
        while waiting:
            steps += 1
            if steps > _MOST_TARGETS:
                return Refused(TOO_MANY)
            waiting.extend(self._follow(waiting.popleft()))
        if not self._targets:
            return Refused(NO_SUCH_USER)
        return Expanded(tuple(self._targets.values()), alias.is_list)

    def _follow(self, target: Address) -> tuple[Address, ...]:
        """Note a final target, or return what it stands for."""
        try:
            domain = domain_key(target.domain)
        except AddressError:
            self._dead.append(str(target))
            return ()
        if not self._is_ours(domain):
            self._targets.setdefault(account_key(target), Target(target, None))
            return ()
        found = self._find(fold(target.local_part), domain)
        if isinstance(found, Alias):
            self._met.add(found.name)
            return found.targets
        if isinstance(found, MovedAddress):
            self._met.add(found.name)
            return (found.to,)
        if found is None or found.disabled:
            self._dead.append(str(target))
        else:
            self._targets.setdefault(found.name, Target(target, Local(found.name)))
        return ()


def is_dead(connection: sqlite3.Connection, target: Address, alias: str) -> bool:
    """Whether the alias's target is of one of our domains and takes no mail."""
    expansion = Expansion(connection, Places(), {alias})
    return isinstance(expansion.resolve(target), Refused)


def ends_at(account: str, resolution: Resolution) -> bool:
    """Whether mail goes to the account's own mailbox, in its own name: a list is nobody's."""
    if isinstance(resolution, Local):
        return resolution.account == account
    return (
        isinstance(resolution, Expanded)
        and not resolution.is_list
        and any(
            target.mailbox is not None and target.mailbox.account == account
            for target in resolution.targets
        )
    )
