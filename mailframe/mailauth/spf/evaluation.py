"""check_host: the terms of a record, one after the other, until one of them matches.

RFC 7208 sections 4 to 7. One ``Evaluation`` is one check with all the records it leads to; it
keeps no time, ``check`` does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailframe.core.authentication import Result
from mailframe.mailauth.spf.lookups import IP, Lookups, SpfError, permanent
from mailframe.mailauth.spf.macros import (
    MacroString,
    SpfSyntaxError,
    expand,
    letters,
    parse_macro_string,
)
from mailframe.mailauth.spf.record import Mechanism, Record, is_spf, parse_record

_MAX_NAME = 253
_MAX_EXPLANATION = 4_096  # octets of the text before its macros are filled in


@dataclass(frozen=True, slots=True)
class Facts:
    """What macros stand for (section 7.2), but for the domain, the time and the client's name."""

    ip: IP
    local_part: str
    sender_domain: str
    """In A-labels."""
    helo: str
    receiver: str
    now: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Decision:
    result: Result
    mechanism: str = ""
    explanation: MacroString | None = None
    domain: str = ""
    """Whose record decided."""


NO_RECORD = Decision(Result.NONE)


class Evaluation:
    def __init__(self, lookups: Lookups, facts: Facts) -> None:
        self._lookups = lookups
        self._facts = facts
        self._matches: dict[str, Callable[[Mechanism, str], Awaitable[bool]]] = {
            "all": self._all,
            "include": self._include,
            "a": self._a,
            "mx": self._mx,
            "ptr": self._ptr,
            "ip4": self._network,
            "ip6": self._network,
            "exists": self._exists,
        }

    async def check_host(self, domain: str) -> Decision:
        """Raises SpfError for temperror and permerror."""
        record = await self._record(domain)
        if record is None:
            return NO_RECORD
        for mechanism in record.mechanisms:
            if await self._matches[mechanism.kind](mechanism, domain):
                return Decision(mechanism.qualifier, mechanism.text, record.explanation, domain)
        if record.redirect is not None:
            return await self._redirect(record.redirect, domain)
        # section 4.7
        return Decision(Result.NEUTRAL, domain=domain)

    async def explain(self, decision: Decision) -> str:
        """The domain owner's words (section 6.2); empty where there are none. Errors are none."""
        if decision.explanation is None:
            return ""
        try:
            name = await self._expand(decision.explanation, decision.domain)
            texts = await self._lookups.records(name)
            # several, none, not ASCII or malformed: as if exp= were not there
            if len(texts) != 1 or not texts[0].isascii() or len(texts[0]) > _MAX_EXPLANATION:
                return ""
            string = parse_macro_string(texts[0].decode("ascii"), explanation=True)
            return expand(string, await self._values(string, decision.domain))
        except (SpfError, SpfSyntaxError):
            return ""

    async def _record(self, domain: str) -> Record | None:
        if not _is_checkable(domain):
            return None
        records = [text for text in await self._lookups.records(domain) if is_spf(text)]
        if not records:
            return None
        # section 4.5
        if len(records) > 1:
            raise permanent(f"{domain} has more than one SPF record")
        try:
            return parse_record(records[0])
        except SpfSyntaxError as error:
            raise permanent(f"{domain}: {error}") from error

    async def _redirect(self, redirect: MacroString, domain: str) -> Decision:
        self._lookups.count_term()
        target = await self._expand(redirect, domain)
        decision = await self.check_host(target)
        # section 6.1
        if decision.result is Result.NONE:
            raise permanent(f"redirect to {target}, which has no SPF record")
        return decision

    # the mechanisms of section 5

    async def _all(self, mechanism: Mechanism, domain: str) -> bool:
        return True

    async def _include(self, mechanism: Mechanism, domain: str) -> bool:
        self._lookups.count_term()
        target = await self._target(mechanism, domain)
        decision = await self.check_host(target)
        # section 5.2
        if decision.result is Result.NONE:
            raise permanent(f"{mechanism.text[:80]} includes {target}, which has no SPF record")
        return decision.result is Result.PASS

    async def _a(self, mechanism: Mechanism, domain: str) -> bool:
        self._lookups.count_term()
        target = await self._target(mechanism, domain)
        return self._is_among(await self._lookups.same_version(target), mechanism)

    async def _mx(self, mechanism: Mechanism, domain: str) -> bool:
        self._lookups.count_term()
        target = await self._target(mechanism, domain)
        for host in await self._lookups.exchanges(target):
            if self._is_among(await self._lookups.host_addresses(host), mechanism):
                return True
        return False

    async def _ptr(self, mechanism: Mechanism, domain: str) -> bool:
        self._lookups.count_term()
        target = (await self._target(mechanism, domain)).removesuffix(".").lower()
        return any(_is_within(name, target) for name in await self._lookups.validated_names())

    async def _network(self, mechanism: Mechanism, domain: str) -> bool:
        network = mechanism.network
        return network is not None and self._facts.ip in network

    async def _exists(self, mechanism: Mechanism, domain: str) -> bool:
        self._lookups.count_term()
        # section 5.7: A records, even where the client has an address of IPv6
        return bool(await self._lookups.ipv4(await self._target(mechanism, domain)))

    def _is_among(self, addresses: tuple[IP, ...], mechanism: Mechanism) -> bool:
        ip = self._facts.ip
        prefix = mechanism.prefix4 if ip.version == 4 else mechanism.prefix6
        shift = ip.max_prefixlen - prefix
        # int, since building networks of addresses is tens of times dearer
        return any(int(each) >> shift == int(ip) >> shift for each in addresses)

    # names and macros

    async def _target(self, mechanism: Mechanism, domain: str) -> str:
        if mechanism.target is None:
            return domain
        return await self._expand(mechanism.target, domain)

    async def _expand(self, string: MacroString, domain: str) -> str:
        expanded = expand(string, await self._values(string, domain))
        return _cut(expanded)

    async def _values(self, string: MacroString, domain: str) -> dict[str, str]:
        facts = self._facts
        is_ipv4 = facts.ip.version == 4
        values = {
            "s": f"{facts.local_part}@{facts.sender_domain}",
            "l": facts.local_part,
            "o": facts.sender_domain,
            "d": domain,
            "i": _dotted(facts.ip),
            "v": "in-addr" if is_ipv4 else "ip6",
            "h": facts.helo,
            "c": str(facts.ip),
            "r": facts.receiver or "unknown",
            "t": str(int(facts.now)),
        }
        # asked for only where it is wanted (section 7.3 discourages it)
        if "p" in letters(string):
            values["p"] = await self._client_name(domain)
        return values

    async def _client_name(self, domain: str) -> str:
        """Section 7.3: the domain itself, else a name below it, else any, else ``unknown``."""
        names = await self._lookups.validated_names()
        wanted = domain.lower()
        if wanted in names:
            return wanted
        below = [name for name in names if _is_within(name, wanted)]
        return next(iter((*below, *names)), "unknown")


def _is_checkable(domain: str) -> bool:
    """Section 4.3: a name of several labels, each of 1 to 63 octets."""
    labels = domain.removesuffix(".").split(".")
    return (
        len(labels) > 1
        and len(domain) <= _MAX_NAME + 1
        and domain.isascii()
        and not domain.startswith("[")
        and all(0 < len(label) <= 63 for label in labels)
    )


def _is_within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _cut(name: str) -> str:
    """Section 7.3: labels are taken off on the left until it is no longer than a name may be."""
    text = name.removesuffix(".")
    if len(text) <= _MAX_NAME:
        return text
    # not label by label: macros make names of a million octets and half as many labels
    _, dot, rest = text[-_MAX_NAME - 1 :].partition(".")
    return rest if dot else name  # a single label, which nobody can be asked about


def _dotted(ip: IP) -> str:
    """Section 7.3: ``%{i}``; nibbles of an address of IPv6, upper case as in section 7.4."""
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return ".".join(ip.exploded.replace(":", "").upper())
