"""From what a client searches for to a key without anything of its session in it.

Sequence numbers, ``$``, UID sets with ``*``, RECENT and YOUNGER become uids and points in time
as they are now. Ranges of uids that hold no other message of the view are one range: for the
messages of the view, which is all that a search may yield, that comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailframe.core.search import And, Not, Or, Received, SearchKey, UidIn
from mailframe.protocols.imap.commands import (
    Both,
    Criterion,
    Either,
    IsRecent,
    Neither,
    NumbersIn,
    YoungerThan,
)
from mailframe.servers.imap_selected import Selected


def resolve(criterion: Criterion, selected: Selected, now: float) -> SearchKey:
    """``now``: seconds since the epoch. A number that is not there matches nothing: clients ask
    for 1:* in an empty folder."""
    return _Resolving(selected, now).key(criterion)


class _Resolving:
    """One command's keys. There may be thousands: none but the first RECENT and the first
    ``$`` looks at all messages."""

    __slots__ = ("_now", "_recent", "_saved", "_selected")

    def __init__(self, selected: Selected, now: float) -> None:
        self._selected = selected
        self._now = now
        self._recent: UidIn | None = None
        self._saved: UidIn | None = None

    def key(self, criterion: Criterion) -> SearchKey:
        match criterion:
            case NumbersIn(messages, uid):
                if messages.saved:
                    return self._those_saved()
                return UidIn(tuple(self._selected.view.spans(messages, uid=uid)))
            case IsRecent():
                return self._those_recent()
            case YoungerThan(seconds):
                # RFC 5032 section 3
                return Received(since=self._now - seconds)
            case Both(keys):
                return And(tuple(map(self.key, keys)))
            case Either(left, right):
                return Or(self.key(left), self.key(right))
            case Neither(key):
                return Not(self.key(key))
            case _:
                return criterion

    def _those_saved(self) -> UidIn:
        if self._saved is None:
            view = self._selected.view
            saved = [uid for uid in self._selected.saved if uid in view]
            self._saved = UidIn(tuple(spans(saved, view.uids)))
        return self._saved

    def _those_recent(self) -> UidIn:
        if self._recent is None:
            uids = self._selected.view.uids
            recent = [uid for uid in uids if uid in self._selected.recent]
            self._recent = UidIn(tuple(spans(recent, uids)))
        return self._recent


def names_messages(criterion: Criterion) -> bool:
    """Whether it holds something that only a selected folder can resolve: numbers, ``$``,
    RECENT."""
    match criterion:
        case NumbersIn(messages, uid):
            return not uid or messages.saved
        case IsRecent():
            return True
        case Both(keys):
            return any(map(names_messages, keys))
        case Either(left, right):
            return names_messages(left) or names_messages(right)
        case Neither(key):
            return names_messages(key)
        case _:
            return False


def spans(uids: Sequence[int], among: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges that hold those of ``among`` that are in ``uids``, and no others; both ascend."""
    if len(uids) == len(among):
        if among:
            yield among[0], among[-1]
        return
    wanted = frozenset(uids)
    start = end = 0
    for uid in among:
        if uid in wanted:
            start, end = start or uid, uid
        elif start:
            yield start, end
            start = 0
    if start:
        yield start, end
