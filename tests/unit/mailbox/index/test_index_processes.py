"""Two processes on one account: each finds out what the other did, and waits where it must."""

from __future__ import annotations

import os
import sqlite3
import string
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailframe.core.folders import FolderChange
from mailframe.errors import FolderRefused, TransientFailure
from mailframe.mailbox.index import missed
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.mailbox.paths import account_lock
from mailframe.runtime.disk import Disk
from mailframe.runtime.exclusion import exclusive
from tests.unit.mailbox.house import ANN, House, done
from tests.unit.mailbox.index.indexed import Indexed, add, append, now, remove


@pytest.fixture
def other(indexed: Indexed) -> Iterator[Indexed]:
    """Another process on the same directory."""
    other = Indexed(House(indexed.house.base))
    yield other
    other.live.indexes.close()


def told(folder: IndexedFolder) -> list[FolderChange]:
    changes: list[FolderChange] = []
    folder.subscribe(changes.append)
    return changes


def home(indexed: Indexed) -> Path:
    return indexed.house.maildir.parent


def test_what_the_other_did_is_told_once(indexed: Indexed, other: Indexed) -> None:
    here, there = indexed.folder(), other.folder()
    append(here, b"a\r\n", b"b\r\n", b"c\r\n")
    changes = told(there)
    now(there.refresh())
    now(here.store([2], add("\\Seen")))
    now(here.expunge([1]))
    now(there.refresh())
    now(there.refresh())
    assert [(list(c.arrived), list(c.changed), list(c.vanished)) for c in changes] == [
        ([1, 2, 3], [], []),
        ([], [2], [1]),
    ]
    assert there.messages == here.messages
    assert (there.uid_next, there.highest_modseq) == (here.uid_next, here.highest_modseq)
    assert now(there.live.vanished(1)) == [1]


def test_a_job_catches_up_before_it_tells_what_it_did(indexed: Indexed, other: Indexed) -> None:
    here, there = indexed.folder(), other.folder()
    append(here, b"a\r\n", b"b\r\n")
    changes = told(there)
    assert append(there, b"c\r\n").uids == [3]
    assert [list(change.arrived) for change in changes] == [[1, 2], [3]]
    outcome = now(there.store([1, 2], add("\\Seen")))
    assert list(outcome.changed) == [1, 2]
    assert [state.flags for state in there.messages.values()] == [{"\\Seen"}, {"\\Seen"}, set()]


def test_a_keyword_without_a_letter(indexed: Indexed, other: Indexed) -> None:
    here, there = indexed.folder(), other.folder()
    append(here, b"a\r\n")
    now(here.store([1], add(*(f"${letter}" for letter in string.ascii_lowercase))))
    for name in ("new", "cur"):  # long ago: the directories say that nothing happened
        os.utime(indexed.house.maildir / name, (1_600_000_000, 1_600_000_000))
    now(there.refresh())
    assert not there.live.place.is_doubtful
    now(here.store([1], add("$AndOneMore")))
    now(there.refresh())
    assert "$AndOneMore" in there.messages[1].flags


def test_nobody_else_has_the_same_recent(indexed: Indexed, other: Indexed) -> None:
    here, there = indexed.folder(), other.folder()
    append(here, b"a\r\n", b"b\r\n")
    now(there.refresh())
    recent = now(here.claim_recent())
    assert (recent.first, recent.end) == (1, 3)
    recent = now(there.claim_recent())
    assert recent.first == recent.end
    append(here, b"c\r\n")
    now(here.claim_recent())
    now(there.refresh())
    assert there.live.status().recent == 0


def test_what_the_other_found_in_new_leaves_it(indexed: Indexed, other: Indexed) -> None:
    here, there = indexed.folder(), other.folder()
    indexed.house.deliver(b"a\r\n")
    now(here.refresh())
    now(there.store([], add("\\Seen")))  # no look at the directories
    now(there.claim_recent())
    [name] = indexed.house.files("*/1*")
    assert name.startswith("cur/")


