"""FETCH: which octets go out, when ``\\Seen`` is set, and what of messages that are gone."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mailframe.core import status
from mailframe.core.folders import SEEN
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.protocols.imap.commands import (
    Fetch,
    Item,
    MessageSet,
    Section,
    SectionKind,
    SectionText,
)
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.servers import imap_fetch, imap_large
from mailframe.servers.channel import PeerGone
from mailframe.servers.imap import ImapLimits
from mailframe.servers.imap_fetch import fetch
from mailframe.servers.imap_outcome import Refused, Status
from tests.unit.servers.imap_talk import MemoryFolder, Talk, with_facts, with_headers

ALL = MessageSet(((1, None),))
MULTIPART = (
    b"From: a@example.org\r\nSubject: two parts\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nplain text\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n"
    b"--b--\r\n"
)


def command(*items: Item | Section, uid: bool = False, **more: Any) -> Fetch:
    messages = more.pop("messages", ALL)
    return Fetch(messages, uid, items, **more)


def peek(**more: Any) -> Section:
    return Section(peek=True, **more)


class TestStates:
    def test_everything_that_needs_no_message(self) -> None:
        folder = MemoryFolder()
        folder.put(b"x" * 100, "\\Seen", "work")
        folder.put(b"y" * 5)
        talk = Talk(folder)
        items = (Item.FLAGS, Item.RFC822_SIZE, Item.INTERNALDATE, Item.SAVEDATE)
        assert talk.do(fetch(talk, command(*items))).status is Status.OK
        date = b'"14-Nov-2023 22:13:20 +0000"'
        assert talk.lines == [
            b"* 1 FETCH (FLAGS (\\Seen work) RFC822.SIZE 100 INTERNALDATE %b SAVEDATE %b)"
            % (date, date),
            b"* 2 FETCH (FLAGS () RFC822.SIZE 5 INTERNALDATE %b SAVEDATE %b)" % (date, date),
        ]

    def test_a_new_keyword_is_told_first(self) -> None:
        folder = _folder(1)
        talk = Talk(folder)
        folder.put(b"", "new", "\\Seen")
        folder.tell(arrived=[2])
        talk.do(talk.update())
        talk.do(fetch(talk, command(Item.FLAGS)))
        assert talk.lines == [
            b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft new work x)",
            b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft new work x \\*)]"
            b" Flags that stay",
            b"* 1 FETCH (FLAGS ())",
            b"* 2 FETCH (FLAGS (\\Seen new))",
        ]
        talk.do(fetch(talk, command(Item.FLAGS)))
        assert len(talk.lines) == 2

    def test_uid_is_in_every_answer_to_uid_fetch(self) -> None:
        talk = Talk(_folder(2))
        talk.do(fetch(talk, command(Item.FLAGS, uid=True)))
        assert talk.lines == [b"* 1 FETCH (UID 1 FLAGS ())", b"* 2 FETCH (UID 2 FLAGS ())"]

    def test_uid_only(self) -> None:
        folder = _folder(3)
        del folder.messages[1]
        talk = Talk(folder)
        talk.engine.enabled = {"UIDONLY"}
        talk.do(fetch(talk, command(Item.FLAGS, uid=True)))
        assert talk.lines == [b"* 2 UIDFETCH (FLAGS ())", b"* 3 UIDFETCH (FLAGS ())"]

    def test_recent(self) -> None:
        from mailframe.core.folders import Recent

        talk = Talk(_folder(2))
        talk.open_folder().recent.add(Recent(2, 3))
        talk.do(fetch(talk, command(Item.FLAGS)))
        assert talk.lines == [b"* 1 FETCH (FLAGS ())", b"* 2 FETCH (FLAGS (\\Recent))"]

    def test_numbers_of_what_is_scattered(self) -> None:
        talk = Talk(_folder(9))
        messages = MessageSet(((2, 2), (5, 6), (9, 9)))
        talk.do(fetch(talk, command(Item.UID, messages=messages)))
        assert [line.split()[1] for line in talk.lines] == [b"2", b"5", b"6", b"9"]

    def test_many_leave_room_for_others(self) -> None:
        talk = Talk(_folder(2_500))
        talk.do(fetch(talk, command(Item.UID)))
        assert len(talk.lines) == 2_500
        assert talk.rooms == 3

    def test_a_number_that_is_not_there(self) -> None:
        talk = Talk(_folder(2))
        with pytest.raises(BadCommand):
            talk.do(fetch(talk, command(Item.UID, messages=MessageSet(((3, 3),)))))

    def test_what_is_gone_is_left_out_and_said(self) -> None:
        folder = _folder(3)
        talk = Talk(folder)
        del folder.messages[2]
        outcome = talk.do(fetch(talk, command(Item.UID)))
        assert talk.lines == [b"* 1 FETCH (UID 1)", b"* 3 FETCH (UID 3)"]
        assert (outcome.status, outcome.code) == (Status.NO, "EXPUNGEISSUED")
        assert talk.do(fetch(talk, command(Item.UID, uid=True))).status is Status.OK


class TestModifiers:
    def test_changed_since(self) -> None:
        folder = _folder(3)
        talk = Talk(folder)
        since = folder.messages[2].modseq
        talk.do(fetch(talk, command(Item.FLAGS, uid=True, changed_since=since)))
        assert talk.lines == [
            b"* OK [HIGHESTMODSEQ 4] From here on",
            b"* 3 FETCH (UID 3 FLAGS () MODSEQ (4))",
        ]
        assert talk.condstore

    def test_vanished(self) -> None:
        folder = _folder(5)
        del folder.messages[2], folder.messages[4]
        talk = Talk(folder)
        asked = command(Item.FLAGS, uid=True, changed_since=99, vanished=True)
        with pytest.raises(BadCommand):
            talk.do(fetch(talk, asked))
        talk.engine.enabled = {"QRESYNC"}
        talk.do(fetch(talk, asked))
        assert talk.lines == [b"* VANISHED (EARLIER) 2,4"]

    def test_vanished_without_what_the_client_still_counts(self) -> None:
        folder = _folder(5)
        talk = Talk(folder)
        talk.engine.enabled = {"QRESYNC"}
        del folder.messages[2]
        talk.do(fetch(talk, command(uid=True, changed_since=99, vanished=True)))
        assert talk.lines == []

    @pytest.mark.parametrize(
        ("partial", "expected"),
        [((1, 2), [1, 2]), ((3, 9), [3, 4, 5]), ((-1, -2), [4, 5]), ((-2, -9), [1, 2, 3, 4])],
    )
    def test_partial(self, partial: tuple[int, int], expected: list[int]) -> None:
        talk = Talk(_folder(5))
        talk.do(fetch(talk, command(uid=True, partial=partial)))
        assert [int(line.split()[1]) for line in talk.lines] == expected

    def test_message_limit(self) -> None:
        talk = Talk(_folder(5), limits=ImapLimits(messages=2))
        outcome = talk.do(fetch(talk, command(uid=True)))
        assert talk.lines == [b"* 4 FETCH (UID 4)", b"* 5 FETCH (UID 5)"]
        assert (outcome.status, outcome.code) == (Status.OK, "MESSAGELIMIT 2 4")


class TestSections:
    @pytest.mark.parametrize("remembers", [True, False])
    def test_whole_and_parts(self, remembers: bool) -> None:
        folder = MemoryFolder()
        folder.put(MULTIPART)
        talk = Talk(with_facts(folder) if remembers else folder)
        header = MULTIPART[: MULTIPART.index(b"\r\n\r\n") + 4]
        for section, name, value in [
            (peek(), b"BODY[]", MULTIPART),
            (peek(text=SectionText.HEADER), b"BODY[HEADER]", header),
            (peek(text=SectionText.TEXT), b"BODY[TEXT]", MULTIPART[len(header) :]),
            (peek(part=(1,)), b"BODY[1]", b"plain text"),
            (peek(part=(2,)), b"BODY[2]", b"AAECAw=="),
            (
                peek(part=(1,), text=SectionText.MIME),
                b"BODY[1.MIME]",
                b"Content-Type: text/plain\r\n\r\n",
            ),
            (
                peek(text=SectionText.HEADER_FIELDS, fields=("Subject",)),
                b"BODY[HEADER.FIELDS (Subject)]",
                b"Subject: two parts\r\n\r\n",
            ),
            (peek(partial=(6, 5)), b"BODY[]<6>", MULTIPART[6:11]),
            (peek(partial=(100_000, 5)), b"BODY[]<100000>", b""),
            (Section(SectionKind.RFC822_HEADER, text=SectionText.HEADER, peek=True),
             b"RFC822.HEADER", header),
        ]:  # fmt: skip
            talk.do(fetch(talk, command(section)))
            assert talk.sent == b"* 1 FETCH (%b {%d}\r\n%b)\r\n" % (name, len(value), value)

    def test_what_is_not_there(self) -> None:
        talk = Talk(_folder(1))
        talk.do(fetch(talk, command(peek(part=(7,)))))
        assert talk.lines == [b"* 1 FETCH (BODY[7] NIL)"]

    def test_binary(self) -> None:
        folder = MemoryFolder()
        folder.put(MULTIPART)
        talk = Talk(folder)
        binary = Section(SectionKind.BINARY, part=(2,), peek=True)
        size = Section(SectionKind.BINARY_SIZE, part=(2,))
        talk.do(fetch(talk, command(binary, size)))
        assert talk.sent == (b"* 1 FETCH (BINARY[2] ~{4}\r\n\0\x01\x02\x03 BINARY.SIZE[2] 4)\r\n")
        assert folder.stores == []

    def test_unknown_encoding(self) -> None:
        folder = MemoryFolder()
        folder.put(b"Content-Transfer-Encoding: x-zip\r\n\r\nabc")
        talk = Talk(folder)
        with pytest.raises(Refused) as caught:
            talk.do(fetch(talk, command(Section(SectionKind.BINARY, part=(1,), peek=True))))
        assert caught.value.code == "UNKNOWN-CTE"

    def test_nul_has_something_in_its_place(self) -> None:
        folder = MemoryFolder()
        folder.put(b"\r\na\0b")
        talk = Talk(folder)
        talk.do(fetch(talk, command(peek(text=SectionText.TEXT))))
        assert talk.sent == b"* 1 FETCH (BODY[TEXT] {3}\r\na\x80b)\r\n"

    def test_what_cannot_be_read(self) -> None:
        folder = _folder(2)
        folder.octets[1] = None
        talk = Talk(folder)
        outcome = talk.do(fetch(talk, command(peek(text=SectionText.TEXT))))
        assert talk.sent == b"* 2 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\n"
        assert outcome.code == "EXPUNGEISSUED"

    def test_facts(self) -> None:
        folder = MemoryFolder()
        folder.put(MULTIPART)
        talk = Talk(folder)
        talk.do(fetch(talk, command(Item.ENVELOPE, Item.BODYSTRUCTURE, Item.PREVIEW)))
        assert b'ENVELOPE (NIL "two parts" ((NIL NIL "a" "example.org"))' in talk.sent
        assert b'BODYSTRUCTURE (("text" "plain"' in talk.sent.replace(b"TEXT", b"text")
        assert b'PREVIEW "plain text"' in talk.sent


class TestSeen:
    def test_is_set_and_told_in_one_answer(self) -> None:
        folder = _folder(1)
        talk = Talk(folder)
        talk.do(fetch(talk, command(Section(text=SectionText.TEXT))))
        assert talk.sent == b"* 1 FETCH (BODY[TEXT] {6}\r\nbody\r\n FLAGS (\\Seen))\r\n"
        assert folder.messages[1].flags == {SEEN}
        talk.do(fetch(talk, command(Section(text=SectionText.TEXT))))
        assert talk.sent == b"* 1 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\n"

    def test_is_not_told_again(self) -> None:
        folder = _folder(1)
        talk = Talk(folder)
        talk.do(fetch(talk, command(Section())))
        talk.do(talk.update())
        assert talk.sent == b""

    def test_with_the_mod_sequence_for_those_who_want_it(self) -> None:
        talk = Talk(_folder(1))
        talk.engine.enabled = {"CONDSTORE"}
        talk.do(fetch(talk, command(Section(text=SectionText.TEXT))))
        assert talk.sent.endswith(b"body\r\n FLAGS (\\Seen) MODSEQ (3))\r\n")

    def test_flags_that_were_asked_for_are_the_new_ones(self) -> None:
        talk = Talk(_folder(1))
        talk.do(fetch(talk, command(Item.FLAGS, Section(text=SectionText.TEXT))))
        assert talk.sent == b"* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {6}\r\nbody\r\n)\r\n"

    @pytest.mark.parametrize("case", ["peek", "read-only", "no right"])
    def test_is_left_alone(self, case: str) -> None:
        folder = _folder(1)
        folder.rights = "lr" if case == "no right" else folder.rights
        talk = Talk(folder, read_only=case == "read-only")
        talk.do(fetch(talk, command(Section(peek=case == "peek"))))
        assert b"Seen" not in talk.sent
        assert folder.messages[1].flags == frozenset()

    def test_a_full_disk_does_not_keep_from_reading(self) -> None:
        folder = _folder(1)
        folder.refuse_store = TransientFailure(Reply(452, status.SYSTEM_FULL, "full"))
        talk = Talk(folder)
        assert talk.do(fetch(talk, command(Section()))).status is Status.OK
        assert b"body" in talk.sent
        assert talk.recorded


class TestLarge:
    @pytest.fixture(autouse=True)
    def _small_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(imap_fetch, "_LARGE", 64)
        monkeypatch.setattr(imap_large, "CHUNK", 7)

    @pytest.mark.parametrize("remembers", [True, False])
    def test_the_same_as_small(self, remembers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = MemoryFolder()
        folder.put(MULTIPART)
        folder.put(b"Subject: short\r\n\r\nx")
        folder.put(b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"\0" * 99))
        talk = Talk(with_facts(folder) if remembers else folder)
        items = (
            Item.UID,
            Item.FLAGS,
            Section(text=SectionText.HEADER_FIELDS, fields=("subject",), peek=True),
            Section(part=(2,)),
            Section(part=(1,), text=SectionText.MIME),
            Section(partial=(3, 60)),
            Section(),
            Section(text=SectionText.TEXT, partial=(9_999, 3)),
            Section(SectionKind.BINARY, part=(2,)),
            Section(SectionKind.BINARY_SIZE, part=(1,)),
            Section(SectionKind.BINARY, part=(1,), partial=(2, 5)),
            Section(part=(9, 9)),
        )
        talk.do(fetch(talk, command(*items)))
        streamed = talk.sent
        assert talk.rooms > 40
        assert all(source.closed for source in folder.sources)
        monkeypatch.setattr(imap_fetch, "_LARGE", 10_000)
        talk.do(fetch(talk, command(*items)))
        assert streamed == talk.sent

    def test_piece_by_piece_it_is_opened_once(self) -> None:
        folder = MemoryFolder()
        folder.put(b"Subject: x\r\n\r\n" + bytes(range(256)) * 2)
        folder.put(folder.octets[1])
        talk = Talk(with_facts(folder))
        one = MessageSet(((1, 1),))
        came = b""
        for start in range(0, 550, 50):
            piece = peek(partial=(start, 50))
            talk.do(fetch(talk, command(piece, messages=one)))
            came += talk.sent.partition(b"}\r\n")[2].removesuffix(b")\r\n")
        assert came == (folder.octets[1] or b"").replace(b"\0", b"\x80")
        assert [source.closed for source in folder.sources] == [True]
        talk.do(fetch(talk, command(peek(partial=(0, 5)))))
        talk.open_folder().close()
        assert [source.closed for source in folder.sources] == [True] * 3

    def test_what_breaks_off_after_its_size_was_told(self) -> None:
        folder = MemoryFolder()
        folder.put(b"Subject: x\r\n\r\n" + b"y" * 500)
        folder.cut[1] = 100
        talk = Talk(with_facts(folder))
        with pytest.raises(PeerGone):
            talk.do(fetch(talk, command(Section())))
        assert talk.aborted
        assert not talk.sent.endswith(b")\r\n")
        assert all(source.closed for source in folder.sources)

    def test_what_was_loaded_in_advance_is_closed(self) -> None:
        folder = MemoryFolder()
        folder.put(b"Subject: x\r\n\r\n" + b"y" * 500)
        folder.put(b"Subject: x\r\n\r\n" + b"y" * 500)
        talk = Talk(with_facts(folder))

        def leave() -> None:
            raise PeerGone

        talk.on_room = leave
        with pytest.raises(PeerGone):
            talk.do(fetch(talk, command(peek())))
        assert [source.closed for source in folder.sources] == [True, True]

    def test_what_is_gone_before_anything_was_said(self) -> None:
        folder = MemoryFolder()
        folder.put(b"Subject: x\r\n\r\n" + b"y" * 500)
        folder.put(b"short")
        talk = Talk(folder)
        folder.octets[1] = None
        outcome = talk.do(fetch(talk, command(Section(peek=True))))
        assert outcome.code == "EXPUNGEISSUED"
        assert talk.sent == b"* 2 FETCH (BODY[] {5}\r\nshort)\r\n"

    def test_what_is_asked_for_over_and_over_is_not_held_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(imap_fetch, "_LARGE", 256 * 1024)
        monkeypatch.setattr(imap_large, "CHUNK", 64 * 1024)
        folder = MemoryFolder()
        folder.put(b"X: " + b"h" * 5_000 + b"\r\n\r\n" + b"y" * 15_000)
        talk = Talk(with_facts(folder))
        pieces = [peek(partial=(first, 99_999)) for first in range(50)]
        fields = [
            peek(text=SectionText.HEADER_FIELDS, fields=("X", f"X-{number}"))
            for number in range(50)
        ]
        most = total = 0

        def room() -> None:
            nonlocal most, total
            most, total, talk.sent = max(most, len(talk.sent)), total + len(talk.sent), b""

        talk.on_room = room
        talk.do(fetch(talk, command(*pieces, *fields)))
        assert total > 50 * 20_000
        assert most < 200_000

    def test_nul_in_a_large_one(self) -> None:
        folder = MemoryFolder()
        folder.put(b"\r\n" + b"\0" * 70)
        talk = Talk(folder)
        talk.do(fetch(talk, command(peek(text=SectionText.TEXT))))
        assert talk.sent == b"* 1 FETCH (BODY[TEXT] {70}\r\n%b)\r\n" % (b"\x80" * 70)


def _folder(messages: int) -> MemoryFolder:
    folder = MemoryFolder()
    for _ in range(messages):
        folder.put()
    return folder


class TestHeaders:
    FIELDS = Section(text=SectionText.HEADER_FIELDS, fields=("SUBJECT",), peek=True)

    def folder(self) -> MemoryFolder:
        folder = MemoryFolder()
        folder.put(b"Subject: 1\r\nX: y\r\n\r\n" + b"z" * 300_000)
        folder.put(b"Subject: 2\r\nX: " + b"y" * 200 + b"\r\n\r\nz")
        folder.put(b"Subject: 3\r\nX: y\r\n\r\nz")
        return with_headers(folder)

    def test_no_message_is_opened_but_those_with_long_headers(self) -> None:
        folder = self.folder()
        del folder.octets[1]
        folder.octets[1] = b"Subject: 1\r\n\r\nanother body"
        talk = Talk(folder)
        assert talk.do(fetch(talk, command(self.FIELDS, Item.UID))).status is Status.OK
        head = b"FETCH (BODY[HEADER.FIELDS (SUBJECT)] {14}"
        got = talk.sent
        for number in b"123":
            assert b"* %c %b\r\nSubject: %c\r\n\r\n UID %c)" % (number, head, number, number) in got
        assert got.count(b"FETCH (") == 3

    def test_seen_is_set_and_told(self) -> None:
        folder = self.folder()
        talk = Talk(folder)
        header = Section(text=SectionText.HEADER)
        assert talk.do(fetch(talk, command(header))).status is Status.OK
        assert all(SEEN in folder.messages[uid].flags for uid in (1, 2, 3))
        assert talk.sent.count(b" FLAGS (\\Seen)") == 3

    def test_what_is_gone(self) -> None:
        folder = self.folder()
        del folder.octets[2]
        talk = Talk(folder)
        assert talk.do(fetch(talk, command(self.FIELDS, Item.ENVELOPE))).status is Status.NO
        assert talk.sent.count(b"FETCH (") == 2

    def test_bodies_keep_their_place_among_the_items(self) -> None:
        folder = with_headers(MemoryFolder())
        folder.put(b"A: b\r\n\r\nc\0d")
        talk = Talk(folder)
        text = Section(text=SectionText.TEXT)
        talk.do(fetch(talk, command(Item.UID, Section(), Item.RFC822_SIZE, text)))
        assert talk.sent == (
            b"* 1 FETCH (UID 1 BODY[] {11}\r\nA: b\r\n\r\nc\x80d RFC822.SIZE 11"
            b" BODY[TEXT] {3}\r\nc\x80d FLAGS (\\Seen))\r\n"
        )
