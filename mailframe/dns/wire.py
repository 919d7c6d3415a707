"""One DNS query and what its answer means, as values. No I/O.

dnspython does the encoding. What is decided here: whether a datagram answers our question
at all, and what it then says: records, a CNAME to follow, no such data, no such name, or
that the server is of no help.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from mailframe.dns.cache import MAX_NEGATIVE_TTL, MAX_TTL

# DNS flag day 2020: answers up to this size cross every network unfragmented.
EDNS_PAYLOAD = 1232


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
    """Rdata objects of dnspython."""
    target: str = ""
    """ALIAS: the canonical name to ask for next."""
    ttl: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """``name`` in A-labels without the final dot, ``rdtype`` a number of dnspython."""

    name: str
    rdtype: int
    id: int
    edns: bool = True

    def encode(self) -> bytes:
        query = dns.message.make_query(
            self.name + ".",
            dns.rdatatype.RdataType.make(self.rdtype),
            use_edns=0 if self.edns else False,
            payload=EDNS_PAYLOAD if self.edns else None,
            id=self.id,
        )
        return query.to_wire()

    def read(self, wire: bytes) -> Answer | None:
        """What ``wire`` answers to this question; None where it is no answer to it."""
        truncated = False
        try:
            message = dns.message.from_wire(wire, ignore_trailing=True, raise_on_truncation=True)
        except dns.message.Truncated as error:
            message = error.message()  # type: ignore[no-untyped-call]
            truncated = True
        except (dns.exception.DNSException, ValueError, struct.error):
            return None
        if not self._is_answered_by(message):
            return None
        return Answer(Meaning.TRUNCATED) if truncated else self._judge(message)

    def _is_answered_by(self, message: dns.message.Message) -> bool:
        # RFC 5452 section 9.1: id and question must match.
        if message.id != self.id or not message.flags & dns.flags.QR:
            return False
        if message.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP) and not message.question:
            return True  # a server that could not even read the question
        if len(message.question) != 1:
            return False
        asked = message.question[0]
        return (
            asked.name == dns.name.from_text(self.name + ".")
            and asked.rdtype == self.rdtype
            and asked.rdclass == dns.rdataclass.IN
        )

    def _judge(self, message: dns.message.Message) -> Answer:
        rcode = message.rcode()
        # RFC 6891 section 7
        if rcode in (dns.rcode.FORMERR, dns.rcode.NOTIMP) and self.edns:
            return Answer(Meaning.NO_EDNS)
        if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Answer(Meaning.UNUSABLE, why=dns.rcode.to_text(rcode))
        return self._follow(message, rcode == dns.rcode.NXDOMAIN)

    def _follow(self, message: dns.message.Message, no_name: bool) -> Answer:
        """Walk the CNAMEs inside the message to the end."""
        start = name = dns.name.from_text(self.name + ".")
        seen: set[dns.name.Name] = set()
        ttl = float(MAX_TTL)
        while name not in seen:
            seen.add(name)
            if found := _find(message, name, self.rdtype):
                return Answer(Meaning.RECORDS, tuple(found), ttl=min(ttl, found.ttl))
            alias = _find(message, name, dns.rdatatype.CNAME)
            if not alias:
                break
            ttl = min(ttl, alias.ttl)
            name = alias[0].target
        else:
            return Answer(Meaning.UNUSABLE, why="aliases in a circle")
        if no_name:
            return Answer(Meaning.NO_NAME, ttl=_negative_ttl(message, ttl))
        if name != start:
            target = name.to_text(omit_final_dot=True)
            return Answer(Meaning.ALIAS, target=target, ttl=ttl)
        return _no_data(message, ttl)


def _find(message: dns.message.Message, name: dns.name.Name, rdtype: int) -> dns.rrset.RRset | None:
    for rrset in message.answer:
        if rrset.name == name and rrset.rdtype == rdtype and rrset.rdclass == dns.rdataclass.IN:
            return rrset
    return None


def _no_data(message: dns.message.Message, ttl: float) -> Answer:
    kinds = {rrset.rdtype for rrset in message.authority}
    if dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds:
        # RFC 2308 section 2.2: a referral; this server will not look further for us.
        return Answer(Meaning.UNUSABLE, why="the server refers elsewhere, it is no resolver")
    return Answer(Meaning.NO_DATA, ttl=_negative_ttl(message, ttl))


def _negative_ttl(message: dns.message.Message, ttl: float) -> float:
    # RFC 2308 section 5: the smaller of the SOA's TTL and MINIMUM; without a SOA not cached.
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            return float(min(ttl, rrset.ttl, rrset[0].minimum, MAX_NEGATIVE_TTL))
    return 0.0
