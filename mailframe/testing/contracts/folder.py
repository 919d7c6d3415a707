"""``IFolder``, as IMAP and the web see a folder, with every optional power that it provides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from unittest import SkipTest

from mailframe.core.facts import Fact
from mailframe.core.folders import FlagChange, FlagMode, FolderChange, NewMessage
from mailframe.core.search import (
    All,
    And,
    HasFlag,
    Header,
    Larger,
    Not,
    Or,
    SortBy,
    SortCriterion,
    Text,
    ThreadAlgorithm,
    ThreadNode,
    UidIn,
)
from mailframe.errors import FolderRefused, MessageGone
from mailframe.interfaces import (
    IAppending,
    ICopying,
    IFolder,
    IFolderFacts,
    IFolderHeaders,
    IMessageSource,
    ISearching,
    IVanished,
)
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import LONG, MESSAGES, SHORT

SEEN, FLAGGED = "\\Seen", "\\Flagged"
UNKNOWN = 4_000_000_000


class FolderContract(Contract):
    """Give it ``make``; ``another``, where several sessions have several objects."""

    messages: Sequence[bytes] = MESSAGES
    """In wire format. Leave out what the storage cannot hold."""
    keyword = "$Work"
    """A flag that users make up; empty where none is kept."""

    def make(self, contents: Sequence[bytes]) -> IFolder:
        """A folder with these messages in wire format, by ascending uid and without flags. Of an
        account whose user may do everything that is possible here."""
        self.not_given("make")

    def another(self, folder: IFolder) -> IFolder:
        """The same, as another session gets it; itself where all share one object."""
        return folder

    # ---- what is there

    def test_it_provides_what_it_says(self) -> None:
        self.provides(IFolder, self.make([SHORT]))

    def test_its_numbers(self) -> None:
        """What SELECT and STATUS tell. A client that sees one of these go back throws away all
        that it has."""
        for contents in ([], self.messages):
            folder = self.make(contents)
            assert isinstance(folder.name, str)
            assert folder.name
            assert folder.mailbox_id, "RFC 8474: a MAILBOXID is never empty"
            assert 0 < folder.uid_validity < 1 << 32
            assert folder.highest_modseq >= 1
            assert set(folder.rights) <= set("lrswipkxtea")
            assert all(uid < folder.uid_next for uid in folder.messages)

    def test_messages_by_ascending_uid(self) -> None:
        folder = self.make(self.messages)
        uids = list(folder.messages)
        assert uids == sorted(uids), "IMAP numbers messages by this order"
        assert uids[0] > 0
        for (uid, state), content in zip(folder.messages.items(), self.messages, strict=True):
            assert state.uid == uid
            assert state.size == len(content), "RFC822.SIZE is that of the wire format"
            assert 1 <= state.modseq <= folder.highest_modseq
            assert not state.flags & {"\\Recent"}, "\\Recent is a session's"
            assert isinstance(state.received, int)
            assert isinstance(state.saved, int)

    def test_sessions_see_the_same(self) -> None:
        folder = self.make(self.messages)
        other = self.another(folder)
        self.wait(other.refresh())
        assert dict(other.messages) == dict(folder.messages)
        assert (other.uid_validity, other.uid_next) == (folder.uid_validity, folder.uid_next)

    def test_to_look_again_changes_nothing(self) -> None:
        folder = self.make(self.messages)
        before = dict(folder.messages), folder.uid_next, folder.highest_modseq
        self.wait(folder.refresh())
        assert (dict(folder.messages), folder.uid_next, folder.highest_modseq) == before

    # ---- reading

    def test_a_message_is_read_as_it_is(self) -> None:
        folder = self.make(self.messages)
        for uid, content in zip(folder.messages, self.messages, strict=True):
            self.same([self._content(folder, uid)], [content])

    def test_a_source_may_be_closed_twice(self) -> None:
        folder = self.make([LONG])
        source = self.wait(folder.open(next(iter(folder.messages))))
        self.provides(IMessageSource, source)
        assert len(self.wait(source.read(10))) <= 10
        source.close()
        source.close()

    def test_what_is_not_there_is_gone(self) -> None:
        folder = self.make([SHORT])
        for uid in (0, UNKNOWN, (1 << 32) - 1):
            self.must_raise(MessageGone, lambda uid=uid: folder.open(uid))  # type: ignore[misc]

    # ---- flags

    def test_flags_are_added_removed_and_replaced(self) -> None:
        folder = self.make([SHORT, SHORT])
        one, two = folder.messages
        keywords = {self.keyword} if self.keyword else set()
        steps: list[tuple[FlagMode, set[str], set[str]]] = [
            (FlagMode.ADD, {SEEN, *keywords}, {SEEN, *keywords}),
            (FlagMode.ADD, {FLAGGED}, {SEEN, FLAGGED, *keywords}),
            (FlagMode.REMOVE, {SEEN}, {FLAGGED, *keywords}),
            (FlagMode.REPLACE, {SEEN}, {SEEN}),
            (FlagMode.REPLACE, set(), set()),
        ]
        for mode, flags, expected in steps:
            found = self.wait(folder.store([one], FlagChange(mode, frozenset(flags))))
            assert folder.messages[one].flags == expected, f"{mode} {flags}"
            assert list(found.changed) == [one], "it says that nothing changed"
            assert (list(found.refused), list(found.gone)) == ([], [])
        assert folder.messages[two].flags == frozenset(), "another message was changed, too"

    def test_what_is_flagged_so_already_is_not_changed(self) -> None:
        """A mod-sequence that grows for nothing has every client ask again."""
        folder = self.make([SHORT])
        (uid,) = folder.messages
        self._add(folder, [uid], SEEN)
        before = folder.messages[uid].modseq
        assert list(self._add(folder, [uid], SEEN).changed) == []
        assert folder.messages[uid].modseq == before

    def test_each_change_has_a_greater_mod_sequence(self) -> None:
        """RFC 7162. Without it other clients never learn of the change."""
        folder = self.make([SHORT, SHORT])
        one, two = folder.messages
        before = folder.highest_modseq
        self._add(folder, [one], SEEN)
        middle = folder.messages[one].modseq
        self._add(folder, [two], SEEN)
        assert before < middle < folder.messages[two].modseq <= folder.highest_modseq

    def test_what_was_changed_since_is_left_alone(self) -> None:
        """RFC 7162 UNCHANGEDSINCE: otherwise one client's flags overwrite another's."""
        folder = self.make([SHORT, SHORT])
        one, two = folder.messages
        seen = folder.highest_modseq
        self._add(folder, [one], SEEN)
        change = FlagChange(FlagMode.ADD, frozenset([FLAGGED]))
        found = self.wait(folder.store([one, two], change, seen))
        assert list(found.refused) == [one]
        assert list(found.changed) == [two]
        assert FLAGGED not in folder.messages[one].flags

    def test_flags_of_what_is_gone(self) -> None:
        folder = self.make([SHORT])
        (uid,) = folder.messages
        found = self._add(folder, [uid, UNKNOWN], SEEN)
        assert (list(found.changed), list(found.gone)) == ([uid], [UNKNOWN])
        assert list(self._add(folder, [], SEEN).changed) == []

    # ---- removing

    def test_what_was_expunged_is_gone_for_all(self) -> None:
        folder = self.make(self.messages)
        other = self.another(folder)
        self.wait(other.refresh())
        one, *rest = folder.messages
        before = folder.uid_next, folder.highest_modseq
        assert list(self.wait(folder.expunge([one]))) == [one]
        self.wait(other.refresh())
        assert list(folder.messages) == list(other.messages) == rest
        assert folder.uid_next == before[0], "uids are never given again"
        assert folder.highest_modseq > before[1], "RFC 7162: an expunge is a change"
        self.must_raise(MessageGone, lambda: folder.open(one))

    def test_to_expunge_what_is_gone(self) -> None:
        """What was removed is told; whether a uid that was never there counts, the interface
        leaves open."""
        folder = self.make([SHORT, SHORT])
        uids = list(folder.messages)
        gone = list(self.wait(folder.expunge([*uids, UNKNOWN])))
        assert [uid for uid in gone if uid in uids] == uids
        assert self._heard(folder, lambda: folder.expunge(uids)) == []

    def test_the_last_uid_is_not_given_again(self) -> None:
        """A client would show the old message under the new one's name."""
        folder = self.make([SHORT, SHORT])
        last = list(folder.messages)[-1]
        self.wait(folder.expunge([last]))
        self._must_append(folder)
        (uid,) = self._append(folder, LONG)
        assert uid > last

    # ---- hearing of it

    def test_every_change_is_heard_when_it_is_there(self) -> None:
        """IDLE and the web page of another session live on it."""
        folder = self.make([SHORT, SHORT])
        other = self.another(folder)
        heard: list[tuple[FolderChange, list[int]]] = []
        silence = other.subscribe(lambda change: heard.append((change, list(other.messages))))
        one, two = folder.messages
        self._add(folder, [one, two], SEEN)
        self.wait(folder.expunge([one]))
        self.wait(other.refresh())
        changes = [change for change, _ in heard]
        assert [uid for change in changes for uid in change.changed] == [one, two]
        assert [uid for change in changes for uid in change.vanished] == [one]
        assert [there for change, there in heard if change.vanished] == [[two]], (
            "the folder still showed what the listener heard was gone"
        )
        assert changes[-1].highest_modseq == folder.highest_modseq
        silence()
        self._add(folder, [two], FLAGGED)
        assert len(heard) == len(changes), "it is told after it unsubscribed"

    def test_two_listeners(self) -> None:
        folder = self.make([SHORT])
        first: list[FolderChange] = []
        second: list[FolderChange] = []
        silence = folder.subscribe(first.append)
        folder.subscribe(second.append)
        silence()
        self._add(folder, folder.messages, SEEN)
        assert (len(first), len(second)) == (0, 1)

    def test_recent_messages_are_one_session_s(self) -> None:
        folder = self.make(self.messages)
        uids = list(folder.messages)
        first = self.wait(folder.claim_recent())
        second = self.wait(self.another(folder).claim_recent())
        assert first.first <= first.end <= folder.uid_next
        assert second.first == second.end or second.first >= first.end, (
            "two sessions have the same messages as recent"
        )
        assert folder.recent_from > uids[-1] or not (first.end > first.first)

    # ---- APPEND

    def test_nothing_is_there_before_the_commit(self) -> None:
        folder = self.make([])
        receiving = self._must_append(folder)
        assert self._heard(folder, lambda: self._begin_message(receiving, SHORT)) == []
        assert list(folder.messages) == []
        (change,) = self._heard(folder, receiving.commit)
        assert list(change.arrived) == list(folder.messages)

    def test_what_was_appended_is_there_with_all_that_was_said_of_it(self) -> None:
        folder = self.make([SHORT])
        self._must_append(folder)
        flags = frozenset([SEEN, FLAGGED])
        before = folder.uid_next
        (uid,) = self._append(folder, LONG, flags=flags, received=1_700_000_000.0)
        state = folder.messages[uid]
        assert uid >= before
        assert folder.uid_next > uid
        assert (state.flags, state.received, state.size) == (flags, 1_700_000_000, len(LONG))
        self.same([self._content(folder, uid)], [LONG])
        self.wait(self.another(folder).refresh())
        assert uid in self.another(folder).messages

    def test_several_at_once(self) -> None:
        """MULTIAPPEND (RFC 3502): all of them or none, uids ascending in their order."""
        folder = self.make([])
        self._must_append(folder)
        uids = self._append(folder, *self.messages)
        assert list(folder.messages) == list(uids)
        self.same([self._content(folder, uid) for uid in uids], self.messages)

    def test_what_was_begun_can_be_forgotten(self) -> None:
        """The client has gone in the middle of its APPEND."""
        folder = self.make([])
        receiving = self._must_append(folder)
        self._begin_message(receiving, LONG)
        self.wait(receiving.begin(NewMessage(), None))
        self.wait(receiving.write(b"half a mess"))
        receiving.abort()
        receiving.abort()
        self.wait(folder.refresh())
        assert list(folder.messages) == []

    def test_to_forget_what_is_kept_is_harmless(self) -> None:
        folder = self.make([])
        receiving = self._must_append(folder)
        self._begin_message(receiving, SHORT)
        outcome = self.wait(receiving.commit())
        receiving.abort()
        assert outcome.uid_validity == folder.uid_validity
        assert list(folder.messages) == list(outcome.uids)

    # ---- optional powers

    def test_facts(self) -> None:
        folder = self.make(self.messages)
        self.needs(IFolderFacts, folder)
        uids = list(folder.messages)
        found = self.wait(
            folder.facts([*uids, UNKNOWN], Fact.ENVELOPE | Fact.PARTS)  # type: ignore[attr-defined]
        )
        assert set(found) == set(uids)
        for uid, content in zip(uids, self.messages, strict=True):
            assert found[uid].envelope.startswith(b"(")
            assert found[uid].parts is not None
            assert found[uid].parts.end == len(content), "its offsets are of another text"
        contents = self.wait(folder.contents([*uids, UNKNOWN]))  # type: ignore[attr-defined]
        self.same([contents[uid] for uid in uids], self.messages)
        assert UNKNOWN not in contents

    def test_headers(self) -> None:
        folder = self.make(self.messages)
        self.needs(IFolderHeaders, folder)
        found = self.wait(folder.headers([*folder.messages, UNKNOWN]))  # type: ignore[attr-defined]
        for uid, header in found.items():
            content = self._content(folder, uid)
            assert content.startswith(bytes(header)), "it is not how the message begins"
            assert bytes(header).endswith(b"\r\n")

    def test_what_vanished_is_remembered(self) -> None:
        """QRESYNC: rather too many than too few, or a client shows what is gone for ever."""
        folder = self.make([SHORT, SHORT, SHORT])
        self.needs(IVanished, folder)
        one, two, three = folder.messages
        since = folder.highest_modseq
        self.wait(folder.expunge([one, three]))
        found = list(self.wait(folder.vanished(since)))  # type: ignore[attr-defined]
        assert found == sorted(found)
        assert {one, three} <= set(found)
        assert two not in found
        assert all(uid < folder.uid_next for uid in found)

    def test_copies_have_flags_and_dates(self) -> None:
        folder = self.make([SHORT, LONG])
        self.needs(ICopying, folder)
        one, two = folder.messages
        self._add(folder, [one], SEEN, FLAGGED)
        found = self.wait(folder.copy([one, UNKNOWN], folder))  # type: ignore[attr-defined]
        assert list(found.sources) == [one]
        (made,) = found.targets
        assert made > two
        assert found.uid_validity == folder.uid_validity
        assert self._content(folder, made) == SHORT
        assert folder.messages[made].flags == {SEEN, FLAGGED}
        assert folder.messages[made].received == folder.messages[one].received
        assert one in folder.messages

    def test_what_was_moved_is_in_one_place(self) -> None:
        folder = self.make([SHORT, LONG])
        self.needs(ICopying, folder)
        one, two = folder.messages
        try:
            found = self.wait(folder.move([one], folder))  # type: ignore[attr-defined]
        except FolderRefused:
            raise SkipTest("it does not move a message to where it is") from None
        assert list(folder.messages) == [two, *found.targets]

    def test_searches_find_what_matches(self) -> None:
        """SEARCH by an index must find what SEARCH without one finds."""
        folder = self.make([SHORT, LONG])
        self.needs(ISearching, folder)
        one, two = folder.messages
        self._add(folder, [two], FLAGGED)
        for key, expected in (
            (All(), [one, two]),
            (HasFlag(FLAGGED), [two]),
            (HasFlag("\\flagged"), [two]),
            (Not(HasFlag(FLAGGED)), [one]),
            (UidIn(((two, UNKNOWN),)), [two]),
            (UidIn(()), []),
            (Larger(len(SHORT)), [two]),
            (Header("subject", "FIRST"), [one]),
            (Header("from", "b.example"), [two]),
            (Header("references", ""), [two]),
            (Text("one"), [one]),
            (And((Text("line"), HasFlag(FLAGGED))), [two]),
            (Or(Text("one"), Text("line")), [one, two]),
            (Text("nowhere to be found"), []),
        ):
            found = list(self.wait(folder.search(key)))  # type: ignore[attr-defined]
            assert found == expected, f"{key} found {found}"

    def test_search_survives_any_text(self) -> None:
        folder = self.make([SHORT])
        self.needs(ISearching, folder)
        for text in ("'", '"', "%", "_", "\\", "*", "NEAR(", "x" * 5_000, "\u202e", "\0"):
            found = self.wait(folder.search(Text(text)))  # type: ignore[attr-defined]
            assert list(found) in ([], list(folder.messages)), f"{text!r}"

    def test_sorting(self) -> None:
        folder = self.make([LONG, SHORT])
        self.needs(ISearching, folder)
        one, two = folder.messages
        for criteria, expected in (
            ([SortCriterion(SortBy.SIZE)], [two, one]),
            ([SortCriterion(SortBy.SIZE, reverse=True)], [one, two]),
            ([SortCriterion(SortBy.FROM)], [two, one]),
            ([SortCriterion(SortBy.CC)], [one, two]),  # ties by uid
            ([SortCriterion(SortBy.CC, reverse=True), SortCriterion(SortBy.SIZE)], [two, one]),
        ):
            found = list(self.wait(folder.sort(All(), criteria)))  # type: ignore[attr-defined]
            assert found == expected, f"{criteria} gave {found}"
        only = self.wait(folder.sort(UidIn(((two, two),)), criteria))  # type: ignore[attr-defined]
        assert list(only) == [two]

    def test_threads_hold_each_message_once(self) -> None:
        folder = self.make([SHORT, LONG])
        self.needs(ISearching, folder)
        one, two = folder.messages
        for algorithm in ThreadAlgorithm:
            found = self.wait(folder.thread(All(), algorithm))  # type: ignore[attr-defined]
            assert sorted(_uids(found)) == [one, two], f"{algorithm}"
        (root,) = self.wait(
            folder.thread(All(), ThreadAlgorithm.REFERENCES)  # type: ignore[attr-defined]
        )
        assert root.uid == one
        assert [child.uid for child in root.children] == [two]

    # ---- how

    def _add(self, folder: IFolder, uids: Iterable[int], *flags: str) -> Any:
        change = FlagChange(FlagMode.ADD, frozenset(flags))
        return self.wait(folder.store(list(uids), change))

    def _content(self, folder: IFolder, uid: int) -> bytes:
        source = self.wait(folder.open(uid))
        pieces = []
        while piece := self.wait(source.read(65_536)):
            pieces.append(bytes(piece))
        source.close()
        return b"".join(pieces)

    def _heard(self, folder: IFolder, call: Any) -> list[FolderChange]:
        heard: list[FolderChange] = []
        silence = folder.subscribe(heard.append)
        self.wait(call())
        silence()
        return heard

    def _must_append(self, folder: IFolder) -> Any:
        """Skip where nothing can be put in: the right ``i`` says so, and a refusal."""
        try:
            receiving = folder.receive()
        except FolderRefused:
            assert "i" not in folder.rights, "it has the right to insert, and refuses"
            raise SkipTest("nothing can be put in") from None
        self.provides(IAppending, receiving)
        return receiving

    def _begin_message(self, receiving: Any, content: bytes, new: NewMessage | None = None) -> None:
        self.wait(receiving.begin(new or NewMessage(), len(content)))
        for at in range(0, len(content), 50_000):
            self.wait(receiving.write(content[at : at + 50_000]))

    def _append(
        self,
        folder: IFolder,
        *contents: bytes,
        flags: frozenset[str] = frozenset(),
        received: float | None = None,
    ) -> Sequence[int]:
        receiving = folder.receive()
        for content in contents:
            self._begin_message(receiving, content, NewMessage(flags, received))
        found: Sequence[int] = self.wait(receiving.commit()).uids
        return found


def _uids(nodes: Iterable[ThreadNode]) -> list[int]:
    found: list[int] = []
    for node in nodes:
        found += [node.uid] if node.uid is not None else []
        found += _uids(node.children)
    return found
