"""Which folder is which: lost and damaged indexes, renames, copies, accounts that move in."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from mailframe.core.folders import FolderChange, FolderReason
from mailframe.errors import FolderRefused, TransientFailure
from mailframe.mailbox import folder_file
from tests.unit.mailbox.house import ANN
from tests.unit.mailbox.index.indexed import Indexed, add, append, now


def home(indexed: Indexed) -> Path:
    return indexed.house.maildir.parent


def lose(indexed: Indexed) -> None:
    for path in home(indexed).glob("index.db*"):
        path.unlink()


def test_a_restart_changes_nothing(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n", flags=["\\Seen", "$Work"])
    before = (folder.uid_validity, folder.mailbox_id, folder.uid_next, dict(folder.messages))
    indexed.restart()
    again = indexed.folder()
    assert (again.uid_validity, again.mailbox_id, again.uid_next, dict(again.messages)) == before


def test_a_lost_index_gives_a_greater_uidvalidity(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n", flags=["\\Seen", "$Work"], received=1_000_000_000)
    indexed.live.indexes.close()
    lose(indexed)
    indexed.restart()
    again = indexed.folder()
    assert again.uid_validity > folder.uid_validity
    assert again.mailbox_id == folder.mailbox_id
    [state] = again.messages.values()
    assert state.flags == {"\\Seen", "$Work"}
    assert state.received == 1_000_000_000


def test_a_damaged_index_is_begun_anew(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n")
    indexed.live.indexes.close()
    (home(indexed) / "index.db").write_bytes(b"no database at all" * 1000)
    indexed.restart()
    again = indexed.folder()
    assert again.uid_validity > folder.uid_validity
    assert len(again.messages) == 1


def test_an_index_of_another_version_is_begun_anew(indexed: Indexed) -> None:
    append(indexed.folder(), b"a\r\n")
    indexed.live.indexes.close()
    connection = sqlite3.connect(home(indexed) / "index.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    indexed.restart()
    assert len(indexed.folder().messages) == 1


def test_an_index_that_is_removed_under_us(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n")
    lose(indexed)
    with pytest.raises(TransientFailure):
        now(folder.store([1], add("\\Seen")))
    again = indexed.folder()
    assert again.uid_validity > folder.uid_validity
    assert len(now(again.store([1], add("\\Seen"))).changed) == 1
    with pytest.raises(TransientFailure):  # its uids are those of the old one
        now(folder.expunge([1]))


def test_no_such_folder(indexed: Indexed) -> None:
    with pytest.raises(FolderRefused) as caught:
        indexed.folder("Nowhere")
    assert caught.value.reason is FolderReason.NONEXISTENT


@pytest.mark.parametrize("announced", [True, False], ids=["by us", "by another program"])
def test_a_renamed_folder_keeps_its_uids(indexed: Indexed, announced: bool) -> None:
    path = indexed.make("Old")
    folder = indexed.folder("Old")
    append(folder, b"a\r\n", b"b\r\n")
    now(folder.expunge([1]))
    os.rename(path, indexed.house.maildir / ".New")
    if announced:
        now(indexed.live.renamed(ANN, "Old", "New"))
        append(folder, b"c\r\n")
    again = indexed.folder("New")
    assert again.uid_validity == folder.uid_validity
    assert again.mailbox_id == folder.mailbox_id
    assert list(again.messages) == ([2, 3] if announced else [2])


def test_a_rename_onto_a_name_that_had_a_greater_uidvalidity(indexed: Indexed) -> None:
    path = indexed.make("Old")
    folder = indexed.folder("Old")
    indexed.house.clock.advance(10)
    other = indexed.make("New")
    greater = indexed.folder("New").uid_validity
    shutil.rmtree(other)
    now(indexed.live.forget(ANN, "New"))
    os.rename(path, other)
    now(indexed.live.renamed(ANN, "Old", "New"))
    assert folder.uid_validity > greater


def test_a_folder_that_is_made_again_gets_another_identity(indexed: Indexed) -> None:
    path = indexed.make("Work")
    folder = indexed.folder("Work")
    append(folder, b"a\r\n")
    told: list[FolderChange] = []
    folder.subscribe(told.append)
    shutil.rmtree(path)
    now(indexed.live.forget(ANN, "Work"))
    assert [change.vanished for change in told] == [[1]]
    with pytest.raises(FolderRefused):
        now(folder.refresh())
    indexed.make("Work")
    again = indexed.folder("Work")
    assert again.uid_validity > folder.uid_validity
    assert again.mailbox_id != folder.mailbox_id


def test_a_directory_that_was_copied_is_another_folder(indexed: Indexed) -> None:
    path = indexed.make("Work")
    folder = indexed.folder("Work")
    append(folder, b"a\r\n")
    shutil.copytree(path, indexed.house.maildir / ".Copy")
    copy = indexed.folder("Copy")
    assert copy.mailbox_id != folder.mailbox_id
    assert copy.uid_validity != folder.uid_validity
    assert len(copy.messages) == 1


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"mailbox_id": 1, "uid_validity": 2}'])
def test_a_folder_file_that_cannot_be_used(indexed: Indexed, junk: bytes) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n")
    (indexed.house.maildir / folder_file.FILE).write_bytes(junk)
    indexed.restart()
    again = indexed.folder()
    assert again.uid_validity > folder.uid_validity
    assert len(again.messages) == 1


def test_an_account_moves_in_from_dovecot(indexed: Indexed) -> None:
    cur = indexed.house.maildir / "cur"
    indexed.folder()  # makes the directories
    indexed.live.indexes.close()
    shutil.rmtree(indexed.house.maildir.parent)
    cur.mkdir(parents=True)
    (cur / "1600000002.M1P1.host,S=2,W=3:2,Sa").write_bytes(b"b\n")
    (cur / "1600000001.M1P1.host,S=2,W=3:2,").write_bytes(b"a\n")
    (cur / "1600000003.M1P1.host,S=2,W=3:2,b").write_bytes(b"c\n")
    (indexed.house.maildir / "dovecot-uidlist").write_text(
        "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
        "25006 W3 :1600000002.M1P1.host,S=2,W=3\n"
        "junk\n"
        "25017 :1600000001.M1P1.host,S=2,W=3\n"
    )
    (indexed.house.maildir / "dovecot-keywords").write_text("0 $Forwarded\nx\n1 Work\n")
    indexed.restart()
    folder = indexed.folder()
    assert folder.uid_validity == 1275660208
    assert list(folder.messages) == [25006, 25017, 25022]
    assert folder.messages[25006].flags == {"\\Seen", "$Forwarded"}
    assert folder.messages[25022].flags == {"Work"}
    assert folder.mailbox_id == "3085f01b7f11094c501100008c4a11c1"
    assert folder.highest_modseq > 1_000_000_000, "greater than what clients had from Dovecot"
    indexed.restart()
    assert list(indexed.folder().messages) == [25006, 25017, 25022]
    assert folder_file.new_uid_validity(indexed.house.disk, str(home(indexed)), 5) > 1275660208


def test_an_account_moves_in_from_courier(indexed: Indexed) -> None:
    path = indexed.house.maildir
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    (path / "new" / "1600000001.1.host").write_bytes(b"a\n")
    (path / "courierimapuiddb").write_text("1 1275660208 9\n7 1600000001.1.host\n")
    folder = indexed.folder()
    assert (folder.uid_validity, folder.uid_next, list(folder.messages)) == (1275660208, 9, [7])


@pytest.mark.parametrize(
    "text",
    [
        "", "3\n", "3 V0 N1\n", "4 V1 N1\n", "3 Vx N1\n", "3 V1 N99999999999\n",
        "3 V1 N4294967295\n", "3 V5 N9\n1 :a\n1 :b\n", "3 V5 N9\n0 :a\n", "\0" * 100,
    ],
)  # fmt: skip
def test_a_uidlist_that_contradicts_itself(indexed: Indexed, text: str) -> None:
    path = indexed.house.maildir
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    (path / "cur" / "a:2,").write_bytes(b"a\n")
    (path / "dovecot-uidlist").write_text(text)
    folder = indexed.folder()
    assert folder.uid_validity > 1_700_000_000
    assert list(folder.messages) == [1]


def test_names_that_are_no_text(indexed: Indexed) -> None:
    indexed.folder()
    cur = os.fsencode(indexed.house.maildir / "cur")
    with open(cur + b"/1600000001.\xff\xfe.h\xc3\xa4st:2,S", "wb") as file:
        file.write(b"a\n")
    folder = indexed.folder()
    assert now(folder.contents([1])) == {1: b"a\r\n"}
    assert now(folder.store([1], add("\\Flagged"))).changed == [1]
    assert os.listdir(cur) == [b"1600000001.\xff\xfe.h\xc3\xa4st:2,FS"]
    now(folder.expunge([1]))
    assert os.listdir(cur) == []


def test_a_maildir_that_is_taken_away_is_no_expunge(indexed: Indexed) -> None:
    folder = indexed.folder()
    append(folder, b"a\r\n")
    os.rename(indexed.house.maildir, f"{indexed.house.maildir}.away")
    with pytest.raises(TransientFailure):
        now(folder.refresh())
    os.rename(f"{indexed.house.maildir}.away", indexed.house.maildir)
    now(folder.refresh())
    assert list(folder.messages) == [1]


def test_two_folders_that_change_places_while_they_are_open(indexed: Indexed) -> None:
    maildir = indexed.house.maildir
    a, b = indexed.make("A"), indexed.make("B")
    first, second = indexed.folder("A"), indexed.folder("B")
    append(first, b"a1\r\n")
    append(first, b"a2\r\n")
    append(second, b"b\r\n")
    told: list[FolderChange] = []
    first.subscribe(told.append)
    os.rename(a, maildir / ".swap")
    os.rename(b, a)
    os.rename(maildir / ".swap", b)
    # Whoever had it open sees it gone, and nothing of his gets into the other one.
    with pytest.raises(FolderRefused) as refused:
        append(first, b"wrong\r\n")
    assert refused.value.reason is FolderReason.NONEXISTENT
    assert [change.vanished for change in told] == [[1, 2]]
    after_a, after_b = indexed.folder("A"), indexed.folder("B")
    assert (after_a.mailbox_id, after_b.mailbox_id) == (second.mailbox_id, first.mailbox_id)
    assert [len(after_a.messages), len(after_b.messages)] == [1, 2]
    # The greater UIDVALIDITY stays with its folder; the other name must not go back.
    assert after_a.uid_validity == second.uid_validity
    assert after_b.uid_validity > second.uid_validity
    assert append(after_a, b"new\r\n").uids == [2]


def test_a_folder_put_in_the_place_of_another_is_told_by_status(indexed: Indexed) -> None:
    a = indexed.make("A")
    append(indexed.folder("A"), b"a\r\n")
    held = indexed.folder("A")
    os.rename(a, indexed.house.maildir / ".Away")
    indexed.house.clock.advance(1)
    indexed.make("A")
    status = now(indexed.live.status(ANN, "A"))
    assert (status.messages, status.mailbox_id != held.mailbox_id) == (0, True)
    assert now(indexed.live.status(ANN, "Away")).mailbox_id == held.mailbox_id


def test_folders_of_one_uidvalidity_never_share_a_name(indexed: Indexed) -> None:
    """As accounts bring them that move in."""
    for name in ("A", "B"):
        path = indexed.make(name)
        (path / "mailframe-folder").unlink()
        (path / "courierimapuiddb").write_text("1 5000 7\n")
    assert indexed.folder("A").uid_validity == indexed.folder("B").uid_validity == 5000
    maildir = indexed.house.maildir
    os.rename(maildir / ".A", maildir / ".C")
    assert indexed.folder("C").uid_validity == 5000
    os.rename(maildir / ".B", maildir / ".A")
    assert indexed.folder("A").uid_validity > 5000
    os.rename(maildir / ".C", maildir / ".D")
    os.rename(maildir / ".D", maildir / ".C")
    assert indexed.folder("C").uid_validity == 5000


def test_uidvalidity_survives_its_own_file(indexed: Indexed) -> None:
    folder = indexed.folder()
    indexed.live.indexes.close()
    lose(indexed)
    (home(indexed) / "uidvalidity").unlink()
    indexed.house.clock.rightNow = 100.0
    indexed.restart()
    assert indexed.folder().uid_validity > folder.uid_validity
