"""Whose address is it: the resolver over the directory (``IRecipientResolver``).

Adds to ``expansion`` what is not in the tables: the bare postmaster, address literals, users
that ``file:`` checkers keep. A local-part is only ever looked up, never taken apart for
another domain: ``user%other@ours``, ``"user@other"@ours`` and ``other!user@ours`` are users
that do not exist (RFC 5321 section 2.3.11).
"""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Collection, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.accounts.directory import Directory
from mailframe.accounts.expansion import Expansion, Places, ends_at
from mailframe.accounts.file_checker import FileChecker
from mailframe.accounts.names import account_key, domain_key, split_account
from mailframe.core.address import Address, literal_ip
from mailframe.core.resolution import Elsewhere, Expanded, Resolution
from mailframe.interfaces import IRecipientResolver
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.remembered import Found, Remembered


@implementer(IRecipientResolver)
class DirectoryResolver:
    """
    hostname
        Of this server. Its role addresses take mail even when it is no mail domain.
    own_addresses
        IP addresses of this host: ``[192.0.2.1]`` in an address then means ``hostname``.
    postmaster
        Who gets mail to role names that nobody set up; None: the domain's eldest user.
    separator
        Between a user's name and the detail of a plus-address; empty: no such addresses.
    """

    log = Logger()

    def __init__(
        self,
        directory: Directory,
        files: Sequence[FileChecker] = (),
        *,
        hostname: str,
        own_addresses: Collection[str] = (),
        postmaster: Address | None = None,
        separator: str = "+",
    ) -> None:
        self._directory = directory
        self._files = files
        self._hostname = domain_key(hostname)
        self._own_addresses = frozenset(map(ipaddress.ip_address, own_addresses))
        self._postmaster = postmaster
        self._separator = separator
        self._known: tuple[list[frozenset[str]], Remembered[Address, Resolution]] | None = None
        self._names = directory.remembering(_look_for_name)

    def resolve(self, address: Address) -> Deferred[Resolution]:
        return as_deferred(self._resolve(address))

    async def _resolve(self, address: Address) -> Resolution:
        named = self._with_name(address)
        if named is None:
            return Elsewhere()
        answers = await self._answers()
        return await answers.ask(named, wider=named.domain)

    def _look(
        self, places: Places, connection: sqlite3.Connection, address: Address
    ) -> Found[Resolution]:
        """On a reader's thread."""
        expansion = Expansion(connection, places)
        resolution = expansion.resolve(address)
        if isinstance(resolution, Elsewhere):
            return Found(resolution, address.domain, is_named=False)
        if expansion.dead:  # said again when the directory has changed, not for every message
            self.log.warn(
                "{address} names targets that take no mail: {dead}",
                address=str(address),
                dead=expansion.dead,
            )
        # A name can be spelt in many ways, of which strangers choose.
        is_canonical = account_key(address) == f"{address.local_part}@{address.domain}"
        is_named = expansion.is_named and is_canonical
        return Found(resolution, address, is_named, size=_size(resolution))

    def _with_name(self, address: Address) -> Address | None:
        """The address at a domain name; None for the literal of another host."""
        if not address.domain:  # RFC 5321 section 4.1.1.3: <postmaster>
            return Address(address.local_part, self._hostname)
        if not address.is_literal:
            return address
        ip = literal_ip(address.domain)
        if ip is None or ipaddress.ip_address(ip) not in self._own_addresses:
            return None
        return Address(address.local_part, self._hostname)

    async def _answers(self) -> Remembered[Address, Resolution]:
        """Begun anew only when a file has changed: it may hold many thousand users."""
        accounts = [await checker.accounts() for checker in self._files]
        if self._known is None or self._known[0] != accounts:
            users = frozenset[str]().union(*accounts)
            places = Places(
                separator=self._separator,
                other_users=users,
                other_domains=frozenset(split_account(name)[1] for name in users),
                postmaster=self._postmaster,
                hostname=self._hostname,
            )
            answers = self._directory.remembering(partial(self._look, places))
            self._known = (accounts, answers)
        return self._known[1]

    async def names(self, address: Address) -> bool:
        """Whether somebody set up exactly that address (canonical): an alias, a user, a forwarding
        address. False for what a catch-all or the postmaster takes."""
        if await self._names.ask(address):
            return True
        key = f"{address.local_part}@{address.domain}"
        return any([key in await checker.accounts() for checker in self._files])

    async def owns(self, account: str, address: Address) -> bool:
        """Whether mail from ``address`` may be written by ``account``: its own address, with
        a detail too, and aliases (not lists) that end at it."""
        return ends_at(account, await self._resolve(address))


def _look_for_name(connection: sqlite3.Connection, address: Address) -> Found[bool]:
    """On a reader's thread."""
    is_named = Expansion(connection, Places()).has(address)
    return Found(is_named, address, is_named)


def _size(resolution: Resolution) -> int:
    """In places of a memory."""
    return 1 + len(resolution.targets) if isinstance(resolution, Expanded) else 1
