"""What is read of messages, when, and where it is read from then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from mailframe.core.facts import LONGEST_HEADER, Fact
from mailframe.core.search import Text
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailbox.index.indexed import Indexed, append, now

SIMPLE = b"From: a@b.example\r\nSubject: Hello\r\n\r\nneedle\r\n"


def counted(indexed: Indexed, table: str) -> int:
    folder = indexed.folder()
    query = f"SELECT count(*) FROM {table}"
    rows = folder.live.index.read(lambda connection: connection.execute(query).fetchone())
    return int(rows.result[0])


def test_fetch_leaves_words_for_later_and_search_reads_them(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, SIMPLE)
    assert b"Hello" in now(folder.facts([1], Fact.ENVELOPE))[1].envelope
    assert (counted(indexed, "header"), counted(indexed, "words")) == (1, 0)
    assert list(now(folder.search(Text("NEEDLE")))) == [1]
    assert counted(indexed, "words") == counted(indexed, "heading") == 1


def test_the_background_reads_all(indexed: Indexed) -> None:
    folder = indexed.folder()
    for number in range(5):
        append(folder, SIMPLE + b"%d\r\n" % number)
    for _ in range(20):
        indexed.house.clock.advance(0.1)
    assert counted(indexed, "content") == counted(indexed, "words") == 5
    append(folder, SIMPLE)
    now(folder.facts([6], Fact.ENVELOPE))
    for _ in range(20):
        indexed.house.clock.advance(0.1)
    assert counted(indexed, "words") == 6


class Held(InlineWorkers):
    """Calls wait for the test."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.waiting.append(lambda: result.callback(function(*args, **kwargs)))
        return result


def test_what_was_begun_is_read_though_nobody_waits_any_more(indexed: Indexed) -> None:
    """Its octets are in memory, of which there may be one large message at a time."""
    folder = indexed.folder()
    for number in range(300):  # two batches
        append(folder, SIMPLE + b"%d\r\n" % number)
    reader, workers = folder.live.around.reader, Held()
    reader._workers = workers
    heard: list[object] = []
    searching = Deferred.fromCoroutine(folder.search(Text("needle")))
    searching.addErrback(lambda failure: heard.append(failure.type))
    searching.cancel()
    assert heard == [CancelledError]
    assert reader._turns[folder.live.index].locked
    (end,) = workers.waiting
    end()
    assert not reader._turns[folder.live.index].locked
    assert len(workers.waiting) == 1  # no other batch was begun
    assert 0 < counted(indexed, "content") < 300


def test_header_sections_are_remembered(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, SIMPLE)
    append(folder, b"Subject: no body\r\n")
    expected = {1: SIMPLE[: SIMPLE.index(b"needle")], 2: b"Subject: no body\r\n"}
    assert now(folder.headers([1, 2, 3])) == expected
    for path in folder.live.place.maildir.files():
        indexed.house.disk.unlink(path[0])
    assert now(folder.headers([1, 2])) == expected


def test_a_long_header_is_not_remembered(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"X: " + b"x" * (LONGEST_HEADER - 3 - 4) + b"\r\n\r\n")
    append(folder, b"X: " + b"x" * (LONGEST_HEADER - 3 - 3) + b"\r\n\r\n")
    assert list(now(folder.headers([1, 2]))) == [1]
    assert len(now(folder.facts([1, 2], Fact.PARTS))) == 2


def test_what_was_read_goes_with_its_last_message(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, SIMPLE)
    append(folder, SIMPLE)
    now(folder.headers([1, 2]))
    assert counted(indexed, "header") == 1
    now(folder.expunge([1]))
    assert counted(indexed, "header") == 1
    now(folder.expunge([2]))
    assert counted(indexed, "header") == counted(indexed, "content") == 0


def test_words_of_a_row_whose_number_is_used_again_are_not_taken(indexed: Indexed) -> None:
    from mailframe.mailbox.index.contents import ReadWords, write_words
    from mailframe.message.searchable import Searchable

    folder = indexed.folder()
    append(folder, SIMPLE)
    now(folder.headers([1]))
    index = folder.live.index
    for email_id, expected in (("Mother", 0), (now(folder.facts([1], Fact.IDS))[1].email_id, 1)):
        words = ReadWords(1, email_id, Searchable())
        index.remember(lambda connection, words=words: write_words(connection, [words]))
        assert counted(indexed, "words") == expected
