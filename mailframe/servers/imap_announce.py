"""What the selected folder has to tell, as untagged responses: EXPUNGE or VANISHED, EXISTS,
RECENT, FETCH (RFC 9051 section 7.5, RFC 7162 section 3.2.10, RFC 9586 section 3).

When it may be told is the conversation's to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import Item
from mailframe.protocols.imap.view import News
from mailframe.servers.imap_rows import Batch, Rows
from mailframe.servers.imap_selected import Selected

if TYPE_CHECKING:
    from mailframe.servers.imap_conversation import Conversation


def tell(talk: Conversation, selected: Selected, news: News) -> None:
    """The client knows of ``news`` now, and so do the searches that go on."""
    for context in list(selected.contexts.values()):
        context.leaving(talk, news)
    if news.vanished:
        talk.send(_gone(talk, news))
    if news.exists is not None:
        talk.send(responses.exists(news.exists))
        if not talk.rev2:
            # RFC 9051 appendix E, 31: only IMAP4rev1 has it
            talk.send(responses.recent(selected.recent.count(selected.view.uids)))
    if news.changed and (talk.notification is None or talk.notification.tells_flags):
        talk.send(_changed(talk, selected, news))
    if selected.contexts or talk.notification is not None:
        selected.told.append(news)


async def claim_recent(talk: Conversation, selected: Selected) -> None:
    """Whoever is told first of a message has it as ``\\Recent`` (RFC 3501 section 2.3.2)."""
    if selected.came and not selected.read_only and not talk.rev2:
        selected.came = False
        selected.recent.add(await selected.folder.claim_recent())


async def tell_followers(talk: Conversation, selected: Selected) -> None:
    """What follows from what was told: FETCH for NOTIFY, ESEARCH for searches that go on."""
    for news in selected.take_told():
        # RFC 5465 sections 5.2 and 7: EXISTS, then FETCH, then ESEARCH
        if talk.notification is not None:
            await talk.notification.fetch_arrived(talk, news)
        for context in list(selected.contexts.values()):
            await context.told(talk, news)


def _gone(talk: Conversation, news: News) -> bytes:
    if talk.qresync or talk.uid_only:
        return responses.vanished(news.vanished)
    return responses.expunges(news.expunged)


def _changed(talk: Conversation, selected: Selected, news: News) -> bytes:
    messages, view = selected.folder.messages, selected.view
    states = [messages[uid] for uid in news.changed if uid in messages]
    items = [Item.FLAGS]
    # RFC 9051 section 7.5.2: FETCH that nobody asked for has the UID; RFC 3501 knows no such
    # rule, but RFC 7162 section 3.2.4 (QRESYNC) and RFC 5465 section 5.1 (NOTIFY) make one.
    if talk.uid_only:
        numbers = [state.uid for state in states]
    else:
        numbers = [view.number(state.uid) for state in states]
        if talk.rev2 or talk.condstore or talk.notification is not None:
            items.insert(0, Item.UID)
    if talk.condstore:
        items.append(Item.MODSEQ)
    rows = Rows(items, selected, uid_only=talk.uid_only, utf8=talk.utf8)
    return rows.render(Batch(numbers, states))
