"""Search keys of clients that mean harm, as SQL: refused in plain words, or SQLite takes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from mailframe.core.folders import FolderReason
from mailframe.core.search import All, And, HasFlag, Header, Not, Or, SearchKey, UidIn
from mailframe.errors import FolderRefused
from mailframe.mailbox.index.conditions import MAX_KEYS, Condition
from mailframe.mailbox.index.schema import MIGRATIONS
from mailframe.mailbox.index.searching import find

DEAR = Header("x-field", "text")
"""The leaf with most in it."""


def found(key: SearchKey) -> list[int]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(";".join(MIGRATIONS))
    return find(connection, 1, key, Condition(key))


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
