"""Which message answers which: ORDEREDSUBJECT and REFERENCES of RFC 5256, and REFS.

Pure functions over small tuples. Messages are taken in the order of their uids. Chains may
be as long as they like (nothing recurses), no set of references makes a cycle, and what
references do not tell in a reasonable number of steps is left apart (``_STEPS``): the time
is linear in messages and references together but for the sorting.

REFS (draft-ietf-morg-inthread) is REFERENCES without the joining of equal subjects, ordered by
the time of arrival: threads by their youngest message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from mailframe.core.search import ThreadAlgorithm, ThreadNode


class Threaded(NamedTuple):
    """What threading has to know of a message."""

    uid: int
    message_id: str
    """Empty where there is none."""
    references: Sequence[str]
    """Ids of what it answers, oldest first."""
    sent: int
    """Sent date, seconds (RFC 5256 section 2.2)."""
    received: int
    base_subject: bytes
    """Equal for subjects that are the same; empty: none."""
    is_reply: bool


def thread(messages: Iterable[Threaded], algorithm: ThreadAlgorithm) -> list[ThreadNode]:
    """The threads, in the algorithm's order."""
    return _ALGORITHMS[algorithm](sorted(messages, key=itemgetter(0)))


def _by_subject(messages: Sequence[Threaded]) -> list[ThreadNode]:
    """RFC 5256 section 3, ORDEREDSUBJECT."""
    subjects: dict[bytes, list[Threaded]] = {}
    for message in sorted(messages, key=lambda message: (message.sent, message.uid)):
        subjects.setdefault(message.base_subject, []).append(message)
    # The dict is in the order of the first message of each subject already.
    return [
        ThreadNode(first.uid, tuple(ThreadNode(message.uid) for message in rest))
        for first, *rest in subjects.values()
    ]


def _by_references(messages: Sequence[Threaded]) -> list[ThreadNode]:
    forest = _Forest(messages, [message.sent for message in messages])
    forest.sort()
    forest.gather_subjects()
    return forest.nodes()


def _by_references_only(messages: Sequence[Threaded]) -> list[ThreadNode]:
    forest = _Forest(messages, [message.received for message in messages])
    forest.sort()
    forest.sort_by_youngest()
    return forest.nodes()


_ALGORITHMS: dict[ThreadAlgorithm, Callable[[Sequence[Threaded]], list[ThreadNode]]] = {
    ThreadAlgorithm.ORDEREDSUBJECT: _by_subject,
    ThreadAlgorithm.REFERENCES: _by_references,
    ThreadAlgorithm.REFS: _by_references_only,
}


class _Links:
    """Parents by number: messages are 0 to n - 1, ids of which there is no message follow."""

    # Looking for cycles goes up from the parent. All of it together takes at most so many
    # steps per message, and some per reference; a link that would take more is not made.
    _STEPS = 50

    def __init__(self, messages: Sequence[Threaded]) -> None:
        self.parents = [-1] * len(messages)
        self._is_parent = bytearray(len(messages))
        self._numbers: dict[str, int] = {}
        references = 0
        for number, message in enumerate(messages):
            references += len(message.references)
            # RFC 5256: of several with one id only the first has it
            if message.message_id:
                self._numbers.setdefault(message.message_id, number)
        self._steps = self._STEPS * len(messages) + 4 * references + 100_000
        for number, message in enumerate(messages):
            self._follow(number, message.references)

    def _follow(self, number: int, references: Sequence[str]) -> None:
        """Steps 1 (A) and (B) of REFERENCES."""
        numbers, parents = self._numbers, self.parents
        last = -1
        for reference in references:
            found = numbers.get(reference)
            if found is None:
                found = numbers[reference] = len(parents)
                parents.append(-1)
                self._is_parent.append(0)
            if last >= 0 and parents[found] < 0:
                self._link(last, found)
            last = found
        # What others' references told of it is less certain than its own.
        parents[number] = -1
        if last >= 0:
            self._link(last, number)

    def _link(self, parent: int, child: int) -> None:
        if parent == child:
            return
        # One that never was a parent is above nobody.
        if self._is_parent[child] and self._is_above(child, parent):
            return
        self.parents[child] = parent
        self._is_parent[parent] = 1

    def _is_above(self, upper: int, lower: int) -> bool:
        at = lower
        while at >= 0:
            self._steps -= 1
            if at == upper or self._steps < 0:
                return True
            at = self.parents[at]
        return False


