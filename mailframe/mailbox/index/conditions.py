"""A search key as the condition of one SQL statement over ``message AS m``.

Dear conditions stand behind the cheap ones, so that texts are read only of messages that are
still in question. What they look at is joined, once: as subqueries, of which each opens a cursor
of its own and SQLite walks all that are open for each, a thousand keys took a thousand times as
long as thirty. ``AND`` and ``OR`` of many become trees: SQLite limits the depth of an expression
to 1,000, and what its parser has open at any point to 100 tokens. A condition is true or false,
never NULL, or NOT of it would be NULL too.
"""

from __future__ import annotations

import datetime
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mailframe.core import search
from mailframe.core.folders import FolderReason
from mailframe.core.search import And, DateOf, Not, Or, SearchKey, UidIn, When
from mailframe.errors import FolderRefused
from mailframe.message.searchable import body_needle, header_needle

MAX_OPEN = 75
"""Tokens that SQLite's parser may have open around a leaf, which has some 15 itself."""
MAX_KEYS = 20_000
MAX_PARAMETERS = 32_000  # SQLite: 32,766
_FEW_RANGES = 20
_MANY = 200  # keys
_MAX_INTEGER = (1 << 63) - 1
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DAY = 86_400

_HEADING = {"from": "from_", "to": "to_", "cc": "cc", "bcc": "bcc", "subject": "subject"}
_DATES = {DateOf.RECEIVED: "m.received", DateOf.SAVED: "m.saved"}
HEADING = " LEFT JOIN heading AS h ON h.content = m.content"
_WORDS = " LEFT JOIN words AS w ON w.content = m.content"
_OF_CONTENT = "coalesce(m.content IN (SELECT id FROM content WHERE {} = ?), 0)"
_IN_HEADERS = "ifnull(instr(w.headers, ?), 0) > 0"
_IN_BODY = "ifnull(instr(w.body, ?), 0) > 0"
_NEVER = "0"


class Condition:
    """``sql`` with ``parameters`` for its marks, behind ``FROM message AS m`` and ``joins``.
    Raises FolderRefused (LIMIT)."""

    def __init__(self, key: SearchKey) -> None:
        self.parameters: list[Any] = []
        self._joins: set[str] = set()
        self.sets: list[Sequence[tuple[int, int]]] = []
        """Of uids, too large for a statement: ``prepare`` puts them into a table."""
        self.keys = 0
        """How many it has."""
        self.sql = self._of(key, 0)

    def joins(self, *others: str) -> str:
        """What it looks at beside the message, and ``others``."""
        return "".join(join for join in (HEADING, _WORDS) if join in {*self._joins, *others})

    def prepare(self, connection: sqlite3.Connection) -> None:
        """What the statement needs beside the tables; before it is run."""
        known = "SELECT 1 FROM temp.sqlite_master WHERE name = 'uid_set'"
        if connection.execute(known).fetchone() is None:
            # Once: a function that is made anew has SQLite compile all statements again.
            connection.create_function("in_field", 3, _in_field, deterministic=True)
            connection.execute(
                "CREATE TEMP TABLE uid_set (number INTEGER, first INTEGER, last INTEGER,"
                " PRIMARY KEY (number, first)) WITHOUT ROWID"
            )
        connection.execute("DELETE FROM uid_set")
        for number, ranges in enumerate(self.sets):
            connection.executemany(
                "INSERT INTO uid_set VALUES (?, ?, ?)",
                ((number, first, last) for first, last in ranges),
            )

    def add(self, sql: str, *parameters: Any) -> str:
        self.parameters += parameters
        return sql

    def look(self, join: str, sql: str, *parameters: Any) -> str:
        """At a table that is joined."""
        self._joins.add(join)
        return self.add(sql, *parameters)

    def _of(self, key: SearchKey, opened: int) -> str:
        """``opened``: tokens that the parser has open before it."""
        self.keys += 1
        key = _without_double_negation(key)
        is_large = self.keys > MAX_KEYS or len(self.parameters) > MAX_PARAMETERS
        if opened > MAX_OPEN or is_large:
            raise FolderRefused(FolderReason.LIMIT, "The search is too complex")
        if isinstance(key, And):
            return self._joined(" AND ", _flattened(key), opened)
        if isinstance(key, Or):
            return self._joined(" OR ", _flattened(key), opened)
        if isinstance(key, Not):
            return f"(NOT {self._of(key.key, opened + 2)})"
        return _LEAVES[type(key)](self, key)

    def _joined(self, operator: str, keys: list[SearchKey], opened: int) -> str:
        if not keys:
            return "1"  # an AND of nothing
        if len(keys) > 1:
            keys = sorted(keys, key=_cost)
        return self._balanced(operator, keys, opened)

    def _balanced(self, operator: str, keys: list[SearchKey], opened: int) -> str:
        if len(keys) == 1:
            return self._of(keys[0], opened)
        middle = len(keys) // 2
        # Open are "(", and for the right half what is left of it and the operator.
        left = self._balanced(operator, keys[:middle], opened + 1)
        return f"({left}{operator}{self._balanced(operator, keys[middle:], opened + 3)})"


