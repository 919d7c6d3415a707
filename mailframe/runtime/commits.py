"""Group commit: the jobs of many callers in one transaction, and telling them what came of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
Batch = list[tuple[Job[Any], Deferred[Any]]]
Outcomes = list[tuple[Deferred[Any], Any]]
"""Each Deferred with its value or Failure."""


def commit_together(connection: sqlite3.Connection, batch: Batch) -> Outcomes:
    """Run the jobs and commit once. Where one raises, its Failure is its outcome; the others
    are not harmed. Raises what BEGIN and COMMIT raise."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [(result, job(connection)) for job, result in batch]
    except Exception:  # noqa: BLE001 - it is the job's caller who hears of it
        failure = Failure()
        roll_back(connection)
        if len(batch) == 1:
            return [(batch[0][1], failure)]
        return _commit_apart(connection, batch)
    connection.execute("COMMIT")
    return outcomes


def _commit_apart(connection: sqlite3.Connection, batch: Batch) -> Outcomes:
    """The same, each in a savepoint of its own, which takes three statements more for each."""
    outcomes: Outcomes = []
    connection.execute("BEGIN IMMEDIATE")
    for job, result in batch:
        connection.execute("SAVEPOINT job")
        try:
            outcomes.append((result, job(connection)))
        except Exception:  # noqa: BLE001 - it is the job's caller who hears of it
            outcomes.append((result, Failure()))
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
    connection.execute("COMMIT")
    return outcomes


def roll_back(connection: sqlite3.Connection) -> None:
    """Harmless where nothing was begun."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def fire(outcomes: Outcomes) -> None:
    """Tell everybody what became of theirs."""
    for result, value in outcomes:
        if not result.called:
            result.callback(value)  # a Failure takes the errback side
