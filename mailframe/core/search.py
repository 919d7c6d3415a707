"""What is searched for, in which order, and what comes out: RFC 9051 6.4.4, RFC 5256.

A key is a tree of frozen values without anything of one session in it: sequence numbers,
``$`` and ``\\Recent`` have become uids before a key is made. Texts are as the client meant
them, decoded; whoever evaluates folds case and accents.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of its keys match."""

    keys: tuple[SearchKey, ...]
    """Any number."""


@dataclass(frozen=True, slots=True)
class Or:
    """One of the two matches, or both."""

    left: SearchKey
    """One of them."""
    right: SearchKey
    """The other."""


@dataclass(frozen=True, slots=True)
class Not:
    """Its key does not match."""

    key: SearchKey
    """That must not match."""


@dataclass(frozen=True, slots=True)
class UidIn:
    """Inclusive ranges, ascending, that do not touch; none: nothing matches."""

    ranges: tuple[tuple[int, int], ...]
    """First and last uid of each."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    """The flag or keyword is set."""

    flag: str
    """In either case."""


@dataclass(frozen=True, slots=True)
class Header:
    """A field whose decoded text contains ``value``; empty: any field of that name."""

    name: str
    """In lower case. FROM, TO, CC, BCC and SUBJECT of IMAP are the fields of these names."""
    value: str
    """What it contains, case and accents disregarded."""


@dataclass(frozen=True, slots=True)
class Body:
    """In the decoded text of the body's text parts (attached messages' included)."""

    value: str
    """What it contains, case and accents disregarded."""


@dataclass(frozen=True, slots=True)
class Text:
    """In a header field or in the body."""

    value: str
    """What one of them contains, case and accents disregarded."""


class When(enum.Enum):
    """How a date compares with a day."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


class DateOf(enum.Enum):
    """Which date of a message is meant."""

    RECEIVED = "received"
    """INTERNALDATE; days are those of UTC."""
    SENT = "sent"
    """The Date field, its day as written there, the zone disregarded."""
    SAVED = "saved"
    """When it came into this folder (RFC 8514); days are those of UTC."""


@dataclass(frozen=True, slots=True)
class Dated:
    """A date of the message is before, on, or not before a day."""

    what: DateOf
    """Which date."""
    when: When
    """How it compares."""
    day: datetime.date
    """The day, without a zone."""


@dataclass(frozen=True, slots=True)
class Received:
    """WITHIN (RFC 5032), made absolute: INTERNALDATE in seconds since the epoch."""

    before: float | None = None
    """Earlier than this; None: whenever."""
    since: float | None = None
    """Not earlier than this; None: whenever."""


@dataclass(frozen=True, slots=True)
class Larger:
    """Of more octets in wire format than that."""

    octets: int
    """A message of exactly that size does not match."""


@dataclass(frozen=True, slots=True)
class Smaller:
    """Of fewer octets in wire format than that."""

    octets: int
    """A message of exactly that size does not match."""


@dataclass(frozen=True, slots=True)
class ModifiedSince:
    """MODSEQ: mod-sequence at least this."""

    modseq: int
    """Of the last change of the message."""


@dataclass(frozen=True, slots=True)
class EmailId:
    """The message has that EMAILID (RFC 8474)."""

    value: str
    """As ``MessageFacts.email_id``."""


@dataclass(frozen=True, slots=True)
class ThreadId:
    """The message has that THREADID (RFC 8474)."""

    value: str
    """As ``MessageFacts.thread_id``."""


SearchKey = (
    All
    | And
    | Or
    | Not
    | UidIn
    | HasFlag
    | Header
    | Body
    | Text
    | Dated
    | Received
    | Larger
    | Smaller
    | ModifiedSince
    | EmailId
    | ThreadId
)
"""Anything that can be searched for."""


class SortBy(enum.Enum):
    """RFC 5256 section 3; the last two RFC 5957."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"


@dataclass(frozen=True, slots=True)
class SortCriterion:
    """One of the things that are sorted by, the most important first."""

    by: SortBy
    """What of a message is compared."""
    reverse: bool = False
    """The greatest first."""


class ThreadAlgorithm(enum.Enum):
    """How messages are put together (RFC 5256 section 3; REFS: draft-ietf-morg-inthread)."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
    REFS = "REFS"


@dataclass(frozen=True, slots=True)
class ThreadNode:
    """A message and those that answer it."""

    uid: int | None
    """None: a message that is not there, or is not among those searched."""
    children: Sequence[ThreadNode] = ()
    """Answers, in the order of the algorithm."""
