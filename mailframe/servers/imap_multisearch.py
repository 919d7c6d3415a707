"""ESEARCH over several folders (RFC 7377): one response for each that has something.

Results are uids. Folders that the user may not read, and names that are none, have nothing.
Sequence numbers, ``$`` and RECENT mean something only where the selected folder is all that is
searched (RFC 7377 section 2.1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mailframe.core.search import SearchKey
from mailframe.errors import FolderRefused
from mailframe.interfaces.folders import IFolder
from mailframe.protocols.imap.commands import (
    Filter,
    Return,
    ReturnOptions,
    Scope,
    Search,
    Source,
)
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.protocols.imap.view import SelectedView
from mailframe.servers import imap_found
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_criteria import names_messages, resolve
from mailframe.servers.imap_filters import fitting
from mailframe.servers.imap_found import Found
from mailframe.servers.imap_outcome import Outcome
from mailframe.servers.imap_selected import Selected
from mailframe.servers.imap_turns import Turn

Searcher = Callable[[Conversation, IFolder, SearchKey], Awaitable[Sequence[int]]]
_SELECTED = (Scope.SELECTED, Scope.SELECTED_DELAYED)
_ALL = ReturnOptions(frozenset((Return.ALL,)))


async def search_folders(
    talk: Conversation, command: Search, source: Source, searcher: Searcher
) -> Outcome:
    returns = command.returns or _ALL
    only_selected = all(each.scope in _SELECTED for each in source.filters)
    if not only_selected:
        if names_messages(command.criterion):
            raise BadCommand("Sequence numbers need the selected folder")
        # RFC 7377 section 2.2.2
        if returns.wanted & {Return.SAVE, Return.UPDATE, Return.CONTEXT}:
            raise BadCommand("That result option needs the selected folder")
    for name in await _names(talk, source.filters):
        place = await _opened(talk, name)
        if place is not None:
            await _search_one(talk, command, returns, place, searcher)
    return Outcome("ESEARCH completed")


async def _search_one(
    talk: Conversation,
    command: Search,
    returns: ReturnOptions,
    place: Selected,
    searcher: Searcher,
) -> None:
    key = resolve(command.criterion, place, talk.factory.clock.seconds())
    uids = imap_found.in_view(place.view, await searcher(talk, place.folder, key))
    found = Found(uids, place, True, command.uses_modseq)
    if Return.SAVE in returns.wanted:
        place.saved = imap_found.saved(found, returns)
    # RFC 7377 section 2.1: nothing is said of folders without a match
    if uids:
        talk.send(imap_found.extended(found, returns, talk.tag, of_folder=True, utf8=talk.utf8))
    await talk.room()


async def _opened(talk: Conversation, name: str) -> Selected | None:
    """The selected folder as it is; another one as if it were selected now. None: it cannot be
    searched."""
    selected = talk.selected
    if selected is not None and selected.folder.name == name:
        return selected
    try:
        folder = await talk.folder(name)
    except FolderRefused:
        return None
    if "r" not in folder.rights:
        return None
    return Selected(folder, SelectedView(folder.messages), read_only=True)


async def _names(talk: Conversation, filters: Sequence[Filter]) -> Sequence[str]:
    """Each folder once, in the order of the list."""
    infos = [info for info in await talk.folders.all() if info.exists]
    chosen: dict[str, None] = {}
    pause = Turn(talk.factory.clock).pause
    for each in filters:
        if each.scope in _SELECTED:
            chosen[talk.open_folder().folder.name] = None
        else:
            fits = fitting(each, talk.folders.namespaces.others)
            chosen.update(dict.fromkeys(info.name for info in infos if fits(info)))
        await pause()
    return list(chosen)
