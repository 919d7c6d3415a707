"""SEARCH, SORT, THREAD and what goes on after them."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailframe.core.folders import Recent
from mailframe.core.search import (
    All,
    And,
    Body,
    Dated,
    DateOf,
    EmailId,
    HasFlag,
    Header,
    Larger,
    ModifiedSince,
    Not,
    Or,
    Received,
    SearchKey,
    Smaller,
    SortBy,
    SortCriterion,
    Text,
    ThreadAlgorithm,
    ThreadNode,
    UidIn,
    When,
)
from mailframe.errors import FolderRefused
from mailframe.interfaces.folders import ISearching
from mailframe.protocols.imap.commands import (
    Both,
    CancelUpdate,
    Criterion,
    Either,
    Filter,
    IsRecent,
    MessageSet,
    Neither,
    NumbersIn,
    Return,
    ReturnOptions,
    Scope,
    Search,
    Sort,
    Source,
    Thread,
    YoungerThan,
)
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.servers import imap_contexts, imap_linear
from mailframe.servers.imap import ImapLimits
from mailframe.servers.imap_criteria import names_messages, resolve, spans
from mailframe.servers.imap_outcome import Refused
from mailframe.servers.imap_search import cancel_update, search
from mailframe.servers.imap_sort import sort, thread
from mailframe.servers.imap_turns import Turn
from tests.unit.servers.imap_talk import START, Here, MemoryFolder, Talk

FLAGGED = HasFlag("\\Flagged")


def numbers(first: int | None, last: int | None, *, uid: bool = False) -> NumbersIn:
    return NumbersIn(MessageSet(((first, last),)), uid)


def command(criterion: Criterion = FLAGGED, *returns: Return, **more: Any) -> Search:
    more.setdefault("uid", False)
    partial = more.pop("partial", None)
    options = ReturnOptions(frozenset(returns), partial) if returns else None
    return Search(criterion, returns=options, **more)


@pytest.fixture
def folder() -> MemoryFolder:
    """uids 2 to 7, numbers 1 to 6; 2, 4, 5 and 7 are flagged."""
    folder = MemoryFolder()
    for uid in range(1, 8):
        folder.put(b"Subject: %d\r\n\r\n" % uid, *(["\\Flagged"] if uid in (2, 4, 5, 7) else []))
    del folder.messages[1]
    return folder


class TestAnswers:
    def test_plain(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        talk.do(search(talk, command()))
        assert talk.lines == [b"* SEARCH 1 3 4 6"]
        talk.do(search(talk, command(uid=True)))
        assert talk.lines == [b"* SEARCH 2 4 5 7"]
        talk.do(search(talk, command(HasFlag("none"))))
        assert talk.lines == [b"* SEARCH"]

    def test_rev2_answers_esearch(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        talk.engine.enabled = {"IMAP4REV2"}
        talk.do(search(talk, command()))
        assert talk.lines == [b'* ESEARCH (TAG "A1") ALL 1,3:4,6']

    def test_what_the_client_does_not_know_is_not_found(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        folder.put(b"", "\\Flagged")
        talk.do(search(talk, command()))
        assert talk.lines == [b"* SEARCH 1 3 4 6"]

    @pytest.mark.parametrize(
        ("returns", "answer"),
        [
            ((Return.MIN,), b" MIN 2"),
            ((Return.MAX,), b" MAX 7"),
            ((Return.COUNT,), b" COUNT 4"),
            ((Return.ALL,), b" ALL 2,4:5,7"),
            ((Return.MIN, Return.MAX, Return.COUNT), b" MIN 2 MAX 7 COUNT 4"),
        ],
    )
    def test_extended(
        self, folder: MemoryFolder, returns: tuple[Return, ...], answer: bytes
    ) -> None:
        talk = Talk(folder)
        talk.do(search(talk, command(FLAGGED, *returns, uid=True)))
        assert talk.lines == [b'* ESEARCH (TAG "A1") UID' + answer]

    def test_message_limit(self, folder: MemoryFolder) -> None:
        talk = Talk(folder, limits=ImapLimits(messages=3))
        outcome = talk.do(search(talk, command(uid=True)))
        assert talk.lines == [b"* SEARCH 5 7"]
        assert outcome.code == "MESSAGELIMIT 3 5"
        # What the client narrows down itself is how it goes on.
        rest = Both((UidIn(((1, 4),)), FLAGGED))
        assert talk.do(search(talk, command(rest, uid=True))).code == ""
        assert talk.lines == [b"* SEARCH 2 4"]

    def test_nothing_found(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        everything = (Return.MIN, Return.MAX, Return.ALL, Return.COUNT)
        talk.do(search(talk, command(HasFlag("none"), *everything)))
        assert talk.lines == [b'* ESEARCH (TAG "A1") COUNT 0']

    @pytest.mark.parametrize(
        ("partial", "shown"),
        [((1, 2), b"2,4"), ((4, 9), b"7"), ((5, 9), b"NIL"), ((-1, -2), b"5,7")],
    )
    def test_partial(self, folder: MemoryFolder, partial: tuple[int, int], shown: bytes) -> None:
        talk = Talk(folder)
        talk.do(search(talk, command(FLAGGED, Return.PARTIAL, uid=True, partial=partial)))
        assert talk.lines == [b'* ESEARCH (TAG "A1") UID PARTIAL (%d:%d %b)' % (*partial, shown)]

    def test_modseq(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        asked = And((ModifiedSince(1), FLAGGED))
        talk.do(search(talk, command(asked, uses_modseq=True)))
        assert talk.lines == [
            b"* OK [HIGHESTMODSEQ 8] From here on",
            b"* SEARCH 1 3 4 6 (MODSEQ 8)",
        ]
        assert talk.condstore
        talk.do(search(talk, command(asked, Return.MIN, uses_modseq=True)))
        assert talk.lines == [b'* ESEARCH (TAG "A1") MIN 1 MODSEQ 3']
        talk.do(search(talk, command(HasFlag("none"), uses_modseq=True)))
        assert talk.lines == [b"* SEARCH"]


class TestSaved:
    @pytest.mark.parametrize(
        ("returns", "saved"),
        [
            ((), [2, 4, 5, 7]),
            ((Return.MIN,), [2]),
            ((Return.MIN, Return.MAX), [2, 7]),
            ((Return.MAX, Return.COUNT), [2, 4, 5, 7]),
            ((Return.ALL,), [2, 4, 5, 7]),
            ((Return.PARTIAL,), [4, 5]),
            ((Return.PARTIAL, Return.MAX), [4, 5, 7]),
        ],
    )
    def test_what(self, folder: MemoryFolder, returns: Sequence[Return], saved: list[int]) -> None:
        talk = Talk(folder)
        partial = (2, 3) if Return.PARTIAL in returns else None
        talk.do(search(talk, command(FLAGGED, Return.SAVE, *returns, partial=partial)))
        assert talk.open_folder().saved == saved
        assert bool(talk.sent) is bool(returns)

    def test_use(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        talk.open_folder().saved = (2, 3, 99)
        dollar = NumbersIn(MessageSet(saved=True), uid=False)
        talk.do(search(talk, command(Both((dollar, FLAGGED)))))
        assert talk.lines == [b"* SEARCH 1"]

    def test_a_failure_empties_it(self, folder: MemoryFolder) -> None:
        talk = Talk(failing(folder))
        talk.open_folder().saved = (2,)
        with pytest.raises(FolderRefused):
            talk.do(search(talk, command()))
        assert talk.open_folder().saved == (2,)
        with pytest.raises(FolderRefused):
            talk.do(search(talk, command(FLAGGED, Return.SAVE)))
        assert talk.open_folder().saved == ()


class TestCriteria:
    def test_resolve(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        selected = talk.open_folder()
        selected.recent.add(Recent(6, 8))
        cases: list[tuple[Criterion, SearchKey]] = [
            (numbers(2, 3), UidIn(((3, 4),))),
            (numbers(5, None), UidIn(((6, 7),))),
            (numbers(9, None, uid=True), UidIn(((7, 7),))),
            (IsRecent(), UidIn(((6, 7),))),
            (YoungerThan(60), Received(since=START - 60)),
            (Neither(YoungerThan(60)), Not(Received(since=START - 60))),
            (Either(All(), numbers(1, 1)), Or(All(), UidIn(((2, 2),)))),
            (Both((All(), FLAGGED)), And((All(), FLAGGED))),
        ]
        for criterion, key in cases:
            assert resolve(criterion, selected, START) == key

    def test_a_number_that_is_not_there(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        talk.do(search(talk, command(numbers(5, 99))))
        assert talk.lines == [b"* SEARCH 5 6"]
        talk.do(search(talk, command(numbers(99, 100))))
        assert talk.lines == [b"* SEARCH"]
        talk = Talk(MemoryFolder())
        talk.do(search(talk, command(numbers(1, None))))
        assert talk.lines == [b"* SEARCH"]

    @pytest.mark.parametrize(
        ("uids", "ranges"),
        [([], []), ([1, 5, 9], [(1, 9)]), ([1, 5], [(1, 5)]), ([1, 9], [(1, 1), (9, 9)])],
    )
    def test_spans(self, uids: list[int], ranges: list[tuple[int, int]]) -> None:
        assert list(spans(uids, [1, 5, 9])) == ranges

    def test_spans_of_nothing(self) -> None:
        assert list(spans([], [])) == []


class TestLinear:
    """What it says of every key; the index is held to the same by its own tests."""

    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            (All(), [1, 2, 3]),
            (UidIn(((2, 9),)), [2, 3]),
            (HasFlag("WORK"), [1]),
            (Not(HasFlag("work")), [2, 3]),
            (Larger(150), [2]),
            (Smaller(20), [3]),
            (ModifiedSince(3), [2, 3]),
            (Received(since=START + 1), [2, 3]),
            (Received(before=START + 1), [1]),
            (Dated(DateOf.RECEIVED, When.ON, datetime.date(2023, 11, 14)), [1]),
            (Dated(DateOf.SAVED, When.SINCE, datetime.date(2023, 11, 15)), [2, 3]),
            (Dated(DateOf.RECEIVED, When.BEFORE, datetime.date(2023, 11, 14)), []),
            (Dated(DateOf.SENT, When.ON, datetime.date(2001, 2, 3)), [1]),
            (Header("subject", "HELLO  world"), [1]),
            (Header("x-thing", ""), [2]),
            (Header("x-thing", "alu"), [2]),
            (Header("x-thing", "other"), []),
            (Header("cc", ""), []),
            (Body("needle"), [2]),
            (Text("NEEDLE"), [2]),
            (Text("hello"), [1]),
            (Or(Body("needle"), HasFlag("work")), [1, 2]),
            (And((Body("nothing"), All())), []),
            (Not(Or(Text("needle"), Text("hello"))), [3]),
            (EmailId("nobody"), []),
        ],
    )
    def test_key(self, key: SearchKey, expected: list[int]) -> None:
        folder = MemoryFolder()
        date = b"Date: Sat, 03 Feb 2001 23:00:00 -0500\r\n"
        folder.put(date + b"Subject: Hello\r\n  World\r\n\r\n", "work", at=START)
        folder.put(b"X-Thing: value\r\n\r\n" + b"a Needle " * 20, at=START + 86_400)
        folder.put(b"", at=START + 86_400)
        folder.octets[4] = None
        talk = Talk(folder)
        found = talk.do(imap_linear.search(folder, key, Here(), talk.room))
        assert found == expected

    def test_what_flags_decide_is_not_read(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        key = And((UidIn(((3, 3),)), Body("x")))
        talk.do(imap_linear.search(folder, key, Here(), talk.room))
        assert len(folder.sources) == 1

    def test_many_are_read_in_batches(self) -> None:
        folder = MemoryFolder()
        for _ in range(200):
            folder.put(b"\r\nneedle")
        talk = Talk(folder)
        talk.do(search(talk, command(Body("needle"), Return.COUNT)))
        assert talk.lines == [b'* ESEARCH (TAG "A1") COUNT 200']
        assert len(folder.sources) == 200

    def test_others_get_their_turn(self) -> None:
        folder = MemoryFolder()
        for _ in range(2_000):
            folder.put(b"")
        clock = SlowClock()
        turn = Turn(clock)
        work = imap_linear.search(folder, HasFlag("x"), Here(), turn.pause)
        result = Deferred.fromCoroutine(work)
        rounds = 0
        while not result.called:
            clock.next_round()
            rounds += 1
        assert rounds >= 3


class SlowClock(Clock):
    """Each look at it takes time."""

    def __init__(self) -> None:
        super().__init__()
        self._ticks = itertools.count(0, 20)
        self._later: list[Any] = []

    def seconds(self) -> float:
        return next(self._ticks) / 1000

    def callLater(self, when: float, what: Any, *args: Any, **more: Any) -> Any:
        self._later.append((what, args))

    def next_round(self) -> None:
        later, self._later = self._later, []
        for what, args in later:
            what(*args)


class TestUpdates:
    def start(self, folder: MemoryFolder, *, uid: bool = True) -> Talk:
        talk = Talk(folder)
        talk.do(search(talk, command(FLAGGED, Return.UPDATE, Return.ALL, uid=uid)))
        return talk

    def test_came_and_left(self, folder: MemoryFolder) -> None:
        talk = self.start(folder)
        new = folder.put(b"", "\\Flagged")
        folder.messages[2] = folder.messages[2]._replace(flags=frozenset())
        folder.messages[3] = folder.messages[3]._replace(flags=frozenset({"\\Flagged"}))
        folder.tell(arrived=[new], changed=[2, 3, 4])
        talk.do(talk.update())
        assert talk.lines[-2:] == [
            b'* ESEARCH (TAG "A1") UID REMOVEFROM (0 2)',
            b'* ESEARCH (TAG "A1") UID ADDTO (0 3,8)',
        ]
        folder.tell(changed=[2, 3, 4])
        talk.do(talk.update())
        assert b"ESEARCH" not in talk.sent

    def test_what_is_expunged_leaves_by_its_number_first(self, folder: MemoryFolder) -> None:
        talk = self.start(folder, uid=False)
        talk.do(folder.expunge([2, 3, 7]))
        talk.do(talk.update())
        assert talk.lines[0] == b'* ESEARCH (TAG "A1") REMOVEFROM (0 1,6)'
        assert talk.lines[1] == b"* 6 EXPUNGE"

    def test_cancel(self, folder: MemoryFolder) -> None:
        talk = self.start(folder)
        talk.do(cancel_update(talk, CancelUpdate(("A1", "nonsense"))))
        folder.tell(arrived=[folder.put(b"", "\\Flagged")])
        talk.do(talk.update())
        assert b"ESEARCH" not in talk.sent

    def test_too_many(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        for number in range(imap_contexts.MOST + 1):
            talk.tag = f"T{number}"
            talk.do(search(talk, command(FLAGGED, Return.UPDATE, Return.COUNT)))
        assert talk.lines[-1].startswith(b'* NO [NOUPDATE "T16"]')
        assert len(talk.open_folder().contexts) == imap_contexts.MOST


class TestMultisearch:
    def run(self, talk: Talk, *filters: Filter, **more: Any) -> list[bytes]:
        source = Source(filters)
        talk.do(search(talk, command(uid=True, source=source, **more)))
        return talk.lines

    @pytest.fixture
    def talk(self, folder: MemoryFolder) -> Talk:
        work, below = MemoryFolder("Work"), MemoryFolder("Work/a b")
        work.put(b"", "\\Flagged")
        below.put(b"")
        below.put(b"", "\\Flagged")
        empty, secret = MemoryFolder("Empty"), MemoryFolder("Secret", rights="l")
        secret.put(b"", "\\Flagged")
        return Talk(folder, work, below, empty, secret)

    def test_everywhere(self, talk: Talk) -> None:
        assert self.run(talk, Filter(Scope.PERSONAL)) == [
            b'* ESEARCH (TAG "A1" MAILBOX INBOX UIDVALIDITY 7) UID ALL 2,4:5,7',
            b'* ESEARCH (TAG "A1" MAILBOX Work UIDVALIDITY 7) UID ALL 1',
            b'* ESEARCH (TAG "A1" MAILBOX "Work/a b" UIDVALIDITY 7) UID ALL 2',
        ]

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (Filter(Scope.SELECTED), 1),
            (Filter(Scope.INBOXES), 1),
            (Filter(Scope.SUBSCRIBED), 1),
            (Filter(Scope.SUBTREE, ("Work",)), 2),
            (Filter(Scope.MAILBOXES, ("Work", "Nowhere", "Secret")), 1),
        ],
    )
    def test_filters(self, talk: Talk, where: Filter, found: int) -> None:
        talk.account.subscribed = ("Work",)
        assert len(self.run(talk, where)) == found

    def test_numbers_need_the_selected_folder(self, talk: Talk) -> None:
        source = Source((Filter(Scope.PERSONAL),))
        for asked in (numbers(1, 2), Neither(IsRecent())):
            assert names_messages(asked)
            with pytest.raises(BadCommand):
                talk.do(search(talk, command(asked, uid=True, source=source)))
        with pytest.raises(BadCommand):
            talk.do(search(talk, command(FLAGGED, Return.SAVE, uid=True, source=source)))

    def test_saving_from_the_selected_folder(self, talk: Talk) -> None:
        source = Source((Filter(Scope.SELECTED),))
        talk.do(search(talk, command(FLAGGED, Return.SAVE, uid=True, source=source)))
        assert talk.open_folder().saved == [2, 4, 5, 7]


@implementer(ISearching)
class Sorting(MemoryFolder):
    """Backwards; and threads as they are given."""

    threads: Sequence[ThreadNode] = ()

    async def search(self, key: SearchKey) -> Sequence[int]:
        return list(self.messages)

    async def sort(self, key: SearchKey, by: Sequence[SortCriterion]) -> Sequence[int]:
        return list(reversed(self.messages))

    async def thread(self, key: SearchKey, algorithm: ThreadAlgorithm) -> Sequence[ThreadNode]:
        return self.threads


class TestSort:
    BY = (SortCriterion(SortBy.ARRIVAL),)

    def talk(self) -> Talk:
        folder = Sorting()
        for _ in range(5):
            folder.put()
        del folder.messages[1]
        talk = Talk(folder)
        folder.put()  # not known yet
        return talk

    def test_sort(self) -> None:
        talk = self.talk()
        talk.do(sort(talk, Sort(self.BY, All(), uid=True)))
        assert talk.lines == [b"* SORT 5 4 3 2"]
        talk.do(sort(talk, Sort(self.BY, All(), uid=False)))
        assert talk.lines == [b"* SORT 4 3 2 1"]

    def test_extended(self) -> None:
        talk = self.talk()
        returns = ReturnOptions(frozenset((Return.MIN, Return.ALL, Return.UPDATE)))
        talk.do(sort(talk, Sort(self.BY, All(), uid=True, returns=returns)))
        assert talk.lines[0] == b'* ESEARCH (TAG "A1") UID MIN 5 ALL 5,4,3,2'
        assert talk.lines[1].startswith(b"* NO [NOUPDATE")

    def test_message_limit(self) -> None:
        folder = Sorting()
        for _ in range(4):
            folder.put()
        talk = Talk(folder, limits=ImapLimits(messages=3))
        with pytest.raises(Refused) as caught:
            talk.do(sort(talk, Sort(self.BY, All(), uid=True)))
        assert caught.value.code == "MESSAGELIMIT 3"
        talk.do(sort(talk, Sort(self.BY, UidIn(((2, 9),)), uid=True)))
        with pytest.raises(Refused):
            talk.do(thread(talk, Thread(ThreadAlgorithm.REFS, All(), uid=True)))

    def test_cannot(self, folder: MemoryFolder) -> None:
        talk = Talk(folder)
        with pytest.raises(FolderRefused):
            talk.do(sort(talk, Sort(self.BY, All(), uid=True)))


class TestThread:
    def run(self, *threads: ThreadNode, uid: bool = True) -> bytes:
        folder = Sorting()
        for _ in range(9):
            folder.put()
        folder.threads = threads
        talk = Talk(folder)
        talk.do(thread(talk, Thread(ThreadAlgorithm.REFERENCES, All(), uid)))
        return talk.sent

    def test_tree(self) -> None:
        leaf = ThreadNode(7)
        tree = ThreadNode(3, [ThreadNode(6, [ThreadNode(4, [leaf]), ThreadNode(5)])])
        assert self.run(ThreadNode(2), tree) == b"* THREAD (2)(3 6 (4 7)(5))\r\n"

    def test_nothing(self) -> None:
        assert self.run() == b"* THREAD\r\n"

    def test_what_the_client_does_not_know(self) -> None:
        gone = 99
        assert self.run(ThreadNode(gone, [ThreadNode(1), ThreadNode(2)])) == (
            b"* THREAD ((1)(2))\r\n"
        )
        assert self.run(ThreadNode(gone, [ThreadNode(1)])) == b"* THREAD (1)\r\n"
        assert self.run(ThreadNode(gone, [ThreadNode(gone)]), ThreadNode(1)) == (
            b"* THREAD (1)\r\n"
        )

    def test_deep(self) -> None:
        node = ThreadNode(1)
        for _ in range(50_000):
            node = ThreadNode(None, [node])
        assert self.run(node) == b"* THREAD (1)\r\n"


def failing(folder: MemoryFolder) -> MemoryFolder:
    from zope.interface import directlyProvides

    from mailframe.core.folders import FolderReason

    async def refuse(*_: object) -> Sequence[int]:
        raise FolderRefused(FolderReason.UNAVAILABLE, "not now")

    folder.search = refuse  # type: ignore[attr-defined]
    directlyProvides(folder, ISearching)
    return folder