def needs_contents(key: SearchKey) -> bool:
    """Whether messages must have been read to answer."""
    return any(_leaf_cost(leaf) > 0 for leaf in _leaves(key))


def has_many(key: SearchKey) -> bool:
    """Whether the statement is too large to be kept."""
    return next(itertools.islice(_leaves(key), _MANY, None), None) is not None


def uids_within(key: SearchKey) -> tuple[int, int]:
    """No message outside of these uids can match."""
    first, last = 0, _MAX_INTEGER
    for part in _flattened(key) if isinstance(key, And) else [key]:
        if isinstance(part, UidIn):
            if not part.ranges:
                return 1, 0
            first, last = max(first, part.ranges[0][0]), min(last, part.ranges[-1][1])
    return first, last


# ---- the tree


def _without_double_negation(key: SearchKey) -> SearchKey:
    while isinstance(key, Not) and isinstance(key.key, Not):
        key = key.key.key
    return key


def _flattened(key: And | Or) -> list[SearchKey]:
    """What a tree of one operator joins, from left to right; nothing recurses."""
    kind = type(key)
    found: list[SearchKey] = []
    waiting: list[SearchKey] = [key]
    while waiting:
        part = waiting.pop()
        if type(part) is kind:
            waiting += reversed(_operands(part))
        else:
            found.append(part)
    return found


def _operands(key: SearchKey) -> Sequence[SearchKey]:
    if isinstance(key, And):
        return key.keys
    if isinstance(key, Or):
        return (key.left, key.right)
    return (key.key,) if isinstance(key, Not) else ()


def _leaves(key: SearchKey) -> Iterator[SearchKey]:
    waiting = [key]
    while waiting:
        part = waiting.pop()
        if isinstance(part, And | Or | Not):
            waiting += _operands(part)
        else:
            yield part


def _cost(key: SearchKey) -> int:
    """What looking at one message costs, roughly."""
    return max((_leaf_cost(leaf) for leaf in _leaves(key)), default=0)


def _leaf_cost(key: SearchKey) -> int:
    if isinstance(key, search.Body | search.Text):
        return 3
    if isinstance(key, search.Header):
        return 1 if key.name in _HEADING else 2
    if isinstance(key, search.EmailId | search.ThreadId):
        return 1
    return int(isinstance(key, search.Dated) and key.what is DateOf.SENT)


# ---- the leaves


def _all(condition: Condition, key: search.All) -> str:
    return "1"


def _uid_in(condition: Condition, key: UidIn) -> str:
    if not key.ranges:
        return _NEVER
    if len(key.ranges) <= _FEW_RANGES:
        for first, last in key.ranges:
            condition.add("", first, last)
        return "(" + " OR ".join(["m.uid BETWEEN ? AND ?"] * len(key.ranges)) + ")"
    condition.sets.append(key.ranges)
    # The ranges do not touch: the last that begins before the uid holds it, or none does.
    return condition.add(
        "coalesce((SELECT last FROM uid_set WHERE number = ? AND first <= m.uid"
        " ORDER BY first DESC LIMIT 1) >= m.uid, 0)",
        len(condition.sets) - 1,
    )


