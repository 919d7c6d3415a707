"""SEARCH and UID SEARCH (RFC 9051 section 6.4.4) and their options; CANCELUPDATE.

A search sees what the client knows of: what came since it was told is not found, and what has
gone untold neither. A folder that can search does it (``ISearching``); otherwise every message
is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.search import SearchKey
from mailframe.errors import FolderRefused, TransientFailure
from mailframe.interfaces.folders import IFolder, ISearching
from mailframe.protocols.imap.commands import CancelUpdate, Return, ReturnOptions, Search
from mailframe.servers import imap_found, imap_linear
from mailframe.servers.imap_contexts import SearchUpdates, keep_up
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_criteria import resolve
from mailframe.servers.imap_found import Found
from mailframe.servers.imap_message_limit import limited_search
from mailframe.servers.imap_multisearch import search_folders
from mailframe.servers.imap_outcome import Outcome
from mailframe.servers.imap_selected import Selected
from mailframe.servers.imap_turns import Turn


async def search(talk: Conversation, command: Search) -> Outcome:
    if command.source is not None:
        return await search_folders(talk, command, command.source, matching)
    selected = talk.open_folder()
    if command.uses_modseq:
        talk.use_condstore()
    returns = command.returns
    # RFC 9051 section 6.4.4: the answer of IMAP4rev2 is always ESEARCH
    if returns is None and talk.rev2:
        returns = ReturnOptions(frozenset((Return.ALL,)))
    key = resolve(command.criterion, selected, talk.factory.clock.seconds())
    among, code = limited_search(talk, selected, key)
    uids = await matching_or_none_saved(talk, selected, among, returns)
    found = Found(
        imap_found.in_view(selected.view, uids), selected, command.uid, command.uses_modseq
    )
    answer(talk, found, returns)
    if returns is not None and Return.UPDATE in returns.wanted:
        keep_up(talk, selected, SearchUpdates(talk.tag, key, found, matching))
    await talk.room()
    return Outcome("SEARCH completed", code)


async def cancel_update(talk: Conversation, command: CancelUpdate) -> Outcome:
    """RFC 5267 section 4.4. Tags of searches that are over are no harm."""
    contexts = talk.open_folder().contexts
    for tag in command.tags:
        contexts.pop(tag, None)
    return Outcome("No further updates")


async def matching(talk: Conversation, folder: IFolder, key: SearchKey) -> Sequence[int]:
    """uids that match, ascending. Raises PeerGone as soon as nobody wants to know."""
    return await talk.while_there(_matching(talk, folder, key))


async def _matching(talk: Conversation, folder: IFolder, key: SearchKey) -> Sequence[int]:
    if ISearching.providedBy(folder):
        return await ISearching(folder).search(key)
    pause = Turn(talk.factory.clock).pause
    return await imap_linear.search(folder, key, talk.factory.workers, pause)


async def matching_or_none_saved(
    talk: Conversation, selected: Selected, key: SearchKey, returns: ReturnOptions | None
) -> Sequence[int]:
    try:
        return await matching(talk, selected.folder, key)
    except (FolderRefused, TransientFailure):
        forget_saved(selected, returns)
        raise


def forget_saved(selected: Selected, returns: ReturnOptions | None) -> None:
    """RFC 5182 section 2.1: after a NO there is nothing in ``$``."""
    if returns is not None and Return.SAVE in returns.wanted:
        selected.saved = ()


def answer(
    talk: Conversation, found: Found, returns: ReturnOptions | None, *, is_sorted: bool = False
) -> None:
    if returns is None:
        talk.send(imap_found.plain(found, is_sorted=is_sorted))
        return
    if octets := imap_found.extended(found, returns, talk.tag):
        talk.send(octets)
    if Return.SAVE in returns.wanted:
        found.selected.saved = imap_found.saved(found, returns)
