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
    MessageSet,
    Neither,
    NumbersIn,
    YoungerThan,
)
from mailframe.protocols.imap.sets import resolved
from mailframe.servers.imap_selected import Selected


def resolve(criterion: Criterion, selected: Selected, now: float) -> SearchKey:
    """``now``: seconds since the epoch. A number that is not there matches nothing: clients ask
    for 1:* in an empty folder."""
    match criterion:
        case NumbersIn(messages, uid):
            return UidIn(tuple(spans(_named(messages, uid, selected), selected.view.uids)))
        case IsRecent():
            recent = [uid for uid in selected.view.uids if uid in selected.recent]
            return UidIn(tuple(spans(recent, selected.view.uids)))
        case YoungerThan(seconds):
            # RFC 5032 section 3
            return Received(since=now - seconds)
        case Both(keys):
            return And(tuple(resolve(key, selected, now) for key in keys))
        case Either(left, right):
            return Or(resolve(left, selected, now), resolve(right, selected, now))
        case Neither(key):
            return Not(resolve(key, selected, now))
        case _:
            return criterion


def _named(messages: MessageSet, uid: bool, selected: Selected) -> Sequence[int]:
    view = selected.view
    if uid or messages.saved:
        return view.resolve(messages, uid=uid, saved=selected.saved)
    count = len(view)
    there = [
        (first, min(last, count)) for first, last in resolved(messages, count) if first <= count
    ]
    return [uid for first, last in there for uid in view.uids[max(first, 1) - 1 : last]]


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
