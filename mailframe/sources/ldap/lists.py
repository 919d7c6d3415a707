"""Members of a list: from the names in a group's entry to addresses.

A member is the name of an entry, which may be a group again; or the name of a user; or an
address. In Active Directory one search finds all of them, groups within groups included. A list
with more members than the configuration allows, or deeper groups, is TooMuch: mail for it waits,
it does not go to some of them. A member that has no address, or is not there, gets nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sansldap import FilterPresent, LDAPFilter, SearchScope
from twisted.internet.defer import FirstError, gatherResults

from mailframe.core.address import Address
from mailframe.runtime.aio import as_deferred
from mailframe.sources.ldap.active_directory import IN_CHAIN
from mailframe.sources.ldap.connection import LdapConnection
from mailframe.sources.ldap.errors import Refused, TooMuch
from mailframe.sources.ldap.reading import Reading
from mailframe.sources.ldap.settings import LdapSettings
from mailframe.sources.ldap.templates import Blanks, equals
from mailframe.sources.ldap.wire import Code, Found, Query

_AT_ONCE = 20  # searches under way on one connection
_NAME = re.compile(r"\s*[A-Za-z][A-Za-z0-9-]*\s*=|\s*[0-9]+(\.[0-9]+)+\s*=", re.ASCII)
_NOBODY = {Code.NO_SUCH_OBJECT, Code.INVALID_DN_SYNTAX}
_ANYBODY = FilterPresent("objectClass")


class Lists:
    def __init__(self, settings: LdapSettings, reading: Reading) -> None:
        self._settings = settings
        self._reading = reading
        names = settings.attributes
        wanted = (*names.account, *names.addresses, *names.members)
        self.attributes = tuple(dict.fromkeys(("objectclass", *wanted)))

    async def members(self, connection: LdapConnection, found: Found) -> tuple[Address, ...]:
        """Raises TooMuch, and what the connection raises."""
        if self._settings.is_active_directory:
            addresses = await self._in_chain(connection, found.dn)
        else:
            addresses = await self._one_by_one(connection, found)
        return tuple(dict.fromkeys(addresses))

    async def _in_chain(self, connection: LdapConnection, dn: str) -> list[Address]:
        settings = self._settings
        chain = equals(f"memberOf:{IN_CHAIN}:", dn)
        people = await connection.search(
            Query(
                base=settings.base,
                filter=LDAPFilter.from_string(f"(&{chain}(!(objectClass=group)))"),
                attributes=self.attributes,
                most=settings.most_members,
                page=settings.page,
            )
        )
        return [one for found in people for one in self._address(found)]

    def _address(self, found: Found) -> Iterable[Address]:
        """One of a person's, or none: where they get their mail here, or else elsewhere."""
        own = self._reading.address(found)
        if own is not None:
            return [own]
        return list(self._reading.addresses(found, self._settings.attributes.addresses))[:1]

    async def _one_by_one(self, connection: LdapConnection, found: Found) -> list[Address]:
        settings = self._settings
        addresses: list[Address] = []
        seen = {_key(found.dn)}
        names, depth = self._names(found, addresses, seen), 1
        while names:
            if depth > settings.most_depth:
                raise TooMuch(f"groups within groups, deeper than {settings.most_depth}")
            if len(seen) + len(addresses) > settings.most_members + 1:
                raise TooMuch(f"more than {settings.most_members} members")
            inner: list[str] = []
            for member in await self._look_up(connection, names):
                if self.is_group(member):
                    inner += self._names(member, addresses, seen)
                else:
                    addresses += self._address(member)
            names, depth = inner, depth + 1
        if len(addresses) > settings.most_members:
            raise TooMuch(f"more than {settings.most_members} members")
        return addresses

    def _names(self, found: Found, addresses: list[Address], seen: set[str]) -> list[str]:
        """Members to be looked up, each once; those that are addresses join ``addresses``."""
        names = []
        for value in found.texts(*self._settings.attributes.members):
            if not _NAME.match(value) and "@" in value:
                address = self._reading.address_of(value)
                addresses += [address] if address is not None else []
            elif _key(value) not in seen:
                seen.add(_key(value))
                names.append(value)
        return names

    def is_group(self, found: Found) -> bool:
        """Whether it has members."""
        return any(True for _ in found.texts(*self._settings.attributes.members))

    async def _look_up(self, connection: LdapConnection, names: Sequence[str]) -> list[Found]:
        found: list[Found] = []
        for start in range(0, len(names), _AT_ONCE):
            some = [
                as_deferred(self._member(connection, name)) for name in names[start:][:_AT_ONCE]
            ]
            try:
                gathered: Any = await gatherResults(some, consumeErrors=True)
            except FirstError as error:
                error.subFailure.raiseException()
            found += [one for answer in gathered for one in answer]
        return found

    async def _member(self, connection: LdapConnection, name: str) -> list[Found]:
        try:
            if _NAME.match(name):
                return await connection.search(
                    Query(name, _ANYBODY, self.attributes, SearchScope.BASE)
                )
            by_name = self._settings.name_filter
            filter = by_name.filled(Blanks(name, name)) if by_name is not None else None
            if filter is None:
                return []
            settings = self._settings
            return await connection.search(
                Query(settings.base, filter, self.attributes, settings.scope)
            )
        except Refused as error:
            if error.outcome.code in _NOBODY:
                return []
            raise


def _key(name: str) -> str:
    """Of a name, for not asking twice; that two spellings of one are two does no harm."""
    return re.sub(r"\s*([,=+])\s*", r"\1", name.strip()).casefold()
