"""SORT and THREAD over an account's index, and what a search can find at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailframe.core.search import (
    All,
    And,
    Body,
    HasFlag,
    Header,
    SearchKey,
    SortBy,
    SortCriterion,
    Text,
    ThreadAlgorithm,
    ThreadNode,
    UidIn,
)
from mailframe.mailbox.index.folder import IndexedFolder
from tests.unit.mailbox.house import done
from tests.unit.mailbox.index.indexed import Indexed, add, append, now

NOON = 1_699_963_200  # 14 Nov 2023, 12:00 UTC
SortKey = SortBy | SortCriterion


@pytest.fixture
def folder(indexed: Indexed) -> IndexedFolder:
    return indexed.folder()


def put(folder: IndexedFolder, *lines: str, received: int = NOON, text: str = "") -> int:
    """A message with these header lines; its uid."""
    content = "".join(line + "\r\n" for line in (*lines, "", text)).encode()
    (uid,) = append(folder, content, received=received).uids
    return int(uid)


def reverse(by: SortBy) -> SortCriterion:
    return SortCriterion(by, reverse=True)


def order(folder: IndexedFolder, *by: SortKey, key: SearchKey | None = None) -> list[int]:
    criteria = [SortCriterion(each) if isinstance(each, SortBy) else each for each in by]
    return list(now(folder.sort(key or All(), criteria)))


Tree = int | None | tuple[Any, ...]


def trees(folder: IndexedFolder, algorithm: ThreadAlgorithm, key: SearchKey | None = None) -> Any:
    return [shape(node) for node in now(folder.thread(key or All(), algorithm))]


def shape(node: ThreadNode) -> Tree:
    """A uid, or a uid (None: nothing is there) and what is below it."""
    if not node.children:
        return node.uid
    return (node.uid, *(shape(child) for child in node.children))


def asked(folder: IndexedFolder, query: str, *values: int) -> Any:
    """The one value that the index answers."""
    index = folder.live.index
    return done(index.read(lambda connection: connection.execute(query, values).fetchone()))[0]


def counted(folder: IndexedFolder, table: str) -> int:
    return int(asked(folder, f"SELECT count(*) FROM {table}"))


# ---- SORT


def test_by_arrival_is_by_internaldate_not_by_uid(folder: IndexedFolder) -> None:
    for received in (NOON + 2, NOON, NOON + 1):
        put(folder, received=received)
    assert order(folder, SortBy.ARRIVAL) == [2, 3, 1]
    assert order(folder, reverse(SortBy.ARRIVAL)) == [1, 3, 2]


def test_by_date_is_in_utc(folder: IndexedFolder) -> None:
    put(folder, "Date: Tue, 14 Nov 2023 12:00:00 +0000")
    put(folder, "Date: Tue, 14 Nov 2023 13:30:00 +0200")  # 11:30
    put(folder, "Date: Tue, 14 Nov 2023 08:00:00 -0500")  # 13:00
    assert order(folder, SortBy.DATE) == [2, 1, 3]
    assert order(folder, reverse(SortBy.DATE)) == [3, 1, 2]


@pytest.mark.parametrize("missing", [[], ["Date: soon"], ["Date:"]], ids=["none", "bad", "empty"])
def test_without_a_date_that_of_arrival_counts(folder: IndexedFolder, missing: list[str]) -> None:
    # RFC 5256 section 2.2
    put(folder, "Date: Tue, 14 Nov 2023 12:00:00 +0000", received=NOON + 900)
    put(folder, *missing, received=NOON - 60)
    put(folder, *missing, received=NOON + 60)
    put(folder, "Date: Tue, 14 Nov 2023 12:00:30 +0000", received=NOON - 900)
    assert order(folder, SortBy.DATE) == [2, 1, 4, 3]


def test_a_date_without_a_time_is_midnight(folder: IndexedFolder) -> None:
    put(folder, "Date: Tue, 14 Nov 2023 00:00:01 +0000")
    put(folder, "Date: Tue, 14 Nov 2023 99:99:99 +0000")
    assert order(folder, SortBy.DATE) == [2, 1]


def test_by_size_in_wire_format(folder: IndexedFolder) -> None:
    for length in (30, 10, 20):
        put(folder, text="x" * length)
    assert order(folder, SortBy.SIZE) == [2, 3, 1]
    assert order(folder, reverse(SortBy.SIZE)) == [1, 3, 2]


def test_by_base_subject(folder: IndexedFolder) -> None:
    put(folder, "Subject: Re: [list] beta")
    put(folder, "Subject: ALPHA (fwd)")
    put(folder, "Subject: [Fwd: gamma]")
    put(folder, "Subject: =?utf-8?Q?Re=3A_alph=C3=A4?=")  # accents count
    put(folder, "To: nobody@x.example")
    put(folder, "Subject: beta")
    # no subject is the empty one
    assert order(folder, SortBy.SUBJECT) == [5, 2, 4, 1, 6, 3]


@pytest.mark.parametrize("by", [SortBy.FROM, SortBy.TO, SortBy.CC])
def test_by_the_first_addresss_mailbox(folder: IndexedFolder, by: SortBy) -> None:
    name = by.value.capitalize()
    put(folder, f"{name}: Aaron <zoe@a.example>, abe@a.example")
    put(folder, f"{name}: Zorro <ANN@z.example>")
    put(folder, f'{name}: "x" <bob@m.example>')
    put(folder, "X-Other: nothing here")
    put(folder, f"{name}: Group: carl@x.example;")
    # RFC 5256 section 3: the mailbox, not the name, not the host; RFC 9051 7.5.2: the group's
    assert order(folder, by) == [4, 2, 3, 5, 1]
    assert order(folder, reverse(by)) == [1, 5, 3, 2, 4]


@pytest.mark.parametrize(
    ("by", "name"), [(SortBy.DISPLAYFROM, "From"), (SortBy.DISPLAYTO, "To")], ids=["from", "to"]
)
def test_by_what_is_displayed(folder: IndexedFolder, by: SortBy, name: str) -> None:
    # RFC 5957 section 3: the display name, decoded; else the address
    put(folder, f"{name}: Zoe <ann@a.example>, Abe <abe@a.example>")
    put(folder, f"{name}: mark@a.example")
    put(folder, f"{name}: =?utf-8?Q?bob?= <zzz@a.example>")
    put(folder, f"{name}: mark@A.example")
    put(folder, "X-Other: nothing here")
    put(folder, f'{name}: "Carl, the" <yyy@a.example>')
    assert order(folder, by) == [5, 3, 6, 2, 4, 1]
    assert order(folder, reverse(by)) == [1, 2, 4, 6, 3, 5]


def test_letters_of_any_script_sort_without_case(folder: IndexedFolder) -> None:
    put(folder, "Subject: =?utf-8?B?0LHQsNC90Lo=?=")  # банк
    put(folder, "Subject: =?koi8-r?B?4eHh?=")  # ААА
    put(folder, "Subject: =?utf-8?B?0JHQkNCd0Jo=?=")  # БАНК
    put(folder, "Subject: zebra")
    assert order(folder, SortBy.SUBJECT) == [4, 2, 1, 3]


def test_what_is_equal_goes_by_uid_even_when_turned_round(folder: IndexedFolder) -> None:
    for subject in ("b", "a", "b", "a"):
        put(folder, f"Subject: {subject}")
    assert order(folder, SortBy.SUBJECT) == [2, 4, 1, 3]
    # RFC 5256 section 3: the order of what is equal stays that of the sequence numbers
    assert order(folder, reverse(SortBy.SUBJECT)) == [1, 3, 2, 4]
    for by in (SortBy.FROM, SortBy.TO, SortBy.CC, SortBy.SIZE, SortBy.ARRIVAL, SortBy.DATE):
        assert order(folder, by) == order(folder, reverse(by)) == [1, 2, 3, 4]


def test_several_criteria(folder: IndexedFolder) -> None:
    for subject, received in (("b", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 2)):
        put(folder, f"Subject: {subject}", received=NOON + received)
    assert order(folder, SortBy.SUBJECT, SortBy.ARRIVAL) == [2, 4, 1, 3, 5]
    assert order(folder, SortBy.SUBJECT, reverse(SortBy.ARRIVAL)) == [4, 2, 3, 5, 1]
    assert order(folder, reverse(SortBy.SUBJECT), SortBy.ARRIVAL) == [1, 3, 5, 2, 4]
    assert order(folder, SortBy.ARRIVAL, reverse(SortBy.SUBJECT)) == [1, 2, 3, 5, 4]
    # The second of the same kind decides nothing.
    assert order(folder, SortBy.SUBJECT, reverse(SortBy.SUBJECT)) == [2, 4, 1, 3, 5]
    both: list[SortKey] = [reverse(SortBy.SUBJECT), SortBy.SUBJECT]
    assert order(folder, *both * 500) == [1, 3, 5, 2, 4]


def test_only_what_is_searched_for_is_sorted(folder: IndexedFolder) -> None:
    for subject in ("c needle", "b", "a needle", "needle"):
        put(folder, f"Subject: {subject}")
    now(folder.store([3, 4], add("\\Seen")))
    needle = Header("subject", "NEEDLE")
    assert order(folder, SortBy.SUBJECT, key=needle) == [3, 1, 4]
    assert order(folder, SortBy.SUBJECT, key=And((needle, HasFlag("\\seen")))) == [3, 4]
    assert order(folder, SortBy.SUBJECT, key=UidIn(((2, 3),))) == [3, 2]
    assert order(folder, SortBy.SUBJECT, key=UidIn(())) == []
    many = UidIn(tuple((uid, uid) for uid in range(1, 80, 2)))
    assert order(folder, SortBy.SUBJECT, key=many) == [3, 1]


# ---- THREAD


@pytest.fixture
def talk(folder: IndexedFolder) -> IndexedFolder:
    """1 is answered by 2 and, before that, by 4, which 5 answers; 3 and 6 have the subject
    only; what 7 and 8 answer is not there."""
    put(folder, "Message-ID: <1@x>", "Subject: plan", received=NOON)
    put(folder, "Message-ID: <2@x>", "References: <1@x>", "Subject: Re: plan", received=NOON + 40)
    put(folder, "Message-ID: <3@x>", "Subject: lunch", received=NOON + 20)
    put(folder, "Message-ID: <4@x>", "In-Reply-To: <1@x>", "Subject: new", received=NOON + 30)
    put(folder, "Message-ID: <5@x>", "References: <1@x> <4@x>", "Subject: x", received=NOON + 90)
    put(folder, "Message-ID: <6@x>", "Subject: Re: LUNCH", received=NOON + 60)
    put(folder, "References: <gone@x>", "Subject: this", received=NOON + 50)
    put(folder, "References: <gone@x>", "Subject: that", received=NOON + 70)
    return folder


def test_threads_by_references(talk: IndexedFolder) -> None:
    assert trees(talk, ThreadAlgorithm.REFERENCES) == [
        (1, (4, 5), 2),
        (3, 6),
        (None, 7, 8),
    ]


def test_threads_by_references_only(talk: IndexedFolder) -> None:
    # By their youngest message: 60, 70, 90; equal subjects are not joined.
    assert trees(talk, ThreadAlgorithm.REFS) == [3, 6, (None, 7, 8), (1, (4, 5), 2)]


def test_threads_by_ordered_subject(talk: IndexedFolder) -> None:
    assert trees(talk, ThreadAlgorithm.ORDEREDSUBJECT) == [(1, 2), (3, 6), 4, 7, 8, 5]


def test_a_date_field_decides_among_siblings(folder: IndexedFolder) -> None:
    put(folder, "Message-ID: <1@x>", "Subject: a")
    put(folder, "References: <1@x>", "Date: Tue, 14 Nov 2023 12:00:09 +0000", received=NOON + 1)
    put(folder, "References: <1@x>", "Date: Tue, 14 Nov 2023 12:00:08 +0000", received=NOON + 2)
    assert trees(folder, ThreadAlgorithm.REFERENCES) == [(1, 3, 2)]
    assert trees(folder, ThreadAlgorithm.REFS) == [(1, 2, 3)]  # by arrival


def test_threads_of_those_that_match(talk: IndexedFolder) -> None:
    # 1 and 4 are not among them: 4's place is 5's.
    key = UidIn(((2, 3), (5, 5)))
    assert trees(talk, ThreadAlgorithm.REFERENCES, key) == [3, (None, 2, 5)]
    assert trees(talk, ThreadAlgorithm.ORDEREDSUBJECT, UidIn(())) == []


def test_references_in_a_circle(folder: IndexedFolder) -> None:
    put(folder, "Message-ID: <1@x>", "References: <2@x>")
    put(folder, "Message-ID: <2@x>", "References: <1@x>")
    put(folder, "Message-ID: <2@x>", "References: <2@x> <2@x>")
    for algorithm in ThreadAlgorithm:
        nodes = list(now(folder.thread(All(), algorithm)))
        uids = []
        while nodes:
            node = nodes.pop()
            nodes += node.children
            uids += [node.uid] if node.uid else []
        assert sorted(uids) == [1, 2, 3]


# ---- what is there to be found


@pytest.mark.parametrize("by", SortBy)
def test_an_empty_folder(folder: IndexedFolder, by: SortBy) -> None:
    assert order(folder, by) == order(folder, reverse(by)) == []
    assert order(folder, by, key=Text("needle")) == []


def test_nothing_in_an_empty_folder(folder: IndexedFolder) -> None:
    assert list(now(folder.search(All()))) == list(now(folder.search(Body("")))) == []
    assert [trees(folder, algorithm) for algorithm in ThreadAlgorithm] == [[], [], []]


@pytest.mark.parametrize("by", [by for by in SortBy if by not in (SortBy.ARRIVAL, SortBy.SIZE)])
def test_what_was_not_read_is_read_first(folder: IndexedFolder, by: SortBy) -> None:
    later = "Date: Tue, 14 Nov 2023 12:00:09 +0000"
    put(folder, later, *(f"{name}: b <b@x.example>" for name in ("From", "To", "Cc", "Subject")))
    put(folder, *(f"{name}: a <a@x.example>" for name in ("From", "To", "Cc", "Subject")))
    assert counted(folder, "content") == 0
    assert order(folder, by) == [2, 1]
    assert counted(folder, "heading") == 2


@pytest.mark.parametrize("by", [SortBy.ARRIVAL, SortBy.SIZE])
def test_nothing_is_read_that_does_not_matter(folder: IndexedFolder, by: SortBy) -> None:
    put(folder, "Subject: b", text="long", received=NOON + 1)
    put(folder, "Subject: a", received=NOON)
    assert order(folder, by) == [2, 1]
    assert list(now(folder.search(HasFlag("\\Seen")))) == []
    assert counted(folder, "content") == 0
    assert order(folder, by, key=Header("subject", "b")) == [1]
    assert counted(folder, "content") == 2


@pytest.mark.parametrize("algorithm", ThreadAlgorithm)
def test_threads_read_first(folder: IndexedFolder, algorithm: ThreadAlgorithm) -> None:
    put(folder, "Message-ID: <1@x>", "Subject: a")
    put(folder, "References: <1@x>", "Subject: Re: a")
    assert counted(folder, "content") == 0
    assert trees(folder, algorithm) == [(1, 2)]


def test_only_those_are_read_that_can_match(folder: IndexedFolder) -> None:
    for number in range(4):
        put(folder, f"Subject: {number}")
    key = And((UidIn(((2, 3),)), Header("subject", "2")))
    assert list(now(folder.search(key))) == [3]
    assert counted(folder, "content") == 2


def test_what_is_expunged_is_not_found(folder: IndexedFolder) -> None:
    for letter in "dcba":
        put(folder, f"Subject: {letter} needle")
    assert list(now(folder.search(Text("needle")))) == [1, 2, 3, 4]
    now(folder.expunge([2, 4]))
    assert list(now(folder.search(Text("needle")))) == [1, 3]
    assert list(now(folder.search(All()))) == [1, 3]
    assert list(now(folder.search(UidIn(((2, 2), (4, 1 << 32)))))) == []
    assert order(folder, SortBy.SUBJECT) == [3, 1]
    assert trees(folder, ThreadAlgorithm.ORDEREDSUBJECT) == [1, 3]
    uid = put(folder, "Subject: a needle")
    assert uid == 5
    assert order(folder, SortBy.SUBJECT, key=Text("needle")) == [5, 3, 1]


def test_a_copy_shares_what_was_read(indexed: Indexed, folder: IndexedFolder) -> None:
    put(folder, "Subject: b needle", "Message-ID: <1@x>")
    put(folder, "Subject: a", "References: <1@x>")
    assert list(now(folder.search(Text("needle")))) == [1]
    indexed.make("Work")
    work = indexed.folder("Work")
    assert list(now(folder.copy([1, 2], work)).targets) == [1, 2]
    # The original goes; nobody has to read the copies again.
    now(folder.expunge([1, 2]))
    assert counted(folder, "content") == counted(folder, "words") == 2
    for path in Path(work.live.place.path).glob("*/*.*"):
        path.unlink()
    assert list(now(work.search(Text("needle")))) == [1]
    assert order(work, SortBy.SUBJECT) == [2, 1]
    assert trees(work, ThreadAlgorithm.REFERENCES) == [(1, 2)]
    assert list(now(folder.search(Text("needle")))) == []


def test_a_folder_finds_its_own_messages_only(indexed: Indexed, folder: IndexedFolder) -> None:
    put(folder, "Subject: needle")
    indexed.make("Work")
    work = indexed.folder("Work")
    put(work, "Subject: none")
    put(work, "Subject: needle")
    assert list(now(folder.search(Text("needle")))) == [1]
    assert list(now(work.search(Text("needle")))) == [2]
    assert order(folder, SortBy.SUBJECT) == [1]
    assert trees(work, ThreadAlgorithm.REFS) == [1, 2]


def test_what_cannot_be_read_sorts_by_what_is_known(folder: IndexedFolder) -> None:
    late = "Date: Wed, 15 Nov 2023 12:00:00 +0000"
    put(folder, "Subject: b", late, received=NOON + 3)
    put(folder, "Subject: a", late, received=NOON + 1)
    put(folder, "Subject: a", received=NOON + 2)
    (second,) = (path for path, name in files(folder) if name.base == base_of(folder, 2))
    Path(second).unlink()
    assert order(folder, SortBy.SUBJECT) == [2, 3, 1]  # as if it had no subject
    assert order(folder, SortBy.DATE) == [2, 3, 1]  # by its arrival
    assert trees(folder, ThreadAlgorithm.ORDEREDSUBJECT) == [2, 3, 1]
    assert list(now(folder.search(Header("subject", "")))) == [1, 3]


def files(folder: IndexedFolder) -> list[Any]:
    return list(folder.live.place.maildir.files())


def base_of(folder: IndexedFolder, uid: int) -> str:
    return str(asked(folder, "SELECT base FROM message WHERE uid = ?", uid))
