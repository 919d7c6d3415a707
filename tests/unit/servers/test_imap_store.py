"""STORE: which flags change, and what of it is said to whom."""

from __future__ import annotations

from typing import Any

import pytest

from mailframe.core.folders import FlagChange, FlagMode
from mailframe.errors import FolderRefused
from mailframe.protocols.imap.commands import MessageSet, Store
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.servers.imap_outcome import Refused, Status
from mailframe.servers.imap_store import store
from tests.unit.servers.imap_talk import MemoryFolder, Talk

ALL = MessageSet(((1, None),))


def command(
    *flags: str, mode: FlagMode = FlagMode.ADD, silent: bool = False, uid: bool = False, **more: Any
) -> Store:
    messages = more.pop("messages", ALL)
    return Store(messages, uid, mode, frozenset(flags), silent, **more)


@pytest.fixture
def folder() -> MemoryFolder:
    folder = MemoryFolder()
    folder.put(b"a", "\\Seen")
    folder.put(b"b", "work")
    return folder


def test_tells_every_message_that_was_named(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    assert talk.do(store(talk, command("\\Seen"))).status is Status.OK
    assert talk.lines == [b"* 1 FETCH (FLAGS (\\Seen))", b"* 2 FETCH (FLAGS (\\Seen work))"]
    talk.do(talk.update())
    assert talk.lines == []


def test_uid_store(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    messages = MessageSet(((2, 2), (77, 77)))
    outcome = talk.do(store(talk, command("x", uid=True, messages=messages)))
    assert talk.lines == [b"* 2 FETCH (UID 2 FLAGS (work x))"]
    assert outcome.status is Status.OK


def test_remove_and_replace(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    talk.do(store(talk, command("work", mode=FlagMode.REMOVE)))
    assert folder.messages[2].flags == frozenset()
    talk.do(store(talk, command("\\Draft", mode=FlagMode.REPLACE)))
    assert {state.flags for state in folder.messages.values()} == {frozenset({"\\Draft"})}


def test_silent(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    talk.do(store(talk, command("\\Seen", silent=True)))
    assert talk.lines == []
    talk.do(talk.update())
    assert talk.lines == []


def test_silent_tells_the_mod_sequence_to_those_who_know_it(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    talk.engine.enabled = {"CONDSTORE"}
    talk.do(store(talk, command("\\Seen", silent=True)))
    assert talk.lines == [b"* 2 FETCH (MODSEQ (4))"]


def test_what_another_session_changed_is_told_all_the_same(folder: MemoryFolder) -> None:
    talk, other = Talk(folder), Talk(folder)
    other.do(store(other, command("\\Flagged", silent=True)))
    talk.do(store(talk, command("\\Seen", silent=True)))
    talk.do(talk.update())
    assert [line.split()[1] for line in talk.lines] == [b"1", b"2"]


def test_unchanged_since(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    outcome = talk.do(store(talk, command("x", unchanged_since=2)))
    assert (outcome.status, outcome.code) == (Status.OK, "MODIFIED 2")
    assert talk.lines == [
        b"* OK [HIGHESTMODSEQ 3] From here on",
        b"* 1 FETCH (FLAGS (\\Seen x) MODSEQ (4))",
    ]
    assert "x" not in folder.messages[2].flags


def test_unchanged_since_by_uid(folder: MemoryFolder) -> None:
    del folder.messages[1]
    talk = Talk(folder)
    outcome = talk.do(store(talk, command("x", uid=True, unchanged_since=0)))
    assert outcome.code == "MODIFIED 2"


def test_gone(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    del folder.messages[1]
    outcome = talk.do(store(talk, command("x")))
    assert (outcome.status, outcome.code) == (Status.NO, "EXPUNGEISSUED")
    assert talk.lines == [b"* 2 FETCH (FLAGS (work x))"]


def test_read_only(folder: MemoryFolder) -> None:
    talk = Talk(folder, read_only=True)
    with pytest.raises(Refused) as caught:
        talk.do(store(talk, command("x")))
    assert caught.value.code == "READ-ONLY"
    assert folder.stores == []


def test_recent_is_passed_over_and_what_is_no_flag_is_bad(folder: MemoryFolder) -> None:
    talk = Talk(folder)
    talk.do(store(talk, command("\\RECENT", "\\seen")))
    assert folder.stores[0][1].flags == {"\\Seen"}
    with pytest.raises(BadCommand):
        talk.do(store(talk, command("\\Wrong")))


class TestRights:
    def test_none(self, folder: MemoryFolder) -> None:
        folder.rights = "lr"
        talk = Talk(folder)
        with pytest.raises(FolderRefused):
            talk.do(store(talk, command("\\Seen")))
        with pytest.raises(FolderRefused):
            talk.do(store(talk, command(mode=FlagMode.REPLACE)))

    def test_some(self, folder: MemoryFolder) -> None:
        folder.rights = "lrs"
        talk = Talk(folder)
        talk.do(store(talk, command("\\Seen", "\\Deleted", "x")))
        assert [change.flags for _, change in folder.stores] == [{"\\Seen"}]
        with pytest.raises(FolderRefused):
            talk.do(store(talk, command("\\Deleted")))

    def test_replacing_leaves_alone_what_one_may_not(self, folder: MemoryFolder) -> None:
        folder.rights = "lrs"
        talk = Talk(folder)
        talk.do(store(talk, command("\\Flagged", "\\Seen", mode=FlagMode.REPLACE)))
        assert folder.messages[2].flags == {"work", "\\Seen"}
        talk.do(store(talk, command(mode=FlagMode.REPLACE)))
        assert folder.messages[2].flags == {"work"}
        assert folder.stores[-1][1] == FlagChange(FlagMode.REMOVE, frozenset({"\\Seen"}))

    def test_replacing_within_unchanged_since(self, folder: MemoryFolder) -> None:
        folder.rights = "lrs"
        folder.put(b"c", "\\Seen")
        talk = Talk(folder)
        asked = command(mode=FlagMode.REPLACE, unchanged_since=3)
        outcome = talk.do(store(talk, asked))
        assert outcome.code == "MODIFIED 3"
        assert [sorted(s.flags) for s in folder.messages.values()] == [[], ["work"], ["\\Seen"]]
