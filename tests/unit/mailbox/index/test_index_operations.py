"""What sessions do to a folder."""

from __future__ import annotations

import os
from typing import Any

import pytest

from mailframe.core.events import (
    MessageArrived,
    MessagesCopied,
    MessagesMoved,
    MessagesRemoved,
)
from mailframe.core.facts import Fact
from mailframe.core.folders import FolderReason, NewMessage, Recent
from mailframe.errors import FolderRefused, MessageGone, TransientFailure
from mailframe.interfaces import ICopying, IFolder, IFolderFacts, ISearching, IVanished
from mailframe.mailbox.quota import Quota
from tests.unit.mailbox.house import ANN, done
from tests.unit.mailbox.index.indexed import Indexed, add, append, now, remove, replace


def test_it_is_what_it_says(indexed: Indexed) -> None:
    folder = indexed.folder()
    for interface in (IFolder, IFolderFacts, IVanished, ICopying, ISearching):
        assert interface.providedBy(folder)


def test_recent_is_claimed_once_and_new_is_left_alone_until_then(indexed: Indexed) -> None:
    indexed.house.deliver(b"a\r\n", "1")
    folder = indexed.folder()
    assert now(indexed.live.status(ANN, "INBOX")).recent == 1
    assert [name.partition("/")[0] for name in indexed.house.files("[cn]??/*")] == ["new"]
    assert now(folder.claim_recent()) == Recent(1, 2)
    assert [name.partition("/")[0] for name in indexed.house.files("[cn]??/*")] == ["cur"]
    assert now(folder.claim_recent()) == Recent(2, 2)
    indexed.restart()
    assert now(indexed.folder().claim_recent()) == Recent(2, 2)
    assert list(indexed.folder().messages) == [1]


