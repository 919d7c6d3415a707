"""Which message a client knows by which number, and what it has not been told yet.

A folder changes whenever it likes; a client's numbers may change only when it is told
(RFC 9051 sections 5.2, 5.5 and 7.5.1). ``SelectedView`` stands between: ``note`` collects what
the folder says, ``drain`` yields what can be told now and moves the view along with it. At any
time the view's number n is the client's number n, so a number never means another message to
one than to the other. A message that came and went untold is never told.

Everything is kept in arrays of four octets a message; what waits is bounded by the size of
the folder, however often its flags change. Pure: knows no folder and no connection.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailframe.core.folders import FolderChange
from mailframe.protocols.imap.commands import MessageSet
from mailframe.protocols.imap.grammar import BadCommand

_UID = "I"
# Below this, duplicates among what waits are not worth looking for.
_FEW = 1024


@dataclass(frozen=True, slots=True)
class News:
    """What to tell, in this order. The view is as it will be afterwards."""

    expunged: Sequence[int] = ()
    """Numbers for EXPUNGE, each valid when its turn comes: the highest first."""
    vanished: Sequence[int] = ()
    """The same messages by uid, ascending: for VANISHED."""
    exists: int | None = None
    """None: nothing came."""
    changed: Sequence[int] = ()
    """uids whose flags are news, ascending; none of those that came just now."""
    arrived: Sequence[int] = ()
    """uids, ascending: the last ones of ``exists``."""


class SelectedView:
    __slots__ = ("_arrived", "_changed", "_expected", "_uids", "_vanished")

    def __init__(self, uids: Iterable[int]) -> None:
        """``uids`` ascend: what SELECT tells."""
        self._uids = array(_UID, uids)
        self._arrived = array(_UID)
        self._changed = array(_UID)
        self._vanished = array(_UID)
        self._expected: dict[int, bool] = {}
        """What our own STORE is about to change, and whether a change came."""

    # What the client knows

    @property
    def uids(self) -> Sequence[int]:
        """Ascending; number n is ``uids[n - 1]``. ``drain`` puts another in its place."""
        return self._uids

    def __len__(self) -> int:
        return len(self._uids)

    def __contains__(self, uid: object) -> bool:
        return isinstance(uid, int) and self.number(uid) > 0

    def number(self, uid: int) -> int:
        """0: the client does not know it."""
        at = bisect_left(self._uids, uid)
        return at + 1 if at < len(self._uids) and self._uids[at] == uid else 0

    def resolve(
        self, messages: MessageSet, *, uid: bool, saved: Sequence[int] = ()
    ) -> Sequence[int]:
        """The uids that the client means, ascending, each once; all of them are in the view,
        though some may be gone from the folder. Raises BadCommand for a number that is not
        there; a uid that is not there means nothing (RFC 9051 section 6.4.9).

        ``saved``: what ``$`` stands for, ascending."""
        if messages.saved:
            return [each for each in saved if self.number(each)]
        spans = self._spans_of_uids(messages) if uid else self._spans_of_numbers(messages)
        found = array(_UID)
        for start, end in _merged(spans):
            found += self._uids[start:end]
        return found

    def spans(self, messages: MessageSet, *, uid: bool) -> list[tuple[int, int]]:
        """The same for SEARCH, as ranges of uids that hold no other message of the view, in
        a time that depends on the set and hardly on the folder. A number that is not there
        means nothing. The set must not be ``$``."""
        uids, count = self._uids, len(self._uids)
        if uid:
            found = self._spans_of_uids(messages)
        else:
            pairs = (_ordered(first or count, last or count) for first, last in messages.ranges)
            found = ((low - 1, min(high, count)) for low, high in pairs if 1 <= low <= count)
        return [(uids[start], uids[end - 1]) for start, end in _merged(found) if start < end]

    def _spans_of_numbers(self, messages: MessageSet) -> Iterator[tuple[int, int]]:
        count = len(self._uids)
        for first, last in messages.ranges:
            # RFC 3501 section 9, seq-number: BAD, and so is "*" where there is no message
            low, high = _ordered(first or count, last or count)
            if not 1 <= low <= high <= count:
                raise BadCommand("There is no message of that number")
            yield low - 1, high

    def _spans_of_uids(self, messages: MessageSet) -> Iterator[tuple[int, int]]:
        if not self._uids:
            return
        largest = self._uids[-1]
        for first, last in messages.ranges:
            low, high = _ordered(first or largest, last or largest)
            yield bisect_left(self._uids, low), bisect_right(self._uids, high)

    # What it does not know yet

    def note(self, change: FolderChange) -> None:
        """What the folder says (``IFolder.subscribe``)."""
        self._arrived.extend(change.arrived)
        self._vanished.extend(change.vanished)
        changed = change.changed
        if self._expected:
            changed = [uid for uid in changed if not self._is_own(uid)]
        self._changed.extend(changed)
        # Twice the folder, then the repetitions go: at most as often as so many were added.
        if len(self._changed) > 2 * len(self._uids) + _FEW:
            known = {uid for uid in self._changed if self.number(uid)}
            self._changed = array(_UID, sorted(known))
        # The same for mail that comes and goes, hour after hour, while the client says nothing.
        if len(self._vanished) > 2 * len(self._uids) + _FEW:
            self._settle_arrivals()

    def expect(self, uids: Iterable[int]) -> None:
        """Our own STORE is about to change these: the client learns of it by other means.
        ``settle`` has to follow, whatever comes of it."""
        self._expected = dict.fromkeys(uids, False)

    def settle(self, changed: Iterable[int] = ()) -> None:
        """These our STORE did change. Whatever else changed meanwhile was somebody else and
        is news all the same."""
        own = set(changed)
        foreign = [uid for uid, seen in self._expected.items() if seen and uid not in own]
        self._changed.extend(foreign)
        self._expected = {}

    def _is_own(self, uid: int) -> bool:
        """The first change after ``expect``; a second one is somebody else's."""
        if self._expected.get(uid) is not False:
            return False
        self._expected[uid] = True
        return True

    def has_news(self) -> bool:
        """Whether ``drain(expunges=True)`` might have something."""
        return bool(self._arrived or self._changed or self._vanished)

    def drain(self, *, expunges: bool) -> News:
        """What can be told now. Without ``expunges`` (RFC 9051 section 7.5.1) what has gone
        keeps its number until later, and counts in ``exists``."""
        if not self.has_news():
            return _NOTHING
        arrived = self._settle_arrivals()
        gone = set(self._vanished)
        changed = sorted({u for u in self._changed if u not in gone and self.number(u)})
        self._changed = array(_UID)
        expunged: Sequence[int] = ()
        vanished: Sequence[int] = ()
        if expunges and gone:
            vanished = self._vanished
            expunged = self._remove(vanished)
            self._vanished = array(_UID)
        self._uids += arrived
        self._arrived = array(_UID)
        exists = len(self._uids) if arrived else None
        return News(expunged, vanished, exists, changed, arrived)

    def _settle_arrivals(self) -> array[int]:
        """Forget what came and went untold; what is left of either list, in order."""
        gone = set(self._vanished)
        last = self._uids[-1] if self._uids else 0
        # A uid below one that the client knows cannot be told any more: numbers ascend.
        self._arrived = array(_UID, sorted({u for u in self._arrived if u > last} - gone))
        self._vanished = array(_UID, sorted(uid for uid in gone if self.number(uid)))
        return self._arrived

    def _remove(self, vanished: Sequence[int]) -> Sequence[int]:
        """In one pass. The numbers they had, the highest first."""
        numbers = array(_UID, map(self.number, vanished))
        kept, start = array(_UID), 0
        for number in numbers:
            kept += self._uids[start : number - 1]
            start = number
        self._uids = kept + self._uids[start:]
        numbers.reverse()
        return numbers


_NOTHING = News()


def _ordered(first: int, last: int) -> tuple[int, int]:
    # RFC 9051 section 9, seq-range: 4:2 is 2:4
    return (first, last) if first <= last else (last, first)


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ascending, without overlap."""
    merged_start = merged_end = 0
    for start, end in sorted(spans):
        if start > merged_end:
            yield merged_start, merged_end
            merged_start, merged_end = start, end
        else:
            merged_end = max(merged_end, end)
    yield merged_start, merged_end
