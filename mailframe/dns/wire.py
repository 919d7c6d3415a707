"""One DNS query and what its answer means, as values. No I/O.

What is decided here: whether a datagram answers our question at all, and what it then says:
records, a CNAME to follow, no such data, no such name, or that the server is of no help.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mailframe.dns.cache import MAX_NEGATIVE_TTL, MAX_TTL
from mailframe.dns.message import (
    CNAME,
    IN,
    NS,
    OPT,
    SOA,
    Header,
    Malformed,
    Name,
    Reader,
    Record,
    as_text,
    read_header,
)

# DNS flag day 2020: answers up to this size cross every network unfragmented.
EDNS_PAYLOAD = 1232

_RECURSION_DESIRED = 0x0100
_TRUNCATED = 0x0200
_RESPONSE = 0x8000
_NOERROR, _FORMERR, _NXDOMAIN, _NOTIMP = 0, 1, 3, 4
# RFC 1035 section 4.1.1
_RCODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}


class Meaning(enum.Enum):
    RECORDS = "records"
    ALIAS = "alias"
    NO_DATA = "no data"
    NO_NAME = "no such name"
    TRUNCATED = "truncated"
    NO_EDNS = "the server does not know EDNS"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class Answer:
    meaning: Meaning
    records: tuple[Any, ...] = ()
    """Values as of ``message.Record``."""
    target: str = ""
    """ALIAS: the canonical name to ask for next."""
    ttl: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """``name`` in A-labels without the final dot, as ``names`` lets through; ``rdtype`` a number
    of ``message``."""

    name: str
    rdtype: int
    id: int
    edns: bool = True

    def encode(self) -> bytes:
        header = struct.pack("!HHHHHH", self.id, _RECURSION_DESIRED, 1, 0, 0, int(self.edns))
        name = b"".join(bytes([len(label)]) + label for label in self._labels()) + b"\0"
        question = name + struct.pack("!HH", self.rdtype, IN)
        # RFC 6891 section 6.1.2
        edns = struct.pack("!BHHIH", 0, OPT, EDNS_PAYLOAD, 0, 0) if self.edns else b""
        return header + question + edns

    def _labels(self) -> Name:
        return tuple(label.encode("ascii") for label in self.name.split("."))

    def read(self, wire: bytes) -> Answer | None:
        """What ``wire`` answers to this question; None where it is no answer to it."""
        try:
            header = read_header(wire)
            # RFC 5452 section 9.1: id and question must match; first what is cheap
            if header.id != self.id or not header.flags & _RESPONSE:
                return None
            reader = Reader(wire, header)
            if not self._is_asked(header, reader):
                return None
            if header.flags & _TRUNCATED:
                return Answer(Meaning.TRUNCATED)
            return self._judge(header, reader)
        except Malformed:
            return None

    def _is_asked(self, header: Header, reader: Reader) -> bool:
        questions = header.counts[0]
        if not questions and header.flags & 0xF in (_FORMERR, _NOTIMP):
            return True  # a server that could not even read the question
        lower = tuple(label.lower() for label in self._labels())
        return questions == 1 and reader.question() == (lower, self.rdtype, IN)

    def _judge(self, header: Header, reader: Reader) -> Answer:
        _, answers, authorities, additional = header.counts
        found = list(reader.section(answers, frozenset((self.rdtype, CNAME))))
        authority = list(reader.section(authorities, frozenset((SOA, NS))))
        rcode = header.flags & 0xF
        for opt in reader.section(additional, frozenset((OPT,))):
            rcode |= opt.ttl >> 24 << 4  # RFC 6891 section 6.1.3
        # RFC 6891 section 7
        if rcode in (_FORMERR, _NOTIMP) and self.edns:
            return Answer(Meaning.NO_EDNS)
        if rcode not in (_NOERROR, _NXDOMAIN):
            return Answer(Meaning.UNUSABLE, why=_RCODES.get(rcode, f"RCODE {rcode}"))
        return self._follow(found, authority, rcode == _NXDOMAIN)

    def _follow(self, found: Sequence[Record], authority: Sequence[Record], gone: bool) -> Answer:
        """Walk the CNAMEs inside the message to the end."""
        records: dict[Name, list[Record]] = {}
        aliases: dict[Name, Record] = {}
        for record in found:
            if record.type == self.rdtype:
                records.setdefault(record.owner, []).append(record)
            else:
                aliases.setdefault(record.owner, record)
        start = name = tuple(label.lower() for label in self._labels())
        seen: set[Name] = set()
        ttl = float(MAX_TTL)
        while name not in seen:
            seen.add(name)
            if here := records.get(name):
                ttl = min(ttl, *(record.ttl for record in here))
                # a set (RFC 2181 section 5), in the order it came in
                return Answer(Meaning.RECORDS, tuple(dict.fromkeys(r.value for r in here)), ttl=ttl)
            if name not in aliases:
                break
            ttl = min(ttl, aliases[name].ttl)
            name = aliases[name].value
        else:
            return Answer(Meaning.UNUSABLE, why="aliases in a circle")
        if gone:
            return Answer(Meaning.NO_NAME, ttl=_negative_ttl(authority, ttl))
        if name != start:
            return Answer(Meaning.ALIAS, target=as_text(name), ttl=ttl)
        return _no_data(authority, ttl)


def _no_data(authority: Sequence[Record], ttl: float) -> Answer:
    kinds = {record.type for record in authority}
    if NS in kinds and SOA not in kinds:
        # RFC 2308 section 2.2: a referral; this server will not look further for us.
        return Answer(Meaning.UNUSABLE, why="the server refers elsewhere, it is no resolver")
    return Answer(Meaning.NO_DATA, ttl=_negative_ttl(authority, ttl))


def _negative_ttl(authority: Sequence[Record], ttl: float) -> float:
    # RFC 2308 section 5: the smaller of the SOA's TTL and MINIMUM; without a SOA not cached.
    for record in authority:
        if record.type == SOA:
            return float(min(ttl, record.ttl, record.value, MAX_NEGATIVE_TTL))
    return 0.0
