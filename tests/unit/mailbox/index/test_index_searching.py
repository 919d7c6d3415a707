"""Searches that take long: in turns with others, and no longer than somebody waits."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailframe.core.search import (
    And,
    HasFlag,
    Header,
    Not,
    Or,
    SearchKey,
    SortBy,
    SortCriterion,
    Text,
    ThreadAlgorithm,
    UidIn,
)
from mailframe.errors import TransientFailure
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.mailbox.index.searching import cancellable
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailbox.house import done
from tests.unit.mailbox.index.indexed import Indexed, append, now

ENDLESS = "WITH RECURSIVE n AS (SELECT begun() UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"
SLOW = 0.1  # seconds that a statement takes by the clock of these tests: a turn, and more


class StepByStep(InlineWorkers):
    """Each call is done at once; that it is over is told when the test says so, once ``holds``."""

    def __init__(self) -> None:
        self.holds = False
        self.held: list[Callable[[], object]] = []
        self.calls = 0

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        result: Deferred[Any] = super().run(function, *args, **kwargs)
        self.calls += 1
        if not self.holds:
            return result
        told: Deferred[Any] = Deferred()
        self.held.append(partial(result.chainDeferred, told))
        return told

    def step(self) -> None:
        self.held.pop(0)()


@pytest.fixture
def folder(indexed: Indexed) -> IndexedFolder:
    folder = indexed.folder()
    contents = [f"Subject: letter {n}\r\n\r\nwords {n % 7}\r\n".encode() for n in range(40)]
    append(folder, *contents)
    now(folder.search(Text("letter")))  # all are read
    return folder


@pytest.fixture
def slowly(folder: IndexedFolder, monkeypatch: pytest.MonkeyPatch) -> StepByStep:
    """Every look at the clock finds that a statement took long, and few messages begin."""
    clock: Any = folder.live.around.clock

    def seconds() -> float:
        clock.rightNow += SLOW
        return float(clock.rightNow)

    monkeypatch.setattr(clock, "seconds", seconds)
    for name in ("_FIRST", "_FIRST_OF_TEXTS"):
        monkeypatch.setattr(f"mailframe.mailbox.index.searching.{name}", 8)
    workers = StepByStep()
    monkeypatch.setattr(folder.live.index._reader, "_workers", workers)
    return workers


KEYS: list[SearchKey] = [
    Text("words 3"),
    Not(Text("words 3")),
    Header("subject", "letter 1"),
    And((UidIn(((5, 9), (20, 33))), Text("letter"))),
    Or(Header("subject", "letter 39"), Text("letter 0")),
    UidIn(()),
    HasFlag("\\Seen"),
    Not(HasFlag("\\Seen")),
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_in_turns_the_same_is_found(
    folder: IndexedFolder, key: SearchKey, request: pytest.FixtureRequest
) -> None:
    by = [SortCriterion(SortBy.SUBJECT, reverse=True)]

    def everything() -> list[Any]:
        folder.live.answers = type(folder.live.answers)()
        return [
            list(now(folder.search(key))),
            list(now(folder.sort(key, by))),
            now(folder.thread(key, ThreadAlgorithm.ORDEREDSUBJECT)),
        ]

    at_once = everything()
    request.getfixturevalue("slowly")
    assert everything() == at_once


def test_others_read_between_two_turns(folder: IndexedFolder, slowly: StepByStep) -> None:
    slowly.holds = True
    searching = Deferred.fromCoroutine(folder.search(Not(HasFlag("\\Seen"))))
    fetching = Deferred.fromCoroutine(folder.contents([1]))
    slowly.step()  # of the search
    slowly.step()
    assert fetching.called
    assert not searching.called
    turns = 1
    while slowly.held:
        slowly.step()
        turns += 1
    assert turns > 3
    assert done(searching) == list(range(1, 41))


def test_when_nobody_waits_no_turn_is_begun(folder: IndexedFolder, slowly: StepByStep) -> None:
    slowly.holds = True
    heard: list[object] = []
    searching = Deferred.fromCoroutine(folder.search(Text("words")))
    searching.addErrback(lambda failure: heard.append(failure.type))
    while slowly.held and slowly.calls < 5:
        slowly.step()
    searching.cancel()
    assert heard == [CancelledError]
    calls = slowly.calls
    while slowly.held:
        slowly.step()
    assert slowly.calls == calls
    assert folder.live.index.is_idle


def test_an_index_that_is_begun_anew_ends_the_search(
    folder: IndexedFolder, slowly: StepByStep
) -> None:
    slowly.holds = True
    searching = Deferred.fromCoroutine(folder.search(Not(HasFlag("\\Seen"))))
    folder.live.index.generation += 1  # its rows are others now
    slowly.step()
    with pytest.raises(TransientFailure, match="begun anew"):
        done(searching)


def test_statements_of_many_keys_are_not_kept(folder: IndexedFolder) -> None:
    index = folder.live.index
    key: SearchKey = Header("subject", "letter 5")
    assert list(now(folder.search(key))) == [6]
    assert index._read_connection is not None
    for number in range(300):
        key = Or(key, Header("subject", f"none {number}"))
    assert list(now(folder.search(key))) == [6]
    assert index._read_connection is None


def test_a_statement_under_way_is_interrupted(folder: IndexedFolder) -> None:
    begun, index, workers = threading.Event(), folder.live.index, OnAThread()
    index._reader._workers = workers

    def endless(connection: sqlite3.Connection) -> object:
        connection.create_function("begun", 0, begun.set)
        return connection.execute(ENDLESS).fetchone()

    heard: list[object] = []
    waiting = Deferred.fromCoroutine(cancellable(index, endless))
    waiting.addErrback(lambda failure: heard.append(failure.type))
    assert begun.wait(20)
    waiting.cancel()
    assert heard == [CancelledError]
    workers.end()
    index._reader._workers = InlineWorkers()
    assert list(now(folder.search(Text("words 3")))) == list(range(4, 41, 7))


class OnAThread(InlineWorkers):
    """One call, on a thread."""

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        self._told: Deferred[Any] = Deferred()
        self._results: list[Any] = []
        self._thread = threading.Thread(
            target=lambda: self._results.append(function(*args, **kwargs)), daemon=True
        )
        self._thread.start()
        return self._told

    def end(self) -> None:
        """Fails where it does not."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._told.callback(self._results[0])