def test_flags_are_letters_and_keywords_keep_their_first_spelling(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n", b"b\r\n")
    now(folder.store([1], add("$Work", "\\seen")))
    assert now(folder.store([1], add("$WORK"))).changed == []
    now(folder.store([2], replace("$work", "\\Draft")))
    assert folder.messages[1].flags == {"$Work", "\\Seen"}
    assert folder.messages[2].flags == {"$Work", "\\Draft"}
    names = {name.partition(":")[2] for name in indexed.house.files("cur/*")}
    assert names == {"2,Sa", "2,Da"}
    assert (indexed.house.maildir / "dovecot-keywords").read_text() == "0 $Work\n"
    now(folder.store([1, 2], remove("$Work")))
    assert folder.messages[1].flags == {"\\Seen"}


def test_keywords_beyond_the_alphabet_live_in_the_index(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n")
    many = [f"k{number:02}" for number in range(40)]
    now(folder.store([1], add(*many)))
    assert folder.messages[1].flags == set(many)
    [path] = (indexed.house.maildir / "cur").iterdir()
    os.rename(path, path.with_name(path.name.replace(":2,", ":2,S")))
    now(folder.refresh())
    assert folder.messages[1].flags == {*many, "\\Seen"}
    indexed.restart()
    assert indexed.folder().messages[1].flags == {*many, "\\Seen"}


def test_store_unchanged_since(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n", b"b\r\n")
    modseq = folder.highest_modseq
    now(folder.store([2], add("\\Seen")))
    outcome = now(folder.store([1, 2, 3], add("\\Flagged"), unchanged_since=modseq))
    assert (outcome.changed, outcome.refused, outcome.gone) == ([1], [2], [3])
    assert folder.messages[2].flags == {"\\Seen"}
    assert folder.messages[1].modseq == folder.highest_modseq > modseq


def test_store_where_another_program_renamed_and_removed(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n", b"b\r\n")
    paths = sorted((indexed.house.maildir / "cur").iterdir())
    os.rename(paths[0], f"{paths[0]}FP")
    paths[1].unlink()
    outcome = now(folder.store([1, 2], add("\\Seen")))
    assert (outcome.changed, outcome.gone) == ([1], [2])
    now(folder.refresh())
    assert list(folder.messages) == [1]
    [path] = (indexed.house.maildir / "cur").iterdir()
    assert path.name.endswith(":2,PS"), "a letter that is no flag stays"


def test_expunge_tells_and_remembers(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n", b"b\r\n", b"c\r\n")
    before = folder.highest_modseq
    told: list[Any] = []
    unsubscribe = folder.subscribe(told.append)
    assert list(now(folder.expunge([1, 3, 7]))) == [1, 3, 7]
    assert [change.vanished for change in told] == [[1, 3]]
    assert [type(event) for event in indexed.house.rung].count(MessagesRemoved) == 1
    assert now(folder.vanished(before)) == [1, 3]
    assert now(folder.vanished(folder.highest_modseq)) == []
    unsubscribe()
    now(folder.expunge([2]))
    assert len(told) == 1
    assert append(folder, b"d\r\n").uids == [4]


def test_the_vanished_log_is_bounded(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailframe.mailbox.index.place._LOG_LIMIT", 4)
    folder = indexed.folder()
    append(folder, *[b"a\r\n"] * 12)
    middle = 0
    for uid in range(1, 11):
        now(folder.expunge([uid]))
        middle = folder.highest_modseq if uid == 9 else middle
    assert now(folder.vanished(middle)) == [10]
    assert set(now(folder.vanished(1))) >= set(range(1, 11))
    assert not set(now(folder.vanished(1))) & {11, 12}


def test_append_is_all_or_none(indexed: Indexed) -> None:
    folder = indexed.folder()
    appending = folder.receive()
    now(appending.begin(NewMessage(), 3))
    now(appending.write(b"a\r\n"))
    now(appending.begin(NewMessage(), None))
    now(appending.write(b"x" * 400_000))
    assert folder.messages == {}
    appending.abort()
    appending.abort()
    assert indexed.house.files("[cnt][ume][rwp]/*") == []
    with pytest.raises(TransientFailure):
        now(appending.write(b"x" * 400_000))


def test_append_keeps_octets_times_and_flags(indexed: Indexed) -> None:
    folder = indexed.folder()
    indexed.house.rung.clear()
    outcome = append(folder, b"a\r\nb", flags=["\\Seen"], received=1_000_000_000.7)
    assert outcome.uids == [1]
    state = folder.messages[1]
    assert (state.size, state.received, state.saved) == (4, 1_000_000_000, 1_700_000_001)
    assert now(folder.contents([1, 5])) == {1: b"a\r\nb"}
    [path] = (indexed.house.maildir / "cur").iterdir()
    assert path.stat().st_mtime == 1_000_000_000
    assert [type(event) for event in indexed.house.rung] == [MessageArrived]
    source = now(folder.open(1))
    assert source.size == 4
    with pytest.raises(MessageGone):
        now(folder.open(9))


def test_quota(indexed: Indexed) -> None:
    indexed.house.quota = lambda account: Quota(octets=100, messages=4)
    folder = indexed.folder()
    append(folder, b"x" * 60)
    for octets in (60, None):
        appending = folder.receive()

        async def put(appending: Any = appending, octets: int | None = octets) -> None:
            await appending.begin(NewMessage(), octets)
            await appending.write(b"x" * 60)
            await appending.commit()

        with pytest.raises(FolderRefused) as caught:
            now(put())
        assert caught.value.reason is FolderReason.OVER_QUOTA
        appending.abort()
    indexed.make("Work")
    with pytest.raises(FolderRefused):
        now(folder.copy([1], indexed.folder("Work")))
    assert list(now(folder.move([1], indexed.folder("Work"))).targets) == [1]
    now(indexed.folder("Work").expunge([1]))
    append(folder, b"x" * 90)


def test_copy_links_and_move_renames(indexed: Indexed) -> None:
    indexed.make("Junk")
    folder, junk = indexed.folder(), indexed.folder("Junk")
    append(folder, b"a\r\n", b"b\r\n", flags=["$Work"], received=1_000_000_000)
    [inode] = {p.stat().st_ino for p in (indexed.house.maildir / "cur").iterdir()} & {
        min(p.stat().st_ino for p in (indexed.house.maildir / "cur").iterdir())
    }
    indexed.house.rung.clear()
    outcome = now(folder.copy([1, 2, 9], junk))
    [copied] = indexed.house.rung
    assert isinstance(copied, MessagesCopied)
    assert (copied.source, copied.target, copied.uids) == ("", "Junk", (1, 2))
    assert (copied.source_use, copied.target_use) == (set(), {"\\Junk"})
    assert (outcome.sources, outcome.targets) == ([1, 2], [1, 2])
    assert inode in {p.stat().st_ino for p in (indexed.house.maildir / ".Junk/cur").iterdir()}
    assert junk.messages[1].flags == {"$Work"}
    assert junk.messages[1].received == 1_000_000_000
    indexed.house.rung.clear()
    outcome = now(folder.move([2], junk))
    assert (list(folder.messages), list(junk.messages)) == ([1], [1, 2, 3])
    [moved] = indexed.house.rung
    assert isinstance(moved, MessagesMoved)
    assert (moved.source, moved.target, moved.uids) == ("", "Junk", (3,))
    assert (moved.source_use, moved.target_use) == (set(), {"\\Junk"})
    indexed.restart()
    assert list(indexed.folder("Junk").messages) == [1, 2, 3]


def test_copy_and_move_within_one_folder(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n")
    assert list(now(folder.copy([1], folder)).targets) == [2]
    assert list(now(folder.move([1], folder)).targets) == [3]
    assert list(folder.messages) == [2, 3]
    now(folder.refresh())
    assert list(folder.messages) == [2, 3]


def test_copy_and_move_to_another_account(indexed: Indexed) -> None:
    folder, other = indexed.folder(), indexed.folder(account="bob@example.org")
    append(folder, b"a\r\n", b"b\r\n", flags=["\\Seen"])
    assert list(now(folder.copy([1], other)).targets) == [1]
    assert list(now(folder.move([1, 2], other)).targets) == [2, 3]
    assert (list(folder.messages), list(other.messages)) == ([], [1, 2, 3])
    assert set(now(other.contents([1, 2, 3])).values()) == {b"a\r\n", b"b\r\n"}
    assert now(folder.vanished(0)) == [1, 2]


def test_facts_are_read_once_and_shared_by_copies(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"Subject: x\r\n\r\ny\r\n")
    facts = now(folder.facts([1, 9], Fact.ENVELOPE | Fact.IDS))
    assert list(facts) == [1]
    assert b'"x"' in facts[1].envelope
    assert facts[1].structure == b""
    now(folder.copy([1], folder))
    assert now(folder.facts([2], Fact.IDS))[2].email_id == facts[1].email_id
    now(folder.expunge([1]))
    assert _rows(folder, "content") == 1
    now(folder.expunge([2]))
    assert [_rows(folder, table) for table in ("content", "heading", "words")] == [0, 0, 0]


def _rows(folder: Any, table: str) -> int:
    read = folder.live.index.read(
        lambda connection: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    )
    number: int = done(read)
    return number


def test_push_of_deliveries_and_other_programs(indexed: Indexed) -> None:
    folder = indexed.folder()
    told: list[Any] = []
    unsubscribe = folder.subscribe(told.append)
    indexed.house.deliver(b"a\r\n", "1")
    assert [change.arrived for change in told] == [[1]]
    (indexed.house.maildir / "new" / "1600000000.1.host").write_bytes(b"b\n")
    indexed.house.clock.advance(2)
    assert [change.arrived for change in told] == [[1], [2]]
    unsubscribe()
    (indexed.house.maildir / "new" / "1600000001.1.host").write_bytes(b"b\n")
    indexed.house.clock.advance(10)
    assert len(told) == 2


def test_a_listener_that_fails_is_not_the_others_business(indexed: Indexed) -> None:
    folder = indexed.folder()
    told: list[Any] = []
    folder.subscribe(lambda change: told[5])
    folder.subscribe(told.append)
    append(folder, b"a\r\n")
    assert len(told) == 1


def test_maildirsize_is_kept_up(indexed: Indexed) -> None:
    folder = indexed.folder()
    file = indexed.house.maildir / "maildirsize"
    file.write_text("1000S\n")
    append(folder, b"a\r\n")
    now(folder.copy([1], folder))
    now(folder.expunge([1, 2]))
    assert file.read_text() == "1000S\n2 1\n2 1\n-4 -2\n"
