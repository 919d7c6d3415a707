"""Block and allow lists as the configuration names them, and how they are asked.

``zone[=filter][*weight]``: ``zen.example``, ``zen.example=127.0.0.[2..11]*3``. A filter is an
IPv4 address whose parts may be alternatives, ``[2..4;10]``; several filters are separated by
``;``, and an answer that matches none of them counts nothing. Without a filter every answer of a
list counts. A weight below zero makes an allow list. Nothing is looked up in here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from mailframe.core.address import AddressError, normal_domain
from mailframe.core.ip import IPAddress

_ENTRY = re.compile(r"(?P<zone>[^=*\s]+)(?:=(?P<filter>[^*\s]+))?(?:\*(?P<weight>\S+))?")
_WEIGHT = re.compile(r"[+-]?\d{1,4}(?:\.\d{1,4})?", re.ASCII)
_BETWEEN_FILTERS = re.compile(r";(?![^\[]*\])")
_PART = re.compile(r"\[([^\[\]]*)\]|(\d+)", re.ASCII)
_RANGE = re.compile(r"(\d{1,3})(?:\.\.(\d{1,3}))?", re.ASCII)
# What RFC 5782 section 2.1 says of answers, and the part of it in which operators say that they
# refuse to answer: a public resolver, too many queries, a wrong zone.
_ANSWERS = ipaddress.IPv4Network("127.0.0.0/8")
_REFUSALS = ipaddress.IPv4Network("127.255.255.0/24")

Filter = tuple[frozenset[int], ...]
"""The values that each of the four parts may have."""


@dataclass(frozen=True, slots=True)
class DnsList:
    """One entry of ``lists`` or ``domain_lists``."""

    zone: str
    filters: tuple[Filter, ...] = ()
    """Empty: every answer counts."""
    weight: float = 1.0

    @property
    def is_allowing(self) -> bool:
        return self.weight < 0

    @property
    def symbol(self) -> str:
        """``DNSBL:zen.example``, ``DNSWL:`` of an allow list."""
        return f"{'DNSWL' if self.is_allowing else 'DNSBL'}:{self.zone}"

    def counts(self, answer: str) -> bool:
        """Whether this answer, one that ``is_answer``, is of those that count."""
        if not self.filters:
            return True
        parts = [int(part) for part in answer.split(".")]
        return any(
            all(part in allowed for part, allowed in zip(parts, each, strict=True))
            for each in self.filters
        )


def parse_list(text: str) -> DnsList:
    """Raises ValueError with what is wrong."""
    match = _ENTRY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not of the form zone[=filter][*weight]")
    try:
        zone = normal_domain(match["zone"].rstrip("."))
    except AddressError as error:
        raise ValueError(f"{match['zone']!r} is no DNS zone: {error}") from None
    if zone.startswith("[") or _is_address(zone):
        raise ValueError(f"{zone!r} is an address, not the zone of a list")
    filters = tuple(_filter(each) for each in _BETWEEN_FILTERS.split(match["filter"] or "") if each)
    if match["filter"] and not filters:
        raise ValueError(f"the filter {match['filter']!r} is empty")
    return DnsList(zone, filters, _weight(match["weight"]))


def _weight(text: str | None) -> float:
    if text is None:
        return 1.0
    if not _WEIGHT.fullmatch(text):
        raise ValueError(f"the weight {text!r} is no number between -9999 and 9999")
    weight = float(text)
    if not weight:
        raise ValueError("a weight of 0 would count nothing")
    return weight


def _filter(text: str) -> Filter:
    parts: list[frozenset[int]] = []
    at = 0
    while match := _PART.match(text, at):
        parts.append(_alternatives(match[1] if match[2] is None else match[2], text))
        at = match.end()
        if len(parts) == 4 or text[at : at + 1] != ".":
            break
        at += 1
    if len(parts) != 4 or at != len(text):
        raise ValueError(f"the filter {text!r} is not like 127.0.0.2 or 127.0.0.[2..11]")
    if 127 not in parts[0]:
        # RFC 5782 section 2.1: the answers are of 127/8, so this would never match
        raise ValueError(f"the filter {text!r} matches no answer of a list, which begin with 127")
    return tuple(parts)


def _alternatives(text: str, whole: str) -> frozenset[int]:
    values: set[int] = set()
    for piece in text.split(";"):
        match = _RANGE.fullmatch(piece)
        if match is None:
            raise ValueError(f"{piece!r} in the filter {whole!r} is no number and no range")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= 255:
            raise ValueError(f"{piece!r} in the filter {whole!r} is no range within 0..255")
        values.update(range(first, last + 1))
    return frozenset(values)


def is_answer(answer: str) -> bool:
    """Whether an A record says "listed": neither somebody's web server, which a dead zone or a
    helpful resolver points everything to, nor the operator's refusal to answer."""
    try:
        address = ipaddress.IPv4Address(answer)
    except ValueError:
        return False
    return address in _ANSWERS and address not in _REFUSALS


def reversed_ip(address: IPAddress) -> str:
    """What stands before the zone: octets (RFC 5782 section 2.1) or nibbles (section 2.4)."""
    # 4.3.2.1.in-addr.arpa, without the last two labels
    return address.reverse_pointer.rsplit(".", 2)[0]


def as_domain(text: str) -> str:
    """A name to ask domain lists about; empty for what is none: an address, which lists of
    domains answer with an error code, a single label, no name at all."""
    try:
        name = normal_domain(text.rstrip("."))
    except AddressError:
        return ""
    return "" if name.startswith("[") or "." not in name or _is_address(name) else name


def _is_address(name: str) -> bool:
    # a name whose last label is a number is an address, or meant to be one
    return name.rpartition(".")[2].isdigit()
