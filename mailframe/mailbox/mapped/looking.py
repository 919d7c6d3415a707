"""Searching, sorting and threading messages that are looked at one by one (RFC 5256)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailframe.core.folders import MessageState
from mailframe.core.search import SearchKey, SortBy, SortCriterion, ThreadAlgorithm, ThreadNode
from mailframe.message.facts import read_facts
from mailframe.message.matching import judged
from mailframe.message.matching import matches as says
from mailframe.message.searchable import Searchable, read_searchable
from mailframe.message.threading import Threaded, thread

_Read = tuple[MessageState, Searchable]


def matches(state: MessageState, read: Callable[[], bytes], key: SearchKey) -> bool:
    verdict = judged(key, state)
    if verdict is not None:
        return verdict
    content = read()
    facts = read_facts(content)
    return says(key, state, facts, read_searchable(content, facts))


def in_order(
    found: Sequence[tuple[MessageState, bytes]], by: Sequence[SortCriterion]
) -> Sequence[int]:
    """uids; ties by uid."""
    messages = sorted(_read(found), key=_uid)
    # The last criterion first: sorting is stable. REVERSE turns one criterion round, not what is
    # equal by it (RFC 5256 section 3).
    for criterion in reversed(by):
        messages.sort(key=_KEYS[criterion.by], reverse=criterion.reverse)
    return [state.uid for state, _ in messages]


def threads(
    found: Sequence[tuple[MessageState, bytes]], algorithm: ThreadAlgorithm
) -> Sequence[ThreadNode]:
    return thread([_threaded(*each) for each in _read(found)], algorithm)


def _read(found: Sequence[tuple[MessageState, bytes]]) -> list[_Read]:
    return [(state, read_searchable(content, read_facts(content))) for state, content in found]


def _uid(message: _Read) -> int:
    return message[0].uid


def _sent(message: _Read) -> int:
    state, said = message
    # RFC 5256 section 2.2: without a usable Date it is INTERNALDATE
    return said.sent if said.sent is not None else state.received


def _threaded(state: MessageState, said: Searchable) -> Threaded:
    references = said.reference_ids.split(" ") if said.reference_ids else ()
    return Threaded(
        state.uid,
        said.message_id,
        references,
        _sent((state, said)),
        state.received,
        said.base_subject,
        said.is_reply,
    )


_KEYS: dict[SortBy, Callable[[_Read], int | bytes]] = {
    SortBy.ARRIVAL: lambda message: message[0].received,
    SortBy.CC: lambda message: message[1].cc_key,
    SortBy.DATE: _sent,
    SortBy.FROM: lambda message: message[1].from_key,
    SortBy.SIZE: lambda message: message[0].size,
    SortBy.SUBJECT: lambda message: message[1].base_subject,
    SortBy.TO: lambda message: message[1].to_key,
    SortBy.DISPLAYFROM: lambda message: message[1].display_from,
    SortBy.DISPLAYTO: lambda message: message[1].display_to,
}
