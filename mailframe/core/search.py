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
    pass


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class Not:
    key: SearchKey


@dataclass(frozen=True, slots=True)
class UidIn:
    """Inclusive ranges, ascending, that do not touch; none: nothing matches."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: str


@dataclass(frozen=True, slots=True)
class Header:
    """A field whose decoded text contains ``value``; empty: any field of that name."""

    name: str
    """In lower case. FROM, TO, CC, BCC and SUBJECT of IMAP are the fields of these names."""
    value: str


@dataclass(frozen=True, slots=True)
class Body:
    """In the decoded text of the body's text parts (attached messages' included)."""

    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """In a header field or in the body."""

    value: str


class When(enum.Enum):
    BEFORE = "before"
    ON = "on"
    SINCE = "since"


class DateOf(enum.Enum):
    RECEIVED = "received"
    """INTERNALDATE; days are those of UTC."""
    SENT = "sent"
    """The Date field, its day as written there, the zone disregarded."""
    SAVED = "saved"


@dataclass(frozen=True, slots=True)
class Dated:
    what: DateOf
    when: When
    day: datetime.date


@dataclass(frozen=True, slots=True)
class Received:
    """WITHIN (RFC 5032), made absolute: INTERNALDATE in seconds since the epoch."""

    before: float | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Larger:
    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    octets: int


@dataclass(frozen=True, slots=True)
class ModifiedSince:
    """MODSEQ: mod-sequence at least this."""

    modseq: int


@dataclass(frozen=True, slots=True)
class EmailId:
    value: str


@dataclass(frozen=True, slots=True)
class ThreadId:
    value: str


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
    by: SortBy
    reverse: bool = False


class ThreadAlgorithm(enum.Enum):
    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
    REFS = "REFS"


@dataclass(frozen=True, slots=True)
class ThreadNode:
    uid: int | None
    """None: a message that is not there, or is not among those searched."""
    children: Sequence[ThreadNode] = ()
