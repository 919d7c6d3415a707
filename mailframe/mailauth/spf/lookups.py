"""The DNS as one SPF check may use it: counted, and with errors as results.

RFC 7208 section 4.6.4. A name that cannot be asked for (a label of no or too many octets) is
answered as one that does not exist, and costs nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailframe.core.authentication import Result
from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost

T = TypeVar("T")
IP = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_TERMS = 10
MAX_VOID = 2
MAX_NAMES = 10
"""Of an MX or a PTR answer."""
MAX_OCTETS = 32_768
"""Of all the SPF records of one check: our own limit."""


class SpfError(Exception):
    """The check ends here, with TEMPERROR or PERMERROR."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


def permanent(reason: str) -> SpfError:
    return SpfError(Result.PERMERROR, reason)


class Lookups:
    """All lookups of one check, for the client at ``ip``. Every method may raise SpfError."""

    def __init__(self, resolver: IResolver, ip: IP) -> None:
        self._resolver = resolver
        self.ip = ip
        self._terms = 0
        self._voids = 0
        self._octets = 0
        self._names: tuple[str, ...] | None = None

    def count_term(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise permanent(f"more than {MAX_TERMS} terms that ask the DNS")

    async def records(self, name: str) -> tuple[bytes, ...]:
        """TXT; not counted as void. Texts for others are not counted at all: a domain may have
        hundreds of them, and they cost nothing but the answer."""
        found = await _answer(self._resolver.txt, name)
        self._octets += sum(len(text) for text in found if text[:6].lower() == b"v=spf1")
        if self._octets > MAX_OCTETS:
            raise permanent(f"more than {MAX_OCTETS} octets of SPF records")
        return found

    async def ipv4(self, name: str) -> tuple[IP, ...]:
        return self._counted(name, await self._addresses(self._resolver.ipv4, name))

    async def same_version(self, name: str) -> tuple[IP, ...]:
        """A records for a client of IPv4, AAAA for one of IPv6."""
        return self._counted(name, await self._of_version(name))

    async def exchanges(self, name: str) -> tuple[str, ...]:
        hosts: tuple[MxHost, ...] = self._counted(name, await _answer(self._resolver.mx, name))
        if len(hosts) > MAX_NAMES:
            raise permanent(f"{name} has more than {MAX_NAMES} MX records")
        return tuple(mx.host for mx in sorted(hosts))

    async def host_addresses(self, host: str) -> tuple[IP, ...]:
        """Of a mail exchange: their number is the limit, none of them counts as void."""
        return await self._of_version(host)

    async def validated_names(self) -> tuple[str, ...]:
        """Names of the client that lead back to it (section 5.5); errors are no names."""
        if self._names is None:
            self._names = tuple(await self._validate())
        return self._names

    async def _validate(self) -> list[str]:
        try:
            names = await _answer(self._resolver.ptr, str(self.ip))
        except SpfError:
            return []
        self._counted(str(self.ip), names)
        validated = []
        # section 4.6.4: of more names only the first ten are used
        for name in names[:MAX_NAMES]:
            try:
                addresses = await self._of_version(name)
            except SpfError:
                continue
            if self.ip in addresses:
                validated.append(name.rstrip(".").lower())
        return validated

    async def _of_version(self, name: str) -> tuple[IP, ...]:
        lookup = self._resolver.ipv4 if self.ip.version == 4 else self._resolver.ipv6
        return await self._addresses(lookup, name)

    async def _addresses(
        self, lookup: Callable[[str], Awaitable[tuple[str, ...]]], name: str
    ) -> tuple[IP, ...]:
        return tuple(ipaddress.ip_address(text) for text in await _answer(lookup, name))

    def _counted(self, name: str, found: tuple[T, ...]) -> tuple[T, ...]:
        if not found and is_askable(name):
            self._voids += 1
            if self._voids > MAX_VOID:
                raise permanent(f"more than {MAX_VOID} lookups that found nothing")
        return found


async def _answer(lookup: Callable[[str], Awaitable[tuple[T, ...]]], name: str) -> tuple[T, ...]:
    if not is_askable(name):
        return ()
    try:
        return await lookup(name)
    except NoSuchDomain:
        return ()
    except DnsTemporary as error:
        raise SpfError(Result.TEMPERROR, str(error)) from error


def is_askable(name: str) -> bool:
    """RFC 1035 section 2.3.4; RFC 8616 section 4: what is not ASCII matches nothing."""
    text = name.removesuffix(".")
    return (
        name.isascii()
        and len(text) <= 253
        and all(0 < len(label) <= 63 for label in text.split("."))
    )