def _has_flag(condition: Condition, key: search.HasFlag) -> str:
    return condition.add("instr(' ' || lower(m.flags) || ' ', ?) > 0", f" {key.flag.lower()} ")


def _header(condition: Condition, key: search.Header) -> str:
    needle = header_needle(key.value)
    column = _HEADING.get(key.name)
    if column is not None:
        if not needle:
            return condition.look(HEADING, f"ifnull(length(h.{column}), 0) > 0")
        return condition.look(HEADING, f"ifnull(instr(h.{column}, ?), 0) > 0", needle)
    beginning = b"\n%b: " % key.name.lower().encode("utf-8", "replace")
    return condition.look(
        _WORDS,
        f"({_IN_HEADERS} AND {_IN_HEADERS} AND in_field(w.headers, ?, ?))",
        beginning,
        needle,
        beginning,
        needle,
    )


def _in_field(headers: bytes | None, beginning: bytes, needle: bytes) -> bool:
    """Whether a field of the message itself that begins so contains the needle. None: of what
    was not read nothing is known."""
    if headers is None:
        return False
    end = headers.find(b"\n\n")  # those of its parts follow
    at = headers.find(beginning, 0, end + 1)
    while at >= 0:
        value = at + len(beginning)
        line_end = headers.find(b"\n", value)
        if headers.find(needle, value, line_end) >= 0:
            return True
        at = headers.find(beginning, line_end, end + 1)
    return False


def _body(condition: Condition, key: search.Body) -> str:
    needle = body_needle(key.value)
    if not needle:
        return "1"
    return condition.look(_WORDS, _IN_BODY, needle)


def _text(condition: Condition, key: search.Text) -> str:
    in_header, in_body = header_needle(key.value), body_needle(key.value)
    if not in_header:
        return "1"
    return condition.look(_WORDS, f"({_IN_HEADERS} OR {_IN_BODY})", in_header, in_body)


def _dated(condition: Condition, key: search.Dated) -> str:
    day = key.day.toordinal() - _EPOCH
    if key.what is DateOf.SENT:
        operator = {When.BEFORE: "<", When.ON: "=", When.SINCE: ">="}[key.when]
        return condition.look(HEADING, f"ifnull(h.sent_day {operator} ?, 0)", day)
    column, begin, end = _DATES[key.what], day * _DAY, (day + 1) * _DAY
    if key.when is When.BEFORE:
        return condition.add(f"{column} < ?", begin)
    if key.when is When.SINCE:
        return condition.add(f"{column} >= ?", begin)
    return condition.add(f"({column} >= ? AND {column} < ?)", begin, end)


def _received(condition: Condition, key: search.Received) -> str:
    parts = ["1"]
    if key.before is not None:
        parts.append(condition.add("m.received < ?", key.before))
    if key.since is not None:
        parts.append(condition.add("m.received >= ?", key.since))
    return "(" + " AND ".join(parts) + ")"


def _larger(condition: Condition, key: search.Larger) -> str:
    return condition.add("m.size > ?", min(key.octets, _MAX_INTEGER))


def _smaller(condition: Condition, key: search.Smaller) -> str:
    return condition.add("m.size < ?", min(key.octets, _MAX_INTEGER))


def _modified_since(condition: Condition, key: search.ModifiedSince) -> str:
    return condition.add("m.modseq >= ?", min(key.modseq, _MAX_INTEGER))


def _email_id(condition: Condition, key: search.EmailId) -> str:
    return condition.add(_OF_CONTENT.format("email_id"), key.value)


def _thread_id(condition: Condition, key: search.ThreadId) -> str:
    return condition.add(_OF_CONTENT.format("thread_id"), key.value)


_LEAVES: dict[type, Callable[[Condition, Any], str]] = {
    search.All: _all,
    UidIn: _uid_in,
    search.HasFlag: _has_flag,
    search.Header: _header,
    search.Body: _body,
    search.Text: _text,
    search.Dated: _dated,
    search.Received: _received,
    search.Larger: _larger,
    search.Smaller: _smaller,
    search.ModifiedSince: _modified_since,
    search.EmailId: _email_id,
    search.ThreadId: _thread_id,
}
