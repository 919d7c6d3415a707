"""Remembered answers: given at once, never stale, and not without bound."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.runtime import remembered
from mailframe.runtime.aio import as_deferred, begun
from mailframe.runtime.database import Database
from mailframe.runtime.remembered import Found, Remembered
from tests.unit.runtime.loops import Loop
from tests.unit.runtime.test_runtime_database import MIGRATIONS, add

Look = Callable[[sqlite3.Connection, str], Found[bool]]


class Notes:
    """Is there such a note? ``looks`` are the questions that were answered from the file."""

    def __init__(self, loop: Loop, database: Database) -> None:
        self.loop = loop
        self.database = database
        self.looks: list[str] = []
        self.meanwhile: Callable[[str], object] = lambda text: None
        self.answers = Remembered(database, self.look)

    def look(self, connection: sqlite3.Connection, text: str) -> Found[bool]:
        query = "SELECT 1 FROM note WHERE text = ?"
        is_there = connection.execute(query, (text,)).fetchone() is not None
        self.looks.append(text)
        self.meanwhile(text)
        return Found(is_there, text, is_named=is_there)

    def ask(self, text: str) -> bool:
        answer: bool = self.loop.result(as_deferred(self.answers.ask(text)))
        return answer

    def ask_at_once(self, text: str) -> bool | Deferred[bool]:
        return begun(self.answers.ask(text))

    def recalls(self, *texts: str) -> list[str]:
        return [text for text in texts if self.answers.recalled(text) is not None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    loop = Loop()
    database = Database(str(tmp_path / "x.db"), MIGRATIONS, loop)
    database.open()
    loop.until(lambda: database.version() is not None)
    yield database
    database.close()


@pytest.fixture
def notes(database: Database) -> Notes:
    loop: Any = database._reactor
    return Notes(loop, database)


@pytest.fixture
def other(database: Database) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    yield other
    other.close()


def note(connection: sqlite3.Connection, *texts: str) -> None:
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO note (text) VALUES (?)", [(text,) for text in texts])
    connection.execute("COMMIT")


def test_what_was_asked_before_is_answered_without_waiting(
    notes: Notes, other: sqlite3.Connection
) -> None:
    note(other, "a")
    assert (notes.ask("a"), notes.ask("b")) == (True, False)
    assert (notes.ask_at_once("a"), notes.ask_at_once("b")) == (True, False)
    assert notes.looks == ["a", "b"]


def test_a_commit_of_anybody_counts_for_the_next_question(
    notes: Notes, other: sqlite3.Connection
) -> None:
    for number in range(20):
        text = str(number)
        assert not notes.ask(text)
        if number % 2:
            note(other, text)
        else:
            notes.loop.result(notes.database.write(add(text)))
        assert isinstance(notes.ask_at_once("never there"), Deferred)
        assert notes.ask(text)


def test_an_answer_found_while_a_change_commits_is_not_kept(
    notes: Notes, other: sqlite3.Connection
) -> None:
    notes.meanwhile = lambda text: note(other, text)
    assert not notes.ask("a")
    notes.meanwhile = lambda text: None
    assert notes.ask("a")
    assert notes.looks == ["a", "a"]


def test_an_answer_from_before_a_change_is_not_kept_under_the_version_after_it(
    notes: Notes, other: sqlite3.Connection
) -> None:
    looked, gate = threading.Event(), threading.Event()

    def hold(text: str) -> None:
        if text == "slow":
            looked.set()
            assert gate.wait(10)

    notes.meanwhile = hold
    slow = as_deferred(notes.answers.ask("slow"))
    assert looked.wait(10)
    note(other, "slow")
    assert not notes.ask("quick")  # by the other reader: the new version is known now
    gate.set()
    assert notes.loop.result(slow) is False
    assert notes.recalls("quick", "slow") == ["quick"]
    assert notes.ask("slow")


def test_looking_anew_is_never_from_memory(notes: Notes) -> None:
    assert not notes.ask("a")
    assert isinstance(looking := begun(notes.answers.look_anew("a")), Deferred)
    assert not notes.loop.result(looking)
    assert notes.looks == ["a", "a"]


def test_what_was_asked_for_longest_ago_goes_first(
    database: Database, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MOST_NAMED", 4)
    notes = Notes(database._reactor, database)  # type: ignore[arg-type]
    note(other, *"abcdef")
    for text in "abcd":
        notes.ask(text)
    notes.ask("a")
    notes.ask("e")
    assert notes.recalls(*"abcde") == list("acde")
    notes.ask("f")
    assert notes.recalls(*"abcdef") == list("cdef")  # recalled in that order


def test_made_up_names_push_out_nothing_but_each_other(
    database: Database, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MOST_OTHERS", 20)
    notes = Notes(database._reactor, database)  # type: ignore[arg-type]
    note(other, "real")
    notes.ask("real")
    made_up = [f"made up {number}" for number in range(100)]
    for text in made_up:
        assert not notes.ask(text)
    assert notes.recalls("real", *made_up) == ["real", *made_up[-20:]]
    assert notes.ask_at_once("real") is True


def test_large_answers_take_more_places_and_very_large_ones_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MOST_NAMED", 40)
    loop: Any = database._reactor

    def look(connection: sqlite3.Connection, size: int) -> Found[int]:
        return Found(size, size, is_named=True, size=size)

    answers = Remembered(database, look)
    for size in (1, 10, 9, 8, 7, 11):
        loop.result(as_deferred(answers.ask(size)))
    assert [size for size in range(12) if answers.recalled(size)] == [1, 7, 8, 9, 10]
    loop.result(as_deferred(answers.ask(6)))
    assert [size for size in range(12) if answers.recalled(size)] == [6, 7, 8, 9, 10]


def test_an_answer_may_be_kept_under_something_wider(database: Database) -> None:
    loop: Any = database._reactor
    looks: list[int] = []

    def look(connection: sqlite3.Connection, number: int) -> Found[str]:
        looks.append(number)
        return Found("odd", "odd", is_named=False) if number % 2 else Found("even", number, True)

    answers = Remembered(database, look)
    for number in (1, 3, 2, 4, 5, 2):
        wider = "odd" if number % 2 else None
        asked = as_deferred(answers.ask(number, wider=wider))
        assert loop.result(asked) == ("odd" if number % 2 else "even")
    assert looks == [1, 2, 4]


def test_nothing_is_remembered_where_the_version_cannot_be_told(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "x.db"), MIGRATIONS, None)
    database.open()
    notes = Notes(Loop(), database)
    assert notes.ask_at_once("a") is False
    database.write(add("a"))
    assert notes.ask_at_once("a") is True
    assert notes.looks == ["a", "a"]
    database.close()


def test_what_the_database_raises_reaches_who_asks(notes: Notes) -> None:
    def fail(text: str) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    notes.meanwhile = fail
    with pytest.raises(sqlite3.OperationalError):
        notes.ask("a")
    notes.meanwhile = lambda text: None
    assert not notes.ask("a")
