"""COPY, MOVE and EXPUNGE: what is where afterwards, and what is said of it."""

from __future__ import annotations

import pytest

from mailframe.errors import FolderRefused
from mailframe.protocols.imap.commands import Close, Copy, Expunge, MessageSet
from mailframe.servers.imap import ImapLimits
from mailframe.servers.imap_copy import copy
from mailframe.servers.imap_expunge import close, expunge
from mailframe.servers.imap_outcome import Refused, Status
from tests.unit.servers.imap_talk import CopyingFolder, MemoryFolder, Talk

ALL = MessageSet(((1, None),))


def filled(cls: type[MemoryFolder], *, rights: str = "lrswipkxtea") -> MemoryFolder:
    folder = cls(rights=rights)
    for number in range(3):
        folder.put(b"Subject: %d\r\n\r\n" % number, "\\Seen", "work")
    return folder


@pytest.fixture(params=["copies", "reads", "other storage"])
def talk(request: pytest.FixtureRequest) -> Talk:
    """Its second folder is Archive."""
    here = MemoryFolder if request.param == "reads" else CopyingFolder
    there = CopyingFolder if request.param == "copies" else MemoryFolder
    target = there("Archive")
    target.uid_validity = 99
    target.put()
    return Talk(filled(here), target)


def test_copy(talk: Talk) -> None:
    outcome = talk.do(copy(talk, Copy(ALL, False, "Archive", move=False)))
    assert (outcome.status, outcome.code) == (Status.OK, "COPYUID 99 1:3 2:4")
    target = talk.account.by_name["Archive"]
    assert target.octets[2] == b"Subject: 0\r\n\r\n"
    assert target.messages[4].flags == {"\\Seen", "work"}
    assert talk.sent == b""


def test_move(talk: Talk) -> None:
    messages = MessageSet(((1, 1), (3, 3)))
    outcome = talk.do(copy(talk, Copy(messages, True, "Archive", move=True)))
    assert outcome.code == ""
    assert talk.lines == [b"* OK [COPYUID 99 1,3 2:3] Moved", b"* 3 EXPUNGE", b"* 1 EXPUNGE"]
    assert list(talk.open_folder().folder.messages) == [2]


def test_move_with_qresync(talk: Talk) -> None:
    talk.engine.enabled = {"QRESYNC"}
    outcome = talk.do(copy(talk, Copy(ALL, True, "Archive", move=True)))
    assert talk.lines[1:] == [b"* VANISHED 1:3"]
    assert outcome.code.startswith("HIGHESTMODSEQ ")


def test_no_such_folder(talk: Talk) -> None:
    with pytest.raises(Refused) as caught:
        talk.do(copy(talk, Copy(ALL, False, "Nowhere", move=False)))
    assert caught.value.code == "TRYCREATE"


def test_nothing_to_copy(talk: Talk) -> None:
    outcome = talk.do(copy(talk, Copy(MessageSet(((77, 77),)), True, "Archive", move=False)))
    assert (outcome.status, outcome.code) == (Status.OK, "")


def test_all_or_none(talk: Talk) -> None:
    del talk.account.by_name["INBOX"].messages[2]
    with pytest.raises(Refused) as caught:
        talk.do(copy(talk, Copy(ALL, False, "Archive", move=False)))
    assert caught.value.code == "EXPUNGEISSUED"
    outcome = talk.do(copy(talk, Copy(ALL, True, "Archive", move=False)))
    assert outcome.code == "COPYUID 99 1,3 2:3"


@pytest.mark.parametrize(("rights", "move"), [("lr", True), ("lrt", True), ("ls", False)])
def test_rights_here(rights: str, move: bool) -> None:
    talk = Talk(filled(CopyingFolder, rights=rights), CopyingFolder("Archive"))
    with pytest.raises(Refused) as caught:
        talk.do(copy(talk, Copy(ALL, False, "Archive", move=move)))
    assert caught.value.code == "NOPERM"


def test_rights_there() -> None:
    talk = Talk(filled(CopyingFolder), CopyingFolder("Archive", rights="lrs"))
    with pytest.raises(Refused) as caught:
        talk.do(copy(talk, Copy(ALL, False, "Archive", move=False)))
    assert caught.value.code == "NOPERM"


