"""THREAD: ORDEREDSUBJECT and REFERENCES as RFC 5256 section 3 has them, and REFS."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.search import ThreadAlgorithm, ThreadNode
from mailframe.message.threading import Threaded, thread

ORDEREDSUBJECT = ThreadAlgorithm.ORDEREDSUBJECT
REFERENCES = ThreadAlgorithm.REFERENCES
REFS = ThreadAlgorithm.REFS


def message(
    uid: int,
    message_id: str = "",
    references: str = "",
    *,
    sent: int | None = None,
    received: int | None = None,
    subject: str = "",
) -> Threaded:
    """Sent and received in the order of uids unless said otherwise."""
    base = subject.removeprefix("Re: ")
    return Threaded(
        uid,
        message_id,
        references.split(),
        uid if sent is None else sent,
        uid if received is None else received,
        base.encode(),
        base != subject,
    )


def shown(nodes: Iterable[ThreadNode]) -> str:
    """``1(2 3(4))``: 2 and 3 answer 1; ``-`` is not there."""
    return " ".join(
        (str(node.uid) if node.uid is not None else "-")
        + (f"({shown(node.children)})" if node.children else "")
        for node in nodes
    )


def threads(algorithm: ThreadAlgorithm, *messages: Threaded) -> str:
    found = shown(thread(messages, algorithm))
    assert shown(thread(reversed(messages), algorithm)) == found
    return found


def all_uids(nodes: Iterable[ThreadNode]) -> list[int]:
    waiting, found = list(nodes), []
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.uid is not None:
            found.append(node.uid)
    return sorted(found)


@pytest.mark.parametrize("algorithm", ThreadAlgorithm)
def test_few(algorithm: ThreadAlgorithm) -> None:
    assert thread([], algorithm) == []
    assert thread(iter([message(7, "a", "b c")]), algorithm) == [ThreadNode(7)]


# ---- ORDEREDSUBJECT


def test_ordered_subject() -> None:
    assert (
        threads(
            ORDEREDSUBJECT,
            message(1, subject="b", sent=5),
            message(2, subject="Re: a", sent=4),
            message(3, subject="a", sent=9),
            message(4, subject="Re: b", sent=1),
            message(5, subject="a", sent=4),
        )
        == "4(1) 2(5 3)"
    )


def test_ordered_subject_does_not_look_at_references() -> None:
    messages = message(1, "a", subject="x"), message(2, "b", "a", subject="y")
    assert threads(ORDEREDSUBJECT, *messages) == "1 2"


def test_messages_without_subject_have_the_same() -> None:
    messages = message(1), message(2, subject="x"), message(3)
    assert threads(ORDEREDSUBJECT, *messages) == "1(3) 2"


# ---- steps 1 to 4, which REFERENCES and REFS share


@pytest.mark.parametrize("algorithm", [REFERENCES, REFS])
@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # a chain, a fork
        ([message(1, "a"), message(2, "b", "a"), message(3, "c", "a b")], "1(2(3))"),
        ([message(1, "a"), message(2, "b", "a"), message(3, "c", "a")], "1(2 3)"),
        # the answer came first
        ([message(1, "b", "a"), message(2, "a")], "2(1)"),
        # truncated references are completed by those of others ...
        ([message(1, "a"), message(2, "b", "a"), message(3, "c", "b")], "1(2(3))"),
        ([message(1, "a"), message(2, "b"), message(3, "c", "a b")], "1(2(3))"),
        ([message(1, "b"), message(2, "c", "a b"), message(3, "a")], "3(1(2))"),
        # ... unless the message itself comes later and says otherwise
        ([message(1, "c", "a b"), message(2, "b", "x"), message(3, "x")], "3(2(1))"),
        ([message(1, "c", "a b"), message(2, "b"), message(3, "a")], "2(1) 3"),
        # what is linked stays where others only mention it
        (
            [message(1, "a"), message(2, "b", "a"), message(3, "x"), message(4, "c", "x b")],
            "1(2(4)) 3",
        ),
        # parents that are not there: gone, unless they join threads
        ([message(1, "b", "gone")], "1"),
        ([message(1, "b", "gone"), message(2, "c", "gone")], "-(1 2)"),
        ([message(1, "b", "g1 g2"), message(2, "c", "g1 g3")], "-(1 2)"),
        ([message(1, "b", "g1 g2"), message(2, "c", "g1 g2")], "-(1 2)"),
        ([message(1, "a"), message(2, "b", "a gone"), message(3, "c", "a gone")], "1(2 3)"),
        ([message(1, "b", "g1 g2 g3"), message(2, "c", "g2 b")], "1(2)"),
        # RFC 5256's case: a dummy below the root gives its children to the root dummy
        ([message(1, "a", "g1"), message(2, "b", "g1 g2"), message(3, "c", "g1 g2")], "-(1 2 3)"),
        # a message that refers to itself
        ([message(1, "a", "a")], "1"),
        ([message(1, "a", "a a a")], "1"),
        ([message(1, "a"), message(2, "b", "b a")], "2(1)"),  # to the letter of step 1
        # cycles: the later link is not made
        ([message(1, "a", "b"), message(2, "b", "a")], "2(1)"),
        ([message(1, "a", "c"), message(2, "b", "a"), message(3, "c", "b")], "3(1(2))"),
        ([message(1, "a", "g1 g2 g1"), message(2, "b", "g2 g1 g2")], "-(1 2)"),
        ([message(1, "c", "a b a"), message(2, "a"), message(3, "b")], "2(1) 3"),
        # several with the same id: the first is the one that is answered
        ([message(1, "a"), message(2, "a"), message(3, "b", "a")], "1(3) 2"),
        ([message(1, "x"), message(2, "a", "x"), message(3, "a", "x"), message(4, "b", "a")],
         "1(2(4) 3)"),
        ([message(1, "a"), message(2, "a", "a")], "1(2)"),
        # no id at all
        ([message(1), message(2), message(3, "", "a"), message(4, "a")], "1 2 4(3)"),
    ],
)  # fmt: skip
def test_references(algorithm: ThreadAlgorithm, messages: list[Threaded], expected: str) -> None:
    # roots by age in REFERENCES, by their youngest in REFS: here only the set of threads counts
    found = thread(messages, algorithm)
    assert shown(sorted(found, key=lambda node: all_uids([node])[0])) == shown(
        sorted(thread(messages, REFERENCES), key=lambda node: all_uids([node])[0])
    )
    assert sorted(shown([node]) for node in found) == sorted(_split(expected))


def _split(text: str) -> list[str]:
    """The threads of ``shown``."""
    depth, pieces = 0, [""]
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == " " and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def test_siblings_by_date_then_uid() -> None:
    messages = [
        message(1, "a", sent=50, received=1),
        message(2, "b", "a", sent=9, received=2),
        message(3, "c", "a", sent=7, received=5),
        message(4, "d", "a", sent=7, received=4),
        message(5, "e", sent=49, received=6),
        message(6, "f", sent=50, received=0),
    ]
    assert threads(REFERENCES, *messages) == "5 1(3 4 2) 6"
    # by arrival; threads by their youngest
    assert threads(REFS, *messages) == "6 1(2 4 3) 5"


def test_a_dummy_is_as_old_as_its_first_child() -> None:
    messages = [
        message(1, "a", "gone", sent=30, received=30),
        message(2, "b", "gone", sent=10, received=10),
        message(3, "c", sent=9, received=9),
        message(4, "d", sent=11, received=11),
        message(5, "e", sent=31, received=31),
    ]
    assert threads(REFERENCES, *messages) == "3 -(2 1) 4 5"
    assert threads(REFS, *messages) == "3 4 -(2 1) 5"


# ---- steps 5 and 6


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # the reply comes under what is none
        ([message(1, subject="x"), message(2, subject="Re: x")], "1(2)"),
        ([message(1, subject="Re: x"), message(2, subject="x")], "2(1)"),
        # neither is a reply, or both: under a dummy
        ([message(1, subject="x"), message(2, subject="x")], "-(1 2)"),
        ([message(1, subject="Re: x"), message(2, subject="Re: x")], "-(1 2)"),
        ([message(uid, subject="x") for uid in (1, 2, 3, 4)], "-(1 2 3 4)"),
        ([message(1, subject="x"), message(2, subject="x"), message(3, subject="Re: x")],
         "-(1 2 3)"),
        ([message(1, subject="x"), message(2, subject="Re: x"), message(3, subject="x")],
         "-(1(2) 3)"),
        ([message(1, subject="Re: x"), message(2, subject="x"), message(3, subject="x")],
         "-(2(1) 3)"),
        # nothing is joined by an empty subject
        ([message(1), message(2), message(3, subject="Re: ")], "1 2 3"),
        # only the root's subject counts
        (
            [
                message(1, "a", subject="x"),
                message(2, "b", "a", subject="y"),
                message(3, "c", subject="y"),
            ],
            "1(2) 3",
        ),
        # dummies: children of both become siblings; what is no dummy comes among them
        (
            [
                message(1, "a", "g", subject="x"),
                message(2, "b", "g", subject="x"),
                message(3, "c", "h", subject="Re: x"),
                message(4, "d", "h", subject="z"),
            ],
            "-(1 2 3 4)",
        ),
        (
            [
                message(1, "e", subject="x"),
                message(2, "a", "g", subject="Re: x"),
                message(3, "b", "g", subject="y"),
                message(4, "f", subject="y"),
            ],
            "-(1 2 3) 4",
        ),
        # sorted again, and as the threads that they are now
        (
            [
                message(1, "a", sent=50, subject="Re: x"),
                message(2, "b", sent=60, subject="x"),
                message(3, "c", "b", sent=70, subject="Re: x"),
                message(4, "d", sent=55, subject="y"),
                message(5, "e", sent=80, subject="Re: x"),
            ],
            "4 2(1 3 5)",
        ),
    ],
)  # fmt: skip
def test_subjects_are_joined(messages: Sequence[Threaded], expected: str) -> None:
    assert threads(REFERENCES, *messages) == expected


def test_refs_does_not_look_at_subjects() -> None:
    messages = message(1, subject="x"), message(2, subject="Re: x"), message(3, subject="x")
    assert threads(REFS, *messages) == "1 2 3"


# ---- anything


_IDS = st.sampled_from(["", "a", "b", "c", "d", "e", "f", "g"])
_MESSAGES = st.lists(
    st.builds(
        Threaded,
        uid=st.integers(1, 2**32 - 1),
        message_id=_IDS,
        references=st.lists(_IDS.filter(bool), max_size=6),
        sent=st.integers(-3, 3),
        received=st.integers(0, 3),
        base_subject=st.sampled_from([b"", b"X", b"Y"]),
        is_reply=st.booleans(),
    ),
    unique_by=lambda one: one.uid,
    max_size=12,
)


@given(_MESSAGES, st.sampled_from(ThreadAlgorithm), st.randoms(use_true_random=False))
def test_each_message_is_in_one_thread(messages, algorithm, random) -> None:  # type: ignore[no-untyped-def]
    found = thread(messages, algorithm)
    assert all_uids(found) == sorted(one.uid for one in messages)
    random.shuffle(messages)
    assert thread(messages, algorithm) == found
    for root in found:
        _check(root, {one.uid: one for one in messages}, algorithm)


def _check(root: ThreadNode, known: dict[int, Threaded], algorithm: ThreadAlgorithm) -> None:
    """A dummy is a root and joins several; siblings are in order."""
    if root.uid is None:
        assert len(root.children) > 1
    waiting = [root]
    while waiting:
        children = waiting.pop().children
        siblings = [known[child.uid] for child in children if child.uid is not None]
        assert len(siblings) == len(children)
        times = [(one.received if algorithm is REFS else one.sent, one.uid) for one in siblings]
        assert times == sorted(times)
        waiting += children


@given(_MESSAGES)
def test_a_subject_is_at_the_root_once(messages: list[Threaded]) -> None:
    known = {one.uid: one for one in messages}
    real = [root for root in thread(messages, REFERENCES) if root.uid is not None]
    subjects = [known[root.uid].base_subject for root in real if root.uid is not None]
    subjects = [subject for subject in subjects if subject]
    assert len(subjects) == len(set(subjects))


# ---- steps 1 to 6 once more, word by word as RFC 5256 has them


@dataclasses.dataclass(eq=False)
class Container:
    message: Threaded | None = None
    parent: Container | None = None
    children: list[Container] = dataclasses.field(default_factory=list)

    @property
    def first(self) -> Threaded:
        return self.message or self.children[0].first

    def put(self, child: Container) -> None:
        above: Container | None = self
        while above:
            if above is child:
                return
            above = above.parent
        child.parent = self
        self.children.append(child)

    def leave(self) -> None:
        if self.parent:
            self.parent.children.remove(self)
            self.parent = None


def _linked(messages: Sequence[Threaded]) -> list[Container]:
    """Steps 1 and 2."""
    everything: list[Container] = []
    by_id: dict[str, Container] = {}
    own = {}
    for one in messages:
        everything.append(Container(one))
        own[one.uid] = everything[-1]
        if one.message_id:
            by_id.setdefault(one.message_id, everything[-1])
    for one in messages:
        last = None
        for reference in one.references:
            if reference not in by_id:
                by_id[reference] = Container()
                everything.append(by_id[reference])
            if last and not by_id[reference].parent:
                last.put(by_id[reference])
            last = by_id[reference]
        own[one.uid].leave()
        if last:
            last.put(own[one.uid])
    return [container for container in everything if not container.parent]


def _pruned(containers: Sequence[Container], *, top: bool) -> list[Container]:
    """Step 3."""
    found = []
    for container in containers:
        container.children = _pruned(container.children, top=False)
        if container.message or (top and len(container.children) > 1):
            found.append(container)
        else:
            found += container.children
    return found


def _sort(containers: list[Container]) -> None:
    """Steps 4 and 6."""
    for container in containers:
        _sort(container.children)
    containers.sort(key=lambda container: (container.first.sent, container.first.uid))


def _joined(roots: list[Container]) -> list[Container]:
    """Step 5."""
    table: dict[bytes, Container] = {}
    for current in roots:
        subject = current.first.base_subject
        if not subject:
            continue
        there = table.setdefault(subject, current)
        if there.message and (
            not current.message or (there.message.is_reply and not current.message.is_reply)
        ):
            table[subject] = current
    left = list(roots)
    for current in roots:
        subject = current.first.base_subject
        if not subject or table[subject] is current:
            continue
        there = table[subject]
        left.remove(current)
        if not there.message:
            there.children += [current] if current.message else current.children
        elif current.first.is_reply and not there.message.is_reply:
            there.children.append(current)
        else:
            left.remove(there)
            table[subject] = Container(children=[there, current])
            left.append(table[subject])
    return left


def _nodes(containers: Iterable[Container]) -> list[ThreadNode]:
    return [
        ThreadNode(one.message.uid if one.message else None, tuple(_nodes(one.children)))
        for one in containers
    ]


@given(_MESSAGES)
def test_as_the_standard_has_it(messages: list[Threaded]) -> None:
    roots = _pruned(_linked(sorted(messages)), top=True)
    _sort(roots)
    roots = _joined(roots)
    _sort(roots)
    assert shown(thread(messages, REFERENCES)) == shown(_nodes(roots))


# ---- many


def _chain(length: int) -> list[Threaded]:
    return [
        message(number, f"m{number}", f"m{number - 1}", subject="Re: x")
        for number in range(1, length + 1)
    ]


def _depth(node: ThreadNode) -> int:
    depth = 1
    while node.children:
        (node,) = node.children
        depth += 1
    return depth


@pytest.mark.parametrize("algorithm", [REFERENCES, REFS])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_long_chain(algorithm: ThreadAlgorithm, backwards: bool) -> None:
    messages = _chain(10_000)
    if backwards:  # each came before what it answers
        messages = [one._replace(uid=10_001 - one.uid) for one in messages]
    (root,) = thread(messages, algorithm)
    assert _depth(root) == 10_000


def test_a_long_chain_of_what_is_not_there() -> None:
    gone = " ".join(f"g{number}" for number in range(10_000))
    messages = message(1, "a", gone), message(2, "b", "g0"), message(3, "c", "g5000")
    assert threads(REFS, *messages) == "-(1 2 3)"


@pytest.mark.parametrize("algorithm", ThreadAlgorithm)
@pytest.mark.parametrize(
    "messages",
    [
        _chain(20_000),
        [one._replace(uid=20_001 - one.uid) for one in _chain(20_000)],
        # many answers to one, many threads of one subject, all of one id
        [message(uid, f"m{uid}", "m1", subject="Re: x") for uid in range(1, 20_001)],
        [message(uid, f"m{uid}", subject="x") for uid in range(1, 20_001)],
        [message(uid, "a", "a b a c", subject=f"{uid % 100}") for uid in range(1, 20_001)],
        # a cycle of all of them, both ways
        [
            message(uid, f"m{uid}", f"m{uid % 20_000 + 1} m{(uid - 2) % 20_000 + 1}")
            for uid in range(1, 20_001)
        ],
        # each under the lowest of a chain, which has to be looked for from below
        [message(uid, f"m{uid}", f"m{uid * 7919 % 20_000} m{uid - 1}") for uid in range(1, 20_001)],
        # parents of something put under the end of a long chain, each of which may be a cycle
        [
            *_chain(10_000),
            *(
                message(uid, f"m{uid}", f"g{uid} x{uid} m10000 g{uid}")
                for uid in range(10_001, 20_001)
            ),
        ],
        # dummies without end
        [message(uid, "", f"g{uid} g{uid + 1}") for uid in range(1, 20_001)],
        [message(uid, "", f"g{uid + 1} g{uid}") for uid in range(1, 20_001)],
    ],
    ids=[
        "chain",
        "backwards",
        "star",
        "subject",
        "one id",
        "cycle",
        "mixed",
        "under",
        "gone",
        "gone back",
    ],
)
def test_the_time_is_linear(messages: list[Threaded], algorithm: ThreadAlgorithm) -> None:
    began = time.process_time()
    found = thread(messages, algorithm)
    assert time.process_time() - began < 4  # takes 0.2; a square of it would be a minute
    assert len(all_uids(found)) == 20_000
