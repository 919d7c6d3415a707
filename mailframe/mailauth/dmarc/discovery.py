"""From a domain to the record that counts, and to its organizational domain.

The record is found as RFC 9989 section 4.10 has it: at the author's domain, else at the
organizational domain that the tree walk yields, else at the public suffix above it.

The organizational domain, by which identifiers are aligned, is decided by two sources:

- Where the walk meets ``psd=n`` or ``psd=y``, that decides. Somebody said it on purpose.
- Where it does not, the public suffix list decides, as RFC 7489 section 3.2 had it. RFC 9989 would
  take the shortest name with a record. Nearly all records were written for the list: a domain that
  publishes one at ``news.example.org`` only, and signs as ``example.org``, would lose its mail; and
  a registry that publishes one without ``psd`` would make all its customers one organization, each
  able to speak for the others. Where the record stands at the registered domain, as most do, both
  say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.errors import NoSuchDomain
from mailframe.interfaces import IResolver
from mailframe.mailauth.dmarc.names import a_label, registered_domain
from mailframe.mailauth.dmarc.record import DmarcRecord, parse_record

# RFC 9989 section 4.10: eight queries, whatever the number of labels
_MOST_LABELS = 8


@dataclass(frozen=True, slots=True)
class Walk:
    """The records met from a domain up, by name, the longest name first."""

    domain: str
    records: tuple[tuple[str, DmarcRecord], ...] = ()

    @property
    def declared(self) -> str:
        """The organizational domain by ``psd`` tags (RFC 9989 section 4.10.2, rules 1 and 2);
        empty where there is none."""
        for name, record in self.records:
            if record.psd == "n":
                return name
            if record.psd == "y" and name != self.domain:
                return _one_below(self.domain, name)
        return ""

    @property
    def shortest(self) -> str:
        """Rule 3; the domain itself where no record was met."""
        return self.records[-1][0] if self.records else self.domain

    @property
    def organization(self) -> str:
        """See the module."""
        return self.declared or registered_domain(self.domain)

    def applicable(self) -> tuple[str, DmarcRecord] | None:
        """Where the record stands that counts for the domain, and the record (section 4.10.1)."""
        found = dict(self.records)
        suffix = next((name for name, record in self.records if record.psd == "y"), "")
        for name in (self.domain, self.declared or self.shortest, suffix):
            if name in found:
                return name, found[name]
        return None


async def walk(resolver: IResolver, domain: str) -> Walk:
    """``domain`` in A-labels. Raises DnsTemporary."""
    records = []
    for name in _names(domain):
        record = await _record(resolver, name)
        if record is None:
            continue
        records.append((name, record))
        # RFC 9989 section 4.10, steps 2 and 6
        if record.psd == "n" or (record.psd == "y" and name != domain):
            break
    return Walk(domain, tuple(records))


async def organizational_domain(resolver: IResolver, domain: str) -> str:
    """The name that stands for all of an organization's; empty for what is no domain name.
    Raises DnsTemporary."""
    name = a_label(domain)
    return (await walk(resolver, name)).organization if name else ""


async def exists(resolver: IResolver, domain: str) -> bool:
    """RFC 9989 section 3.2: no address and no mail exchanger, and it is held for nonexistent.
    Raises DnsTemporary."""
    for ask in (resolver.ipv4, resolver.ipv6, resolver.mx):
        try:
            if await ask(domain):
                return True
        except NoSuchDomain:
            return False
    return False


def _names(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    yield domain
    # RFC 9989 section 4.10, step 3
    start = 1 if len(labels) < _MOST_LABELS else len(labels) - _MOST_LABELS + 1
    for first in range(start, len(labels)):
        yield ".".join(labels[first:])


async def _record(resolver: IResolver, name: str) -> DmarcRecord | None:
    try:
        texts = await resolver.txt(f"_dmarc.{name}")
    except NoSuchDomain:
        return None
    found = [record for text in texts if (record := parse_record(text)) is not None]
    # RFC 9989 section 4.10: of several records none counts
    return found[0] if len(found) == 1 else None


def _one_below(domain: str, above: str) -> str:
    rest = domain[: -len(above) - 1]
    return f"{rest.rpartition('.')[2]}.{above}"
