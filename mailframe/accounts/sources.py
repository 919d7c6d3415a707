"""Accounts that others keep, asked in order, and their answers held to what may be believed.

A source decides about its own domains and no others: it is asked of nothing else, and an entry
that leads to an account elsewhere, or to what is no account name at all, is trouble of the
source's (451), never a mailbox. What it calls an account goes through ``names`` like every other
name, so nothing that it says can become another one's directory.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from twisted.logger import Logger

from mailframe.accounts.names import account_key, domain_key, fold, login_key, split_account
from mailframe.core import status, utf7
from mailframe.core.address import Address, AddressError
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces.accounts import Entry, IAccountSource, IAnyDomain, IDomainSource

_LONGEST_FOLDER = 255  # octets of its Maildir's name
CANNOT_LOG_IN = Reply(454, status.SECURITY_OTHER, "Temporary authentication failure")
"""RFC 4954 section 6, for a source that cannot be asked."""
UNUSABLE = Reply(451, status.DIRECTORY_FAILURE, "The address cannot be looked up now")


@dataclass(frozen=True, slots=True)
class Found:
    source: IAccountSource
    entry: Entry


class Sources:
    """
    separator
        As of the directory's plus-addresses.
    trusted
        Those that may lead to anybody's account: programs of this server's owner.
    """

    log = Logger()

    def __init__(
        self,
        sources: Sequence[IAccountSource] = (),
        *,
        separator: str = "+",
        trusted: Sequence[IAccountSource] = (),
    ) -> None:
        self._sources = tuple(sources)
        self._separator = separator
        self._trusted = tuple(trusted)

    def __bool__(self) -> bool:
        return bool(self._sources)

    @property
    def domains(self) -> Collection[str]:
        """Those known beforehand."""
        return frozenset[str]().union(*(source.domains for source in self._sources))

    async def holds(self, domain: str) -> bool:
        """Whether any of them decides about it (A-labels). Raises TransientFailure."""
        for source in self._sources:
            if await holds(source, domain):
                return True
        return False

    async def may_know(self, domain: str) -> bool:
        """Whether any of them decides about it, or may know somebody there all the same."""
        for source in self._sources:
            if await may_know(source, domain):
                return True
        return False

    async def near(self, address: Address) -> Found | None:
        """What takes mail for it (canonical): by its name, else by its name without a detail.
        Raises TransientFailure, and PermanentFailure where a source refuses the address."""
        base = without_detail(address, self._separator)
        for source in self._sources:
            if not await may_know(source, address.domain):
                continue
            found = await self._find(source, address)
            if found is None and base is not None:
                found = await self._find(source, base)
            if found is not None:
                await self._must_know(source, found.entry, address)
                return found
        return None

    async def _must_know(self, source: IAccountSource, entry: Entry, asked: Address) -> None:
        """An account that its source does not find by its name has no mailbox when the mail is to
        be put there: it would be taken and then bounced."""
        if source in self._trusted:
            return  # its account may be anybody's: who knows them all looks for it
        own = Address(*split_account(entry.account))
        is_mailbox = entry.has_mailbox and entry.is_enabled and not entry.courier
        if is_mailbox and own != asked and await source.find(own) is None:
            self._refuse(source, f"the account {entry.account!r}, which it does not know")

    async def account(self, name: str) -> Entry | None:
        """The entry of an account with a mailbox here, by its name or one of its addresses; not
        what merely takes mail for that name, such as a catch-all. Raises TransientFailure."""
        found = await self._found(Address(*split_account(name)))
        return None if found is None else found.entry

    async def _found(self, address: Address) -> Found | None:
        for source in self._sources:
            if not await may_know(source, address.domain):
                continue
            try:
                found = await self._find(source, address)
            except PermanentFailure:  # of the address; whose account it is has not been said
                continue
            if found is not None and _is_of(found.entry, address):
                return found
        return None

    async def gives(self, account: str, address: Address) -> bool:
        """Whether the account's entry lists the address (canonical) as its own; of an address at
        another one's domain no source can say whose it is."""
        found = await self._found(Address(*split_account(account)))
        if found is None or not found.entry.is_enabled or found.entry.account != account:
            return False
        if address not in map(canonical, found.entry.addresses):
            return False
        return await holds(found.source, address.domain)

    async def _find(self, source: IAccountSource, address: Address) -> Found | None:
        entry: Entry | None = await source.find(address)
        return None if entry is None else Found(source, await self._sound(source, entry))

    async def _sound(self, source: IAccountSource, entry: Entry) -> Entry:
        account = await self.name_of(source, entry.account)
        for number in (entry.quota, entry.quota_messages):
            if number is not None and number < 0:
                self._refuse(source, f"a quota of {number}")
        if not _is_folder(entry.folder):
            self._refuse(source, f"a folder {entry.folder[:100]!r}")
        return entry if account == entry.account else replace(entry, account=account)

    async def name_of(self, source: IAccountSource, account: str) -> str:
        """The canonical name of what the source calls an account. Raises TransientFailure."""
        name = login_key(account, "")
        if name is None:
            self._refuse(source, f"an account called {account[:100]!r}")
        if source not in self._trusted and not await holds(source, split_account(name)[1]):
            self._refuse(source, f"the account {account!r}, which is at none of its domains")
        return name

    def _refuse(self, source: IAccountSource, what: str) -> NoReturn:
        self.log.error("{source} names {what}", source=source.name, what=what)
        raise TransientFailure(UNUSABLE, f"{source.name} names {what}")


def _is_folder(name: str) -> bool:
    """Whether mail can be put there; else it would be taken, and bounced afterwards."""
    if not name:
        return True
    parts = name.split("/")
    return (
        all(parts)
        and name.isprintable()
        and sum(1 + len(utf7.encode(part, also="./")) for part in parts) <= _LONGEST_FOLDER
    )


def _is_of(entry: Entry, address: Address) -> bool:
    """Whether a user may be called so (canonical)."""
    if not entry.has_mailbox or entry.courier:
        return False
    name = f"{address.local_part}@{address.domain}"
    return entry.account == name or address in map(canonical, entry.addresses)


async def holds(source: IAccountSource, domain: str) -> bool:
    """Whether the source decides about the domain (A-labels). Raises TransientFailure."""
    if domain in source.domains:
        return True
    return IDomainSource.providedBy(source) and bool(await IDomainSource(source).holds(domain))


async def may_know(source: IAccountSource, domain: str) -> bool:
    """Whether to ask it about addresses there (A-labels). Raises TransientFailure."""
    if IAnyDomain.providedBy(source) and IAnyDomain(source).may_know(domain):
        return True
    return await holds(source, domain)


def canonical(address: Address) -> Address | None:
    """As sources are asked; None for what is at no domain name."""
    try:
        if not address.domain or address.is_literal:
            return None
        return Address(fold(address.local_part), domain_key(address.domain))
    except AddressError:
        return None


def without_detail(address: Address, separator: str) -> Address | None:
    """``ann`` of ``ann+shop`` (RFC 5233); None where there is no detail."""
    local = address.local_part
    if not separator or separator not in local[1:]:
        return None
    return Address(local[: local.index(separator, 1)], address.domain)


def key_of(address: Address) -> str:
    """For telling addresses apart; of what has no canonical form, as it is."""
    try:
        return account_key(address)
    except AddressError:
        return str(address)
