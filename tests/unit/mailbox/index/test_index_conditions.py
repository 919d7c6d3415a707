"""Search keys of clients that mean harm, as SQL: refused in plain words, or SQLite takes them."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable

import pytest

from mailframe.core.folders import FolderReason
from mailframe.core.search import (
    All,
    And,
    Body,
    Dated,
    DateOf,
    EmailId,
    HasFlag,
    Header,
    Not,
    Or,
    SearchKey,
    Text,
    ThreadId,
    UidIn,
    When,
)
from mailframe.errors import FolderRefused
from mailframe.mailbox.index.conditions import MAX_KEYS, Condition, uids_within
from mailframe.mailbox.index.schema import MIGRATIONS
from mailframe.mailbox.index.searching import find

DEAR = Header("x-field", "text")
"""The leaf with most in it."""


LEAVES: list[SearchKey] = [
    DEAR,
    Header("subject", "x"),
    Body("x"),
    Text("x"),
    Header("subject", ""),
    Header("x-field", ""),
    Dated(DateOf.SENT, When.SINCE, datetime.date(1980, 1, 1)),
    Dated(DateOf.SENT, When.BEFORE, datetime.date(2080, 1, 1)),
    EmailId("x"),
    ThreadId("x"),
]
"""Of what only a look into the message tells."""


def database(messages: int = 0) -> sqlite3.Connection:
    """Of messages that were not read, in folder 1."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(";".join(MIGRATIONS))
    connection.executemany(
        "INSERT INTO message VALUES (1, ?, 'name', 'cur/:2,', '', 1, 1, 1, 1, 1, NULL)",
        [(uid,) for uid in range(1, messages + 1)],
    )
    return connection


def found(key: SearchKey, messages: int = 0) -> list[int]:
    connection = database(messages)
    condition = Condition(key)
    condition.prepare(connection)
    return find(connection, 1, condition, uids_within(key))


def nested(depth: int, around: Callable[[SearchKey], SearchKey]) -> SearchKey:
    key: SearchKey = DEAR
    for _ in range(depth):
        key = around(key)
    return key


AROUND: dict[str, Callable[[SearchKey], SearchKey]] = {
    "not": lambda key: Not(key),
    "or and": lambda key: Or(All(), And((All(), key))),
    "and or": lambda key: And((Or(key, All()), All())),
    "not and": lambda key: Not(And((All(), key))),
    "not or": lambda key: Not(Or(key, DEAR)),
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_any_depth_is_answered_or_refused(around: Callable[[SearchKey], SearchKey]) -> None:
    reasons = [reason_of(nested(depth, around)) for depth in range(1, 60)]
    # Shallow ones are answered; from some depth on they are refused.
    assert reasons == sorted(reasons, key=bool)
    assert set(reasons[:10]) == {None}
    assert set(reasons) <= {None, FolderReason.LIMIT}


def reason_of(key: SearchKey) -> FolderReason | None:
    """Why it is refused; None: it is answered."""
    try:
        found(key)
    except FolderRefused as refusal:
        return refusal.reason
    return None


def test_two_negations_are_none() -> None:
    assert Condition(nested(50, Not)).sql == Condition(DEAR).sql


@pytest.mark.parametrize("operator", [And, lambda keys: Not(And(keys))])
def test_many_keys_of_the_dearest_kind(
    operator: Callable[[tuple[SearchKey, ...]], SearchKey],
) -> None:
    assert found(operator((HasFlag("x"),) * (MAX_KEYS - 2))) == []
    assert found(operator((DEAR,) * 7_000)) == []


def test_more_values_than_sqlite_takes_are_refused() -> None:
    ranges = tuple((n, n) for n in range(1, 40, 2))
    with pytest.raises(FolderRefused, match="too complex"):
        found(And((UidIn(ranges),) * 1_000))
    with pytest.raises(FolderRefused, match="too complex"):
        found(And((UidIn(((1, 1),)),) * 19_000))


@pytest.mark.parametrize("leaf", LEAVES, ids=repr)
def test_of_what_was_not_read_nothing_is_known_and_its_opposite_is(leaf: SearchKey) -> None:
    assert found(leaf, messages=2) == []
    assert found(Not(leaf), messages=2) == [1, 2]
    assert found(Or(leaf, And((All(), Not(leaf)))), messages=2) == [1, 2]


@pytest.mark.parametrize("leaf", LEAVES[:4], ids=repr)
def test_many_keys_open_no_more_tables_than_one(leaf: SearchKey) -> None:
    """SQLite walks all that are open for each that it opens: for every message, were each key
    a subquery."""
    few, many = Or(leaf, Not(leaf)), Or(leaf, Not(leaf))
    for _ in range(6):
        many = Or(many, Not(many))
    assert tables_opened(many) == tables_opened(few) <= 3


def tables_opened(key: SearchKey) -> int:
    condition = Condition(key)
    statement = f"EXPLAIN SELECT m.uid FROM message AS m{condition.joins()} WHERE {condition.sql}"
    connection = database()
    condition.prepare(connection)
    program = connection.execute(statement, condition.parameters)
    return sum(operation == "OpenRead" for _, operation, *_ in program)
