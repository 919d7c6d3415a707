"""Searches that go on: CONTEXT=SEARCH (RFC 5267 section 4).

The client is told what comes into the result and what leaves it, whenever it is told of changes
at all. Only what changed is looked at again. Numbers and ``$`` within the search mean what they
meant when it was given, and so do intervals of WITHIN.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from mailframe.core.search import And, SearchKey, UidIn
from mailframe.interfaces.folders import IFolder
from mailframe.protocols.imap.responses import (
    context_added,
    context_removed,
    no,
    quoted_or_literal,
)
from mailframe.servers.imap_criteria import spans
from mailframe.servers.imap_found import Found, numbers
from mailframe.servers.imap_selected import SearchContext, Selected

if TYPE_CHECKING:
    from mailframe.protocols.imap.view import News
    from mailframe.servers.imap_conversation import Conversation

Searcher = Callable[[Any, IFolder, SearchKey], Awaitable[Sequence[int]]]
MOST = 16
"""Searches that go on at the same time; one more is refused with NOUPDATE."""


def keep_up(talk: Conversation, selected: Selected, context: SearchUpdates) -> None:
    """From now on tell what changes, or say that it will not be told."""
    if len(selected.contexts) >= MOST:
        no_update(talk)
        return
    kept: SearchContext = context
    selected.contexts[talk.tag] = kept


def no_update(talk: Conversation) -> None:
    """RFC 5267 section 4.3.2: the search is done, but it does not go on."""
    tag = quoted_or_literal(talk.tag).decode("ascii")
    talk.send(no("No updates of this search", f"NOUPDATE {tag}"))


class SearchUpdates:
    """One search that goes on."""

    def __init__(self, tag: str, key: SearchKey, found: Found, searcher: Searcher) -> None:
        self._tag = tag
        self._key = key
        self._uid = found.uid
        self._found = set(found.uids)
        self._searcher = searcher

    def leaving(self, talk: Conversation, news: News) -> None:
        """RFC 5267 section 4.3.3: before the EXPUNGE, by the number it still has."""
        pairs = zip(news.vanished, reversed(news.expunged), strict=True)
        gone = [(uid, number) for uid, number in pairs if uid in self._found]
        if not gone:
            return
        self._found.difference_update(uid for uid, _ in gone)
        told = [uid if self._uid else number for uid, number in gone]
        self._tell(talk, context_removed, told)

    async def told(self, talk: Conversation, news: News) -> None:
        selected = talk.selected
        touched = sorted({*news.changed, *news.arrived})
        if selected is None or not touched:
            return
        known = selected.view.uids
        among = UidIn(tuple(spans(touched, known)))
        hits = frozenset(await self._searcher(talk, selected.folder, And((among, self._key))))
        came = [uid for uid in touched if uid in hits and uid not in self._found]
        left = [uid for uid in touched if uid not in hits and uid in self._found]
        self._found.update(came)
        self._found.difference_update(left)
        for line, uids in ((context_removed, left), (context_added, came)):
            there = [uid for uid in uids if uid in selected.view]
            if there:
                self._tell(talk, line, there if self._uid else numbers(selected.view, there))

    def _tell(self, talk: Conversation, line: Callable[..., bytes], told: Sequence[int]) -> None:
        # RFC 5267 section 4.3.4: position 0 where the result has no order
        talk.send(line(self._tag, [(0, told)], uid=self._uid))