class _Forest:
    """Trees of the numbers of ``_Links``. All inner nodes are messages; a root may be a dummy,
    something that is not there, and then has two children at least."""

    def __init__(self, messages: Sequence[Threaded], times: Sequence[int]) -> None:
        """``times``: what siblings are ordered by."""
        self._messages = messages
        self._times = times
        parents = _Links(messages).parents
        self._next_dummy = len(parents)
        self._children: dict[int, list[int]] = {}
        # Step 3: what is not there leaves its place to its children, unless it joins threads.
        for number, place in enumerate(_places(parents, len(messages))):
            self._children.setdefault(place, []).append(number)
        self._roots = self._children.pop(-1, [])
        for number in [number for number in self._children if self._is_dummy(number)]:
            lonely = len(self._children[number]) == 1
            self._roots.append(self._children.pop(number)[0] if lonely else number)

    def sort(self) -> None:
        """Step 4: siblings by date, then uid; a dummy is as old as its first child."""
        for children in self._children.values():
            children.sort(key=self._age)  # messages only: a dummy is nobody's child
        self._roots.sort(key=self._age)

    def sort_by_youngest(self) -> None:
        """Threads by the last of their messages."""
        youngest = {
            root: max(self._age(number) for number in self._below(root)) for root in self._roots
        }
        self._roots.sort(key=youngest.__getitem__)

    def gather_subjects(self) -> None:
        """Steps 5 and 6: threads of the same subject are one."""
        table = self._subject_table()
        merged: set[int] = set()  # numbers that are roots no more
        changed: set[int] = set()
        for root in self._roots[:]:
            subject = self._first(root).base_subject
            known = table.get(subject, root)
            if not subject or known == root:
                continue
            table[subject] = self._join(known, root, merged)
            changed.add(table[subject])
        if not merged:
            return
        self._roots = [root for root in self._roots if root not in merged]
        for number in changed:
            self._children[number].sort(key=self._age)
        self._roots.sort(key=self._age)

    def nodes(self) -> list[ThreadNode]:
        made: dict[int, ThreadNode] = {}
        for root in self._roots:
            for number in reversed(self._below(root, dummies=True)):
                children = tuple(made.pop(child) for child in self._children.get(number, ()))
                uid = self._messages[number].uid if number < len(self._messages) else None
                made[number] = ThreadNode(uid, children)
        return [made[root] for root in self._roots]

    def _subject_table(self) -> dict[bytes, int]:
        """Step 5 (B): for each subject the root that the others come under."""
        table: dict[bytes, int] = {}
        for root in self._roots:
            subject = self._first(root).base_subject
            if not subject:
                continue
            known = table.setdefault(subject, root)
            if self._is_dummy(known):
                continue
            original = not self._first(root).is_reply and self._first(known).is_reply
            if self._is_dummy(root) or original:
                table[subject] = root
        return table

    def _join(self, known: int, root: int, merged: set[int]) -> int:
        """Step 5 (C). Returns what stands in the table from now on."""
        if self._is_dummy(known):
            moved = self._children.pop(root) if self._is_dummy(root) else [root]
            self._children[known].extend(moved)
            merged.add(root)
            return known
        if self._first(root).is_reply and not self._first(known).is_reply:
            self._children.setdefault(known, []).append(root)
            merged.add(root)
            return known
        dummy = self._next_dummy
        self._next_dummy += 1
        self._children[dummy] = [known, root]
        self._roots.append(dummy)
        merged.update((known, root))
        return dummy

    def _is_dummy(self, number: int) -> bool:
        return number >= len(self._messages)

    def _first(self, number: int) -> Threaded:
        """The message itself, or a dummy's first child."""
        if self._is_dummy(number):
            number = self._children[number][0]
        return self._messages[number]

    def _age(self, number: int) -> tuple[int, int]:
        if self._is_dummy(number):
            number = self._children[number][0]
        return self._times[number], number

    def _below(self, root: int, *, dummies: bool = False) -> list[int]:
        """The root and all under it, parents before children."""
        found = [root]
        for number in found:  # it grows meanwhile
            found += self._children.get(number, ())
        return found[1:] if self._is_dummy(root) and not dummies else found


def _places(parents: Sequence[int], messages: int) -> list[int]:
    """For each message the nearest message above it, else the topmost dummy, else -1."""
    known: dict[int, int] = {}  # of dummies
    places = []
    for number in range(messages):
        at, passed = parents[number], []
        while at >= messages and at not in known:
            passed.append(at)
            if parents[at] < 0:
                known[at] = at
                break
            at = parents[at]
        place = known.get(at, at)
        known.update((dummy, place) for dummy in passed)
        places.append(place)
    return places
