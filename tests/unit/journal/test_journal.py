"""The journal: what is recorded can be found, and recording harms nobody."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEventAsClassicLogText, globalLogPublisher
from zope.interface.verify import verifyObject

from mailframe.interfaces import IJournal
from mailframe.journal import pages
from mailframe.journal.journal import MIGRATIONS, Journal
from mailframe.journal.stories import ids_of, story
from mailframe.runtime.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "journal.db"), MIGRATIONS, None, durable=False)
    database.open()
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(1_800_000_000)
    return clock


@pytest.fixture
def journal(database: Database, clock: Clock) -> Journal:
    return Journal(database, clock, 86400)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEventAsClassicLogText(event) or "")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def now(deferred: Deferred[Any]) -> Any:
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results[0]


def find(database: Database, term: str) -> list[str]:
    return now(database.read(lambda connection: ids_of(connection, term)))


def tell(database: Database, id: str) -> list[tuple[str, str]]:
    entries = now(database.read(lambda connection: story(connection, id)))
    return [(entry.id, entry.step) for entry in entries]


def one_message(journal: Journal, clock: Clock) -> None:
    journal.record("S1", "connect", peer="192.0.2.1", listener="mx")
    journal.record("S1", "tls", version="TLSv1.3")
    clock.advance(0.01)
    journal.record("S1", "refuse", forward_path="nobody@here.test", reply="550 5.1.1 No")
    journal.record(
        "M1",
        "accept",
        "ok",
        session="S1",
        reverse_path="Bob@There.test",
        forward_path=["ann@here.test", "eve@here.test"],
        message_id="<abc@there.test>",
        size=1234,
    )
    journal.record("S1", "disconnect", reason="QUIT")
    clock.advance(1)
    journal.record(
        "M1",
        "attempt",
        "relayed",
        forward_path="ann@here.test",
        remote="mx.far.test",
        reply="250 2.0.0 Ok: queued as 4XyZ1234AB",
    )


def test_provides_the_interface(journal: Journal) -> None:
    assert verifyObject(IJournal, journal)


def test_a_batch_is_written_shortly_after(
    journal: Journal, clock: Clock, database: Database
) -> None:
    journal.record("S1", "connect")
    assert find(database, "S1") == []
    clock.advance(0.05)
    assert find(database, "S1") == ["S1"]


def test_a_message_is_found_by_everything_it_is_called(
    journal: Journal, clock: Clock, database: Database
) -> None:
    one_message(journal, clock)
    clock.advance(1)
    for term in ("M1", "m1", "<abc@there.test>", "abc@there.test", "bob@there.test", "4XyZ1234AB"):
        assert find(database, term) == ["M1"], term
    assert find(database, "EVE@here.test") == ["M1"]
    assert find(database, "nobody@here.test") == ["S1"]
    assert find(database, "unheard@of.test") == []
    assert find(database, "queued") == []


def test_an_address_lists_its_messages_oldest_first(
    journal: Journal, clock: Clock, database: Database
) -> None:
    for number in range(5):
        journal.record(f"M{number}", "accept", forward_path=["ann@here.test"])
        journal.record(f"M{number}", "deliver", forward_path="ann@here.test")
    now(journal.flush())
    assert find(database, "ann@here.test") == [f"M{number}" for number in range(5)]
    two = now(database.read(lambda connection: ids_of(connection, "ann@here.test", 2)))
    assert two == ["M3", "M4"]


def test_a_story_begins_with_the_session(
    journal: Journal, clock: Clock, database: Database
) -> None:
    one_message(journal, clock)
    clock.advance(1)
    assert tell(database, "M1") == [
        ("S1", "connect"),
        ("S1", "tls"),
        ("S1", "refuse"),
        ("M1", "accept"),
        ("S1", "disconnect"),
        ("M1", "attempt"),
    ]
    # The session's own story names the message it brought, not what became of it.
    assert tell(database, "S1")[-2:] == [("M1", "accept"), ("S1", "disconnect")]


def test_what_another_process_wrote_first_is_told_in_its_order(
    journal: Journal, clock: Clock, database: Database
) -> None:
    other = Journal(database, clock, 86400)
    journal.record("M1", "accept", session="S1")
    clock.advance(0.01)
    other.record("M1", "attempt")
    other.record("M1", "deliver")
    now(other.flush())
    now(journal.flush())
    assert [step for _, step in tell(database, "M1")] == ["accept", "attempt", "deliver"]


def test_others_on_the_same_page_are_not_told(
    journal: Journal, clock: Clock, database: Database
) -> None:
    for number in "12":
        journal.record(f"S{number}", "connect", session=f"S{number}")
        journal.record(f"M{number}", "accept", session=f"S{number}")
    clock.advance(1)
    assert tell(database, "M1") == [("S1", "connect"), ("M1", "accept")]
    assert tell(database, "S2") == [("S2", "connect"), ("M2", "accept")]


def test_one_line_per_event_with_the_time_of_the_event(
    journal: Journal, clock: Clock, logged: list[str]
) -> None:
    journal.record("M1", "accept", "ok", session="S1", size=3, tls=True, delay=0.25)
    clock.advance(5)
    (line,) = logged
    assert line.endswith("id=M1 step=accept result=ok session=S1 size=3 tls=yes delay=0.250\n")


def test_every_observer_gets_every_event_and_hears_when_more_follow(
    journal: Journal, clock: Clock
) -> None:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        for number in range(3):
            clock.advance(0.01)
            journal.record(f"M{number}", "remove")
        clock.advance(1)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [str(event["line"]) for event in events] == [f"id=M{n} step=remove" for n in range(3)]
    assert [event["more"] for event in events] == [True, True, False]
    assert len({event["log_time"] for event in events}) == 3


def test_a_peer_cannot_forge_a_line(journal: Journal, clock: Clock, logged: list[str]) -> None:
    evil = 'a\r\nid=M2 step=accept \x1b[31m"quoted"\u2028 \udc80'
    journal.record("M1", "refuse", helo=evil)
    clock.advance(1)
    assert len(logged) == 1
    assert logged[0].count("\n") == 1
    assert "\x1b" not in logged[0]
    assert 'helo="a\\r\\nid=M2 step=accept \\x1b[31m\\"quoted\\"\\u2028 \\udc80"' in logged[0]


def test_secrets_are_hidden(
    journal: Journal, clock: Clock, logged: list[str], database: Database
) -> None:
    journal.record("S1", "login", account="ann@here.test", password="hunter2")
    clock.advance(1)
    assert "hunter2" not in "".join(logged)
    (entry,) = now(database.read(lambda connection: story(connection, "S1")))
    assert entry.detail["password"] == "[hidden]"


def test_strange_text_does_not_fail_the_batch(
    journal: Journal, clock: Clock, database: Database
) -> None:
    journal.record("S1", "refuse", "x\udc80", forward_path="a\udcff\0@b.test", reason="\udc00")
    journal.record("S2", "connect")
    clock.advance(1)
    assert journal.dropped == 0
    assert find(database, "S2") == ["S2"]
    assert len(tell(database, "S1")) == 1


class Stuck:
    """A database whose writes never end, or always fail."""

    def __init__(self, outcome: Deferred[Any]) -> None:
        self.outcome = outcome

    def write(self, job: object) -> Deferred[Any]:
        return self.outcome


def test_a_slow_writer_costs_events_not_memory(clock: Clock) -> None:
    journal = Journal(Stuck(Deferred()), clock, 60, buffer=10, log_events=False)  # type: ignore[arg-type]
    for _ in range(8):
        journal.record("S1", "connect")
    clock.advance(1)
    for _ in range(8):
        journal.record("S1", "connect")
    assert journal.dropped == 6


def test_a_failing_writer_is_logged_and_counted(clock: Clock, logged: list[str]) -> None:
    broken = Stuck(fail(sqlite3.OperationalError("disk I/O error")))
    journal = Journal(broken, clock, 60, log_events=False)  # type: ignore[arg-type]
    journal.record("S1", "connect")
    clock.advance(1)
    assert journal.dropped == 1
    assert "1 events could not be journalled" in logged[0]


def test_old_pages_go_in_small_batches(
    journal: Journal, clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FORGET", 10)
    monkeypatch.setattr(pages, "_CHAPTER", 8)
    for number in range(25):
        journal.record(f"OLD{number}", "accept", forward_path=["ann@here.test"])
        now(journal.flush())
    clock.advance(86000)
    journal.record("NEW", "accept", forward_path=["ann@here.test"])
    now(journal.flush())
    clock.advance(500)
    journal.start()
    clock.advance(0)
    assert len(find(database, "ann@here.test")) == 16
    clock.pump([0.3, 0.3, 0.3])
    assert find(database, "ann@here.test") == ["NEW"]
    assert find(database, "OLD24") == []
    marks = now(database.read(lambda c: c.execute("SELECT count(*) FROM marks").fetchone()))
    assert marks[0] <= 8  # of the last chapter
    now(journal.stop())
    assert clock.getDelayedCalls() == []


def test_a_journal_that_forgot_everything_begins_anew(
    journal: Journal, clock: Clock, database: Database
) -> None:
    for name in ("OLD", "NEW"):
        journal.record(name, "accept", forward_path=["ann@here.test"])
        now(journal.flush())
        assert find(database, "ann@here.test") == [name]
        clock.advance(90_000)
        journal.start()
        clock.advance(0)
        now(journal.stop())
        assert find(database, "ann@here.test") == []
    assert now(database.read(lambda c: c.execute("SELECT * FROM marks").fetchall())) == []


def test_stories_go_over_pages_and_chapters(
    journal: Journal, clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_PAGE", 2)
    monkeypatch.setattr(pages, "_CHAPTER", 1)
    one_message(journal, clock)
    journal.record("M2", "accept", forward_path=["ann@here.test"])
    now(journal.flush())
    found = now(database.read(lambda c: c.execute("SELECT max(chapter) FROM pages").fetchone()))
    assert found[0] > 1
    assert [step for _, step in tell(database, "M1")] == [
        "connect",
        "tls",
        "refuse",
        "accept",
        "disconnect",
        "attempt",
    ]
    assert find(database, "ann@here.test") == ["M1", "M2"]
    assert now(database.read(lambda c: ids_of(c, "ann@here.test", 1))) == ["M2"]


def test_words_with_the_same_checksum_are_told_apart(
    journal: Journal, clock: Clock, database: Database
) -> None:
    names = ("plumless", "buckeroo")
    assert len({zlib.crc32(name.encode()) for name in names}) == 1
    for name in names:
        journal.record(name, "accept", forward_path=[f"{name}@here.test"])
        now(journal.flush())
    for name in names:
        assert tell(database, name) == [(name, "accept")]
        assert find(database, f"{name}@here.test") == [name]


def _insert_as_before(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO events VALUES (1, 1.0, 'S1', '', 'connect', '', '{}')")


def test_a_journal_of_before_begins_anew(tmp_path: Path) -> None:
    path = str(tmp_path / "old.db")
    for migrations in (MIGRATIONS[:1], MIGRATIONS):
        database = Database(path, migrations, None, durable=False)
        database.open()
        if migrations == MIGRATIONS:
            assert find(database, "S1") == []
        else:
            now(database.write(_insert_as_before))
        database.close()


def test_stop_writes_what_is_left(journal: Journal, clock: Clock, database: Database) -> None:
    journal.start()
    clock.advance(0)
    journal.record("S1", "connect")
    now(journal.stop())
    assert find(database, "S1") == ["S1"]
    assert clock.getDelayedCalls() == []


def test_searches_use_an_index(journal: Journal, clock: Clock, database: Database) -> None:
    one_message(journal, clock)
    clock.advance(1)

    def plans(connection: sqlite3.Connection) -> str:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        ids_of(connection, "nobody@here.test")
        story(connection, "M1")
        connection.set_trace_callback(None)
        statements.append("DELETE FROM marks WHERE chapter < 5")
        assert len(statements) > 5
        rows = [connection.execute(f"EXPLAIN QUERY PLAN {s}").fetchall() for s in statements]
        return str(rows)

    plan = now(database.read(plans))
    assert "SCAN marks" not in plan
    assert "SEARCH pages" in plan