def test_a_log_that_does_not_reach_back(
    indexed: Indexed, other: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailframe.mailbox.index import place

    here, there = indexed.folder(), other.folder()
    append(here, *(b"%d\r\n" % number for number in range(8)))
    now(there.refresh())
    monkeypatch.setattr(place, "_LOG_LIMIT", 2)
    for uid in (2, 3, 5, 7):
        now(here.expunge([uid]))
    append(here, b"new\r\n")
    now(there.refresh())
    assert list(there.messages) == [1, 4, 6, 8, 9]
    assert there.messages == here.messages


def test_status_brings_messages_that_nobody_was_told_of(indexed: Indexed) -> None:
    folder = indexed.folder()
    indexed.house.clock.advance(100)
    now(folder.refresh())
    indexed.house.deliver(b"a\r\n")
    now(indexed.live._count((ANN, "INBOX")))  # as when it began before the folder was opened
    now(folder.refresh())
    assert list(folder.messages) == [1]


def test_a_rename_is_followed(indexed: Indexed, other: Indexed) -> None:
    path = indexed.make("Old")
    here, there = indexed.folder("Old"), other.folder("Old")
    append(here, b"a\r\n")
    os.rename(path, indexed.house.maildir / ".New")
    now(indexed.live.renamed(ANN, "Old", "New"))
    append(here, b"b\r\n")
    done(there.live.run(lambda connection: None))
    assert list(there.messages) == [1, 2]
    assert now(there.contents([2])) == {2: b"b\r\n"}
    assert append(there, b"c\r\n").uids == [3]
    assert other.folder("New").live is there.live
    with pytest.raises(FolderRefused):
        other.folder("Old")


def test_two_folders_change_places(indexed: Indexed, other: Indexed) -> None:
    one, two = indexed.make("One"), indexed.make("Two")
    append(indexed.folder("One"), b"one\r\n")
    append(indexed.folder("Two"), b"two\r\n")
    there = other.folder("One")
    aside = indexed.house.maildir / ".Aside"
    for source, target in ((one, aside), (two, one), (aside, two)):
        os.rename(source, target)
        names = [path.name.removeprefix(".") for path in (source, target)]
        now(indexed.live.renamed(ANN, *names))
    done(there.live.run(lambda connection: None))
    assert there.live.place.folder == "Two"
    assert now(there.contents([1])) == {1: b"one\r\n"}
    assert now(other.folder("One").contents([1])) == {1: b"two\r\n"}


def test_a_folder_that_the_other_deleted_is_empty(indexed: Indexed, other: Indexed) -> None:
    path = indexed.make("Work")
    here, there = indexed.folder("Work"), other.folder("Work")
    append(here, b"a\r\n")
    now(there.refresh())
    changes = told(there)
    os.rename(path, indexed.house.base / "away")
    now(indexed.live.forget(ANN, "Work"))
    done(other.folder().live.run(lambda connection: None))
    assert not there.messages
    assert [list(change.vanished) for change in changes] == [[1]]
    with pytest.raises(FolderRefused):
        now(there.refresh())


def test_numbers_of_folders_are_not_used_again(indexed: Indexed, other: Indexed) -> None:
    path = indexed.make("Work")
    here, there = indexed.folder("Work"), other.folder("Work")
    append(here, b"of the old one\r\n")
    now(there.refresh())
    os.rename(path, indexed.house.base / "away")
    now(indexed.live.forget(ANN, "Work"))
    indexed.make("Work")
    append(indexed.folder("Work"), b"of the new one\r\n")
    # before it has heard of anything
    assert now(there.contents([1])) == {}
    assert now(other.folder("Work").contents([1])) == {1: b"of the new one\r\n"}


def test_a_new_folder_that_both_open_is_one(indexed: Indexed, other: Indexed) -> None:
    path = indexed.house.maildir / ".Plain"
    for name in ("new", "cur", "tmp"):
        (path / name).mkdir(parents=True)
    here, there = indexed.folder("Plain"), other.folder("Plain")
    assert here.mailbox_id == there.mailbox_id
    assert here.uid_validity == there.uid_validity


# ---- a file that is begun anew


def spoil(indexed: Indexed) -> None:
    with open(indexed.live.indexes.of(ANN).path, "r+b") as file:
        file.write(b"no database at all" * 400)


@pytest.mark.parametrize("inode", ["another", "the same"])
def test_uids_of_an_index_that_the_other_threw_away(
    indexed: Indexed, other: Indexed, inode: str
) -> None:
    here, there = indexed.folder(), other.folder()
    append(here, b"a\r\n", b"b\r\n")
    now(here.expunge([1]))
    now(there.refresh())
    indexed.live.indexes.close()
    other.live.indexes.close()
    spoil(indexed)
    indexed.restart()
    again = indexed.folder()
    assert list(again.messages) == [1]
    index = there.live.index
    if inode == "the same":  # file systems give numbers again
        index._inode = os.stat(index.path).st_ino
        with pytest.raises(TransientFailure):
            now(there.contents([2]))
    with pytest.raises(TransientFailure):
        now(there.store([2], add("\\Seen")))
    with pytest.raises(TransientFailure):
        now(there.contents([2]))
    assert other.folder().uid_validity == again.uid_validity > there.uid_validity


def test_the_mark_is_written_before_anybody_else_commits(
    indexed: Indexed, other: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = indexed.folder(), other.folder()
    mark = here.live.index._mark
    seen: list[bool] = []
    write = mark.write

    def late(commit: Any) -> None:
        seen.append(Disk().lock(account_lock(str(home(indexed)))) is None)
        write(commit)

    monkeypatch.setattr(mark, "write", late)
    append(here, b"a\r\n")
    assert seen == [True]
    generation = there.live.index.generation
    for number in range(3):
        append(there, b"%d\r\n" % number)
        append(here, b"%d\r\n" % number)
        here.live.index.close()
        there.live.index.close()
    assert there.live.index.generation == generation


# ---- waiting


def in_a_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def test_who_waits_for_the_account_goes_on_when_it_is_free(indexed: Indexed) -> None:
    folder = indexed.folder()
    held, begun = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(Disk(), account_lock(str(home(indexed)))):
            held.set()
            begun.wait(5)

    thread = in_a_thread(hold)
    held.wait(5)
    timer = threading.Timer(0.2, begun.set)
    timer.start()
    assert append(folder, b"a\r\n").uids == [1]
    thread.join()


def test_patience_ends(tmp_path: Path) -> None:
    lock = Disk().lock(str(tmp_path / "lock"))
    assert lock is not None
    with pytest.raises(TransientFailure), exclusive(Disk(), str(tmp_path / "lock"), 0.05):
        raise AssertionError
    lock.release()
    with exclusive(Disk(), str(tmp_path / "lock")), exclusive(Disk(), str(tmp_path / "lock")):
        assert Disk().lock(str(tmp_path / "lock")) is None
    assert Disk().lock(str(tmp_path / "lock")) is not None


# ---- what is committed before


def test_names_of_an_append_of_several_are_noted_before_and_with_it_alone(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = indexed.folder()
    disk, seen = indexed.house.disk, []
    rename = disk.rename

    def look(source: str, target: str) -> None:
        with sqlite3.connect(folder.live.index.path) as connection:
            seen.append(connection.execute("SELECT count(*) FROM pending").fetchone()[0])
        connection.close()
        rename(source, target)

    monkeypatch.setattr(disk, "rename", look)
    append(folder, b"a\r\n", b"b\r\n", b"c\r\n")
    assert seen == [3, 3, 3], "as a power cut would leave it"
    assert now(_pending(folder)) == 0
    now(folder.store([1], remove("\\Seen")))


async def _pending(folder: IndexedFolder) -> int:
    return await folder.live.index.read(
        lambda connection: connection.execute("SELECT count(*) FROM pending").fetchone()[0]
    )


def test_missed_is_nothing_where_nothing_was(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n")
    live = folder.live
    found = done(
        live.index.read(
            lambda connection: missed.look_for_missed(
                connection, live.place.id, live.uid_validity, live.highest_modseq
            )
        )
    )
    assert isinstance(found, missed.Missed)
    assert (found.states, found.vanished, found.left) == ([], (), None)
    assert isinstance(indexed.house.clock, Clock)