def test_a_read_only_folder_can_be_copied_from_only() -> None:
    talk = Talk(filled(CopyingFolder), CopyingFolder("Archive"), read_only=True)
    with pytest.raises(Refused):
        talk.do(copy(talk, Copy(ALL, False, "Archive", move=True)))
    assert talk.do(copy(talk, Copy(ALL, False, "Archive", move=False))).code


def test_quota_leaves_nothing_behind() -> None:
    source, target = filled(MemoryFolder), MemoryFolder("Archive")
    target.quota = 5
    talk = Talk(source, target)
    with pytest.raises(FolderRefused):
        talk.do(copy(talk, Copy(ALL, False, "Archive", move=True)))
    assert len(source.messages) == 3
    assert not target.messages
    assert [receiving.aborted for receiving in target.receiving] == [True]


def test_what_breaks_off_leaves_nothing_behind() -> None:
    source, target = filled(MemoryFolder), MemoryFolder("Archive")
    source.cut[3] = 4
    talk = Talk(source, target)
    with pytest.raises(Refused):
        talk.do(copy(talk, Copy(ALL, False, "Archive", move=True)))
    assert len(source.messages) == 3
    assert not target.messages
    assert [receiving.aborted for receiving in target.receiving] == [True]


def test_message_limit() -> None:
    talk = Talk(filled(CopyingFolder), CopyingFolder("Archive"), limits=ImapLimits(messages=2))
    with pytest.raises(Refused) as caught:
        talk.do(copy(talk, Copy(ALL, False, "Archive", move=False)))
    assert caught.value.code == "MESSAGELIMIT 2"


def test_message_limit_of_a_move() -> None:
    source, target = filled(CopyingFolder), CopyingFolder("Archive")
    talk = Talk(source, target, limits=ImapLimits(messages=2))
    outcome = talk.do(copy(talk, Copy(ALL, False, "Archive", move=True)))
    assert (outcome.status, outcome.code) == (Status.OK, "MESSAGELIMIT 2 2")
    assert list(source.messages) == [1]
    talk = Talk(filled(CopyingFolder), target, limits=ImapLimits(messages=2))
    talk.engine.enabled = {"CONDSTORE"}
    outcome = talk.do(copy(talk, Copy(ALL, False, "Archive", move=True)))
    assert outcome.code.startswith("HIGHESTMODSEQ")
    assert b"* NO [MESSAGELIMIT 2 2] Only the newest messages were dealt with" in talk.lines


class TestExpunge:
    def folder(self) -> MemoryFolder:
        folder = MemoryFolder()
        for flags in (("\\Deleted",), (), ("\\Deleted",), ("\\Deleted",)):
            folder.put(b"x", *flags)
        return folder

    def test_all(self) -> None:
        talk = Talk(self.folder())
        assert talk.do(expunge(talk, Expunge())).code == ""
        assert talk.lines == [b"* 4 EXPUNGE", b"* 3 EXPUNGE", b"* 1 EXPUNGE"]

    def test_some(self) -> None:
        folder = self.folder()
        talk = Talk(folder)
        talk.engine.enabled = {"QRESYNC"}
        outcome = talk.do(expunge(talk, Expunge(MessageSet(((2, 3),)))))
        assert talk.lines == [b"* VANISHED 3"]
        assert outcome.code == f"HIGHESTMODSEQ {folder.highest_modseq}"

    def test_what_the_client_does_not_know_of_stays(self) -> None:
        folder = self.folder()
        talk = Talk(folder)
        uid = folder.put(b"y", "\\Deleted")
        folder.tell(arrived=[uid])
        talk.do(expunge(talk, Expunge()))
        assert uid in folder.messages

    def test_read_only_and_rights(self) -> None:
        talk = Talk(self.folder(), read_only=True)
        with pytest.raises(Refused):
            talk.do(expunge(talk, Expunge()))
        talk.open_folder().read_only = False
        talk.open_folder().folder.rights = "lrt"
        with pytest.raises(Refused) as caught:
            talk.do(expunge(talk, Expunge()))
        assert caught.value.code == "NOPERM"
        assert talk.do(close(talk, Close(expunge=True))).status is Status.OK
        assert len(talk.open_folder().folder.messages) == 4

    def test_close(self) -> None:
        talk = Talk(self.folder())
        talk.do(close(talk, Close(expunge=False)))
        assert len(talk.open_folder().folder.messages) == 4
        talk.do(close(talk, Close(expunge=True)))
        assert list(talk.open_folder().folder.messages) == [2]
        assert talk.sent == b""
