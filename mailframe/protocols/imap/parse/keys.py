"""Search keys: RFC 9051 section 6.4.4 and what extensions added to them.

A key without anything of the session in it becomes a value of ``core.search``; one that needs
the session (sequence numbers, ``*``, ``$``, RECENT, the time) becomes one of ``commands``, and
so does whatever stands above it.

Depth is bounded: a client may nest parentheses and NOT ``DEPTH_LIMIT`` deep. ``OR a OR b OR
...``, which is how clients ask for any of many, is no nesting: it is read as one list and
built into a balanced tree, so those who walk the tree go log n deep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mailframe.core import search
from mailframe.core.folders import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailframe.core.search import DateOf, SearchKey, When
from mailframe.protocols.imap import sets
from mailframe.protocols.imap.commands import (
    Both,
    Criterion,
    Either,
    IsRecent,
    MessageSet,
    Neither,
    NumbersIn,
    YoungerThan,
)
from mailframe.protocols.imap.grammar import KEYWORD_LIMIT, NUMBER_MAX, BadCommand, Scanner
from mailframe.protocols.imap.parse import charsets

DEPTH_LIMIT = 50
KEYS_LIMIT = 20_000
"""Keys of one command."""

_SET_BEGINS = b"0123456789*$"
_ENTRY = re.compile(r"/flags/[^/]+", re.IGNORECASE)
_ENTRY_TYPES = ("PRIV", "SHARED", "ALL")
_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


class KeyReader:
    """Reads the keys of one command from ``scanner``, texts in ``codec``."""

    def __init__(self, scanner: Scanner, codec: str = charsets.UTF8) -> None:
        self.scanner = scanner
        self.codec = codec
        self.uses_modseq = False
        self._depth = 0
        self._count = 0

    def program(self) -> Criterion:
        """Keys to the end of the command; all of them must match."""
        keys = [self.key()]
        while self.scanner.more():
            keys.append(self.key())
        return all_of(keys)

    def key(self) -> Criterion:
        self._count += 1
        if self._count > KEYS_LIMIT:
            raise BadCommand("Too many search keys", "LIMIT")
        first = self.scanner.peek()
        if first == b"(":
            return self._group()
        if first and first in _SET_BEGINS:
            return NumbersIn(self.scanner.message_set(), uid=False)
        return self._named(self.scanner.word())

    def _named(self, name: str) -> Criterion:
        if name in _PLAIN:
            return _PLAIN[name]
        read = _KEYS.get(name)
        if read is None:
            raise self.scanner.bad("No such search key")
        self.scanner.sp()
        return read(self)

    # ---- keys of keys

    def _group(self) -> Criterion:
        self._descend()
        keys = self.scanner.listed(self.key, limit=KEYS_LIMIT)
        self._depth -= 1
        return all_of(keys)

    def negated(self) -> Criterion:
        self._descend()
        key = self.key()
        self._depth -= 1
        return none_of(key)

    def alternatives(self) -> Criterion:
        """Behind ``OR`` and its space. Each further OR in the place of an operand stands for
        one operand more."""
        self._descend()
        keys: list[Criterion] = []
        wanted = 2
        while True:
            if self.scanner.took_word(b"OR"):
                wanted += 1
                continue
            keys.append(self.key())
            if len(keys) == wanted:
                break
            self.scanner.sp()
        self._depth -= 1
        return any_of(keys)

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise BadCommand("Search keys nested too deep", "LIMIT")

    # ---- keys with values

    def text(self) -> str:
        return charsets.decoded(self.scanner.astring_octets(lenient=True), self.codec)

    def header(self) -> Criterion:
        name = self.scanner.astring().lower()
        self.scanner.sp()
        return search.Header(name, self.text())

    def uids(self) -> Criterion:
        return uids_in(self.scanner.message_set())

    def keyword(self) -> str:
        keyword = self.scanner.atom()
        if len(keyword) > KEYWORD_LIMIT:
            raise BadCommand("Keyword too long", "LIMIT")
        return keyword

    def modseq(self) -> Criterion:
        """``MODSEQ [entry type] n`` (RFC 7162 section 3.1.5). There is one mod-sequence a
        message, so which flag it is about makes no difference."""
        if self.scanner.peek() == b'"':
            if not _ENTRY.fullmatch(self.scanner.string()):
                raise self.scanner.bad("No such entry name")
            self.scanner.sp()
            if self.scanner.word() not in _ENTRY_TYPES:
                raise self.scanner.bad("Entry type is priv, shared or all")
            self.scanner.sp()
        self.uses_modseq = True
        return search.ModifiedSince(self.scanner.number64())

    def object_id(self) -> str:
        value = self.scanner.astring()
        if not _OBJECT_ID.fullmatch(value):
            raise self.scanner.bad("Not an object id")
        return value


# ---- building


def all_of(keys: Sequence[Criterion]) -> Criterion:
    if len(keys) == 1:
        return keys[0]
    pure = [key for key in keys if isinstance(key, SearchKey)]
    return search.And(tuple(pure)) if len(pure) == len(keys) else Both(tuple(keys))


def any_of(keys: Sequence[Criterion]) -> Criterion:
    """A tree of even depth."""
    level = list(keys)
    while len(level) > 1:
        pairs = [_or(*level[n : n + 2]) for n in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0]


def _or(left: Criterion, right: Criterion) -> Criterion:
    if isinstance(left, SearchKey) and isinstance(right, SearchKey):
        return search.Or(left, right)
    return Either(left, right)


def none_of(key: Criterion) -> Criterion:
    return search.Not(key) if isinstance(key, SearchKey) else Neither(key)


def uids_in(messages: MessageSet) -> Criterion:
    ranges = sets.fixed_ranges(messages)
    return NumbersIn(messages, uid=True) if ranges is None else search.UidIn(ranges)


def _between(first: int, last: int) -> Criterion:
    return search.UidIn(((first, last),) if first <= last else ())


# ---- tables


def _flag(flag: str) -> search.HasFlag:
    return search.HasFlag(flag)


_PLAIN: dict[str, Criterion] = {
    "ALL": search.All(),
    "ANSWERED": _flag(ANSWERED),
    "DELETED": _flag(DELETED),
    "DRAFT": _flag(DRAFT),
    "FLAGGED": _flag(FLAGGED),
    "SEEN": _flag(SEEN),
    "UNANSWERED": search.Not(_flag(ANSWERED)),
    "UNDELETED": search.Not(_flag(DELETED)),
    "UNDRAFT": search.Not(_flag(DRAFT)),
    "UNFLAGGED": search.Not(_flag(FLAGGED)),
    "UNSEEN": search.Not(_flag(SEEN)),
    "RECENT": IsRecent(),
    "OLD": Neither(IsRecent()),
    "NEW": Both((IsRecent(), search.Not(_flag(SEEN)))),
    # RFC 8514 section 4.3: all messages, where the storage keeps save dates.
    "SAVEDATESUPPORTED": search.All(),
}

Read = Callable[[KeyReader], Criterion]


def _field(name: str) -> Read:
    return lambda reader: search.Header(name, reader.text())


def _dated(what: DateOf, when: When) -> Read:
    return lambda reader: search.Dated(what, when, reader.scanner.date())


_KEYS: dict[str, Read] = {
    **{field.upper(): _field(field) for field in ("bcc", "cc", "from", "subject", "to")},
    **{
        prefix + when.name: _dated(what, when)
        for prefix, what in (("", DateOf.RECEIVED), ("SENT", DateOf.SENT), ("SAVED", DateOf.SAVED))
        for when in When
    },
    "BODY": lambda reader: search.Body(reader.text()),
    "TEXT": lambda reader: search.Text(reader.text()),
    "HEADER": KeyReader.header,
    "KEYWORD": lambda reader: _flag(reader.keyword()),
    "UNKEYWORD": lambda reader: search.Not(_flag(reader.keyword())),
    "LARGER": lambda reader: search.Larger(reader.scanner.number64()),
    "SMALLER": lambda reader: search.Smaller(reader.scanner.number64()),
    "UID": KeyReader.uids,
    # RFC 9738 section 3.2
    "UIDAFTER": lambda reader: _between(reader.scanner.nz_number() + 1, NUMBER_MAX),
    "UIDBEFORE": lambda reader: _between(1, reader.scanner.nz_number() - 1),
    "NOT": KeyReader.negated,
    "OR": KeyReader.alternatives,
    "YOUNGER": lambda reader: YoungerThan(reader.scanner.nz_number()),
    "OLDER": lambda reader: Neither(YoungerThan(reader.scanner.nz_number())),
    "MODSEQ": KeyReader.modseq,
    "EMAILID": lambda reader: search.EmailId(reader.object_id()),
    "THREADID": lambda reader: search.ThreadId(reader.object_id()),
}
