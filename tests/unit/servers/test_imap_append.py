"""APPEND, CATENATE and REPLACE, event by event."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused
from mailframe.protocols.imap.commands import AppendOptions, Replaces
from mailframe.protocols.imap.events import (
    AppendBegins,
    AppendBroken,
    AppendEnds,
    MessageBegins,
    MessageEnds,
    TextBegins,
    TextChunk,
    TextEnds,
    UrlGiven,
)
from mailframe.servers.imap import ImapLimits
from mailframe.servers.imap_append import Appending, LineEnds
from mailframe.servers.imap_catenate import parse_url
from tests.unit.servers.imap_talk import MemoryFolder, Talk

NOON = datetime.datetime(2023, 11, 14, 12, tzinfo=datetime.UTC)


def message(
    *chunks: bytes, flags: frozenset[str] = frozenset(), received: Any = None, **more: Any
) -> list[Any]:
    size = sum(map(len, chunks))
    begins = MessageBegins(AppendOptions(flags, received), size, **more)
    return [begins, TextBegins(size), *map(TextChunk, chunks), TextEnds(), MessageEnds()]


def catenated(*parts: bytes | str) -> list[Any]:
    events: list[Any] = [MessageBegins(AppendOptions(), None)]
    for part in parts:
        if isinstance(part, str):
            events.append(UrlGiven(part))
        else:
            events += [TextBegins(len(part)), TextChunk(part), TextEnds()]
    return [*events, MessageEnds()]


def run(talk: Talk, events: Sequence[Any], mailbox: str = "INBOX", **more: Any) -> Any:
    """The tagged response; the engine would give no further event once there is one."""
    appending = Appending(talk)
    for event in (AppendBegins("A1", mailbox, **more), *events, AppendEnds()):
        talk.engine.answers.clear()
        talk.do(appending.serve(event))
        assert len(talk.engine.answers) == 1
        if talk.engine.answers != ["proceed"]:
            break
    return talk.engine.answers[0]


def test_one_message() -> None:
    folder = MemoryFolder()
    folder.put()
    talk = Talk(folder)
    flags = frozenset({"\\Seen", "\\Recent", "work"})
    events = message(b"Subject: x\r\n", b"\r\nbody\r\n", flags=flags, received=NOON)
    assert run(talk, events)[:2] == ("OK", "APPENDUID 7 2")
    assert folder.octets[2] == b"Subject: x\r\n\r\nbody\r\n"
    assert folder.messages[2].flags == {"\\Seen", "work"}
    assert folder.messages[2].received == NOON.timestamp()
    assert talk.lines[0] == b"* 2 EXISTS"


def test_many_at_once_are_there_at_the_end_only() -> None:
    folder = MemoryFolder()
    talk = Talk(folder)
    appending = Appending(talk)
    for event in [AppendBegins("A1", "INBOX"), *message(b"a\r\n"), *message(b"b\r\n")]:
        talk.do(appending.serve(event))
    assert not folder.messages
    talk.do(appending.serve(AppendEnds()))
    assert talk.engine.answers[-1][:2] == ("OK", "APPENDUID 7 1:2")


def test_nothing_of_what_broke_off_stays() -> None:
    folder = MemoryFolder()
    talk = Talk(folder)
    appending = Appending(talk)
    for event in [AppendBegins("A1", "INBOX"), *message(b"a\r\n"), AppendBroken()]:
        talk.do(appending.serve(event))
    assert not folder.messages
    appending.forget()
    assert run(talk, message(b"b"))[:2] == ("OK", "APPENDUID 7 1")


def test_no_such_folder() -> None:
    assert run(Talk(MemoryFolder()), [], "Nowhere")[:2] == ("NO", "TRYCREATE")


def test_no_right() -> None:
    assert run(Talk(MemoryFolder(rights="lrs")), [])[:2] == ("NO", "NOPERM")


def test_flags_that_one_may_not_set_are_left_out() -> None:
    folder = MemoryFolder(rights="lris")
    run(Talk(folder), message(b"a", flags=frozenset({"\\Seen", "\\Deleted", "x"})))
    assert folder.messages[1].flags == {"\\Seen"}


def test_a_flag_that_there_is_not() -> None:
    assert run(Talk(MemoryFolder()), message(b"a", flags=frozenset({"\\Odd"})))[0] == "BAD"


def test_too_big_and_over_quota() -> None:
    folder = MemoryFolder()
    talk = Talk(folder, limits=ImapLimits(append=10))
    assert run(talk, message(b"12345678901"))[:2] == ("NO", "TOOBIG")
    assert run(talk, catenated(b"123456", b"12345"))[:2] == ("NO", "TOOBIG")
    folder.quota = 5
    assert run(talk, message(b"123456"))[:2] == ("NO", "OVERQUOTA")
    assert not folder.messages
    assert all(receiving.aborted for receiving in folder.receiving)
    assert run(talk, [*message(b"12345"), *catenated(b"123456"), *message(b"1")])[0] == "OK"


@pytest.mark.parametrize(
    ("came", "stored"),
    [
        ((b"a\nb\r\nc\n",), b"a\r\nb\r\nc\r\n"),
        ((b"a\r", b"\nb\r", b"c\n"), b"a\r\nb\rc\r\n"),
        ((b"no header",), b"no header"),
        ((), b""),
    ],
)
def test_line_ends(came: tuple[bytes, ...], stored: bytes) -> None:
    folder = MemoryFolder()
    run(Talk(folder), message(*came))
    assert folder.octets[1] == stored


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b"\n\r", b""])))
def test_line_ends_are_the_same_however_cut(chunks: list[bytes]) -> None:
    cut, whole = LineEnds(), LineEnds()
    pieces = b"".join([cut.feed(chunk) for chunk in chunks])
    assert pieces == whole.feed(b"".join(chunks))
    assert pieces.count(b"\n") == pieces.count(b"\r\n")


def test_nul() -> None:
    folder = MemoryFolder()
    assert run(Talk(folder), message(b"a\0b"))[:2] == ("NO", "UNKNOWN-CTE")
    assert not folder.messages


class TestBinary:
    HEADER = b"MIME-Version: 1.0\r\nContent-Type: image/png\r\n"

    def test_is_encoded_where_it_has_to_be(self) -> None:
        folder = MemoryFolder()
        data = self.HEADER + b"Content-Transfer-Encoding: binary\r\n\r\n\0\n\r\xff"
        assert run(Talk(folder), message(data[:70], data[70:], binary=True))[0] == "OK"
        stored = folder.octets[1]
        assert stored is not None
        assert b"base64" in stored
        assert b"AAoN/w==" in stored

    def test_is_left_alone_where_not(self) -> None:
        folder = MemoryFolder()
        data = self.HEADER + b"\r\n\xc3\xa4\r\n"
        run(Talk(folder), message(data, binary=True))
        assert folder.octets[1] == data

    def test_is_refused_where_it_cannot_be(self) -> None:
        folder = MemoryFolder()
        data = b"Subject: \0\r\n\r\nx"
        assert run(Talk(folder), message(data, binary=True))[:2] == ("NO", "UNKNOWN-CTE")
        assert not folder.messages


class TestCatenate:
    def test_texts_and_urls(self) -> None:
        drafts = MemoryFolder("Drafts & more")
        drafts.put(b"Subject: draft\r\nX: y\r\n\r\nbody\r\n")
        inbox = MemoryFolder()
        inbox.put(b"To: me\r\n\r\nhere\r\n")
        parts = (
            "/Drafts%20%26%20more;UIDVALIDITY=7/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)",
            b"more",
            "/;UID=1/;SECTION=TEXT/;PARTIAL=1.3",
            "/INBOX/;uid=1",
        )
        assert run(Talk(inbox, drafts), catenated(*parts))[:2] == ("OK", "APPENDUID 7 2")
        assert inbox.octets[2] == b"Subject: draft\r\n\r\nmoreereTo: me\r\n\r\nhere\r\n"
        assert all(source.closed for source in inbox.sources + drafts.sources)

    @pytest.mark.parametrize(
        "url",
        [
            "/Nowhere/;UID=1",
            "/INBOX;UIDVALIDITY=8/;UID=1",
            "/INBOX/;UID=9",
            "/INBOX/;UID=1/;SECTION=5",
            "/INBOX/;UID=1/;SECTION=NONSENSE",
            "/INBOX/;UID=1/;SECTION=MIME",
            "/INBOX",
            "imap://other.example/INBOX/;UID=1",
            "/INBOX/;UID=1;URLAUTH=anonymous:internal:00",
            'x"\\y',
        ],
    )
    def test_bad_url(self, url: str) -> None:
        folder = MemoryFolder()
        folder.put()
        status, code, _ = run(Talk(folder), catenated(b"a", url))
        escaped = url.replace("\\", "\\\\").replace('"', '\\"')
        assert (status, code) == ("NO", f'BADURL "{escaped}"')
        assert list(folder.messages) == [1]

    def test_what_may_not_be_read(self) -> None:
        secret = MemoryFolder("Secret", rights="l")
        secret.put()
        assert run(Talk(MemoryFolder(), secret), catenated("/Secret/;UID=1"))[0] == "NO"

    def test_parse(self) -> None:
        found = parse_url("/A%20b/c;UIDVALIDITY=5/;UID=20/;section=1.2.mime/;partial=7")
        assert found is not None
        assert (found.mailbox, found.uid_validity, found.uid) == ("A b/c", 5, 20)
        assert found.section.part == (1, 2)
        assert found.section.partial is not None
        assert found.section.partial[0] == 7


class TestReplace:
    def test_in_the_same_folder(self) -> None:
        folder = MemoryFolder()
        folder.put(b"old", "\\Seen")
        talk = Talk(folder)
        answer = run(talk, message(b"new"), replaces=Replaces(None, uid=False))
        assert answer[:2] == ("OK", "")
        assert folder.octets == {2: b"new"}
        assert talk.lines[0] == b"* OK [APPENDUID 7 2] The replacement is there"
        assert b"* 1 EXPUNGE" in talk.lines
        assert b"* 1 EXISTS" in talk.lines

    def test_in_another(self) -> None:
        inbox, drafts = MemoryFolder(), MemoryFolder("Drafts")
        inbox.put(b"old")
        talk = Talk(inbox, drafts)
        run(talk, message(b"new"), "Drafts", replaces=Replaces(1, uid=True))
        assert (inbox.octets, drafts.octets) == ({}, {1: b"new"})

    @pytest.mark.parametrize(
        ("replaces", "status"),
        [
            (Replaces(5, uid=False), "BAD"),
            (Replaces(5, uid=True), "NO"),
        ],
    )
    def test_what_is_not_there(self, replaces: Replaces, status: str) -> None:
        folder = MemoryFolder()
        folder.put(b"old")
        assert run(Talk(folder), message(b"new"), replaces=replaces)[0] == status
        assert list(folder.messages) == [1]

    def test_read_only(self) -> None:
        folder = MemoryFolder()
        folder.put(b"old")
        talk = Talk(folder, read_only=True)
        assert run(talk, message(b"new"), replaces=Replaces(1, uid=True))[1] == "READ-ONLY"

    def test_no_right_to_remove(self) -> None:
        folder = MemoryFolder(rights="lrswit")
        folder.put(b"old")
        talk = Talk(folder)
        assert run(talk, message(b"new"), replaces=Replaces(1, uid=True))[1] == "NOPERM"

    def test_what_is_refused_leaves_the_old_one(self) -> None:
        folder = MemoryFolder()
        folder.put(b"old")
        folder.quota = 1
        talk = Talk(folder)
        assert run(talk, message(b"new"), replaces=Replaces(1, uid=True))[1] == "OVERQUOTA"
        assert folder.octets == {1: b"old"}

    def test_what_cannot_be_removed_is_no_reason_to_send_it_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = MemoryFolder()
        folder.put(b"old")

        async def refuse(uids: object) -> None:
            raise FolderRefused(FolderReason.UNAVAILABLE, "The disk is full")

        monkeypatch.setattr(folder, "expunge", refuse)
        answer = run(Talk(folder), message(b"new"), replaces=Replaces(1, uid=True))
        assert answer[0] == "OK"
        assert folder.octets == {1: b"old", 2: b"new"}
