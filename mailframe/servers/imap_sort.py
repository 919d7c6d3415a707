"""SORT and THREAD (RFC 5256), ESORT (RFC 5267).

Offered only where the folder can do it (``ISearching``). A message that the client does not know
of yet is left out; in a thread its place is taken by what hangs on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.folders import FolderReason
from mailframe.core.search import ThreadNode
from mailframe.errors import FolderRefused, TransientFailure
from mailframe.interfaces.folders import ISearching
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import Return, Sort, Thread
from mailframe.servers.imap_contexts import no_update
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_criteria import resolve
from mailframe.servers.imap_found import Found, in_view, numbers
from mailframe.servers.imap_message_limit import looked_at, require_few
from mailframe.servers.imap_outcome import Outcome
from mailframe.servers.imap_search import answer, forget_saved
from mailframe.servers.imap_selected import Selected


async def sort(talk: Conversation, command: Sort) -> Outcome:
    selected = talk.open_folder()
    if command.uses_modseq:
        talk.use_condstore()
    key = resolve(command.criterion, selected, talk.factory.clock.seconds())
    require_few(talk, looked_at(key, selected.view.uids))
    try:
        uids = await talk.while_there(_able(selected).sort(key, command.by))
    except (FolderRefused, TransientFailure):
        forget_saved(selected, command.returns)
        raise
    uids = in_view(selected.view, uids)
    found = Found(uids, selected, command.uid, command.uses_modseq)
    answer(talk, found, command.returns, is_sorted=True)
    # CONTEXT=SORT is not offered: its order would have to be told with every change.
    if command.returns is not None and Return.UPDATE in command.returns.wanted:
        no_update(talk)
    await talk.room()
    return Outcome("SORT completed")


async def thread(talk: Conversation, command: Thread) -> Outcome:
    selected = talk.open_folder()
    if command.uses_modseq:
        talk.use_condstore()
    key = resolve(command.criterion, selected, talk.factory.clock.seconds())
    require_few(talk, looked_at(key, selected.view.uids))
    nodes = await talk.while_there(_able(selected).thread(key, command.algorithm))
    uids = in_view(selected.view, _uids(nodes))
    told = uids if command.uid else numbers(selected.view, uids)
    table = dict(zip(uids, told, strict=True))
    talk.send(responses.thread(_visible(nodes, table), table.__getitem__))
    await talk.room()
    return Outcome("THREAD completed")


def _able(selected: Selected) -> ISearching:
    if not ISearching.providedBy(selected.folder):
        raise FolderRefused(FolderReason.CANNOT, "This folder cannot be sorted")
    able: ISearching = ISearching(selected.folder)
    return able


def _uids(nodes: Sequence[ThreadNode]) -> list[int]:
    found = []
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if node.uid is not None:
            found.append(node.uid)
        todo.extend(node.children)
    return found


def _visible(nodes: Sequence[ThreadNode], told: dict[int, int]) -> Sequence[ThreadNode]:
    """Without what cannot be told. Children come before their parents here."""
    order: list[ThreadNode] = []
    todo = list(nodes)
    while todo:
        order.append(node := todo.pop())
        todo.extend(node.children)
    seen: dict[int, list[ThreadNode]] = {}
    for node in reversed(order):
        children = [kept for child in node.children for kept in seen.pop(id(child))]
        if node.uid in told:
            seen[id(node)] = [ThreadNode(node.uid, children)]
        elif len(children) > 1:
            seen[id(node)] = [ThreadNode(None, children)]
        else:
            seen[id(node)] = children
    return [kept for node in nodes for kept in seen[id(node)]]
