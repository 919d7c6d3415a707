"""SEARCH in a folder that cannot search: every message is looked at, and read if need be.

What flags, sizes and dates decide is decided first; only messages that are still open then are
read, a batch at a time, and taken apart by a worker. It finds what an index finds: both look at
the same ``Searchable``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from mailframe.core.facts import MessageFacts
from mailframe.core.folders import MessageState
from mailframe.core.search import SearchKey
from mailframe.interfaces.folders import IFolder
from mailframe.interfaces.work import IWorkers
from mailframe.message.facts import read_facts
from mailframe.message.matching import judged, matches
from mailframe.message.searchable import read_searchable
from mailframe.servers.imap_loading import read_contents

_MESSAGES = 64
_OCTETS = 4_000_000


async def search(
    folder: IFolder,
    key: SearchKey,
    workers: IWorkers,
    breathe: Callable[[], Awaitable[None]],
) -> Sequence[int]:
    """uids that match, ascending. ``breathe`` is awaited after each of some hundred messages."""
    found: list[int] = []
    states = list(folder.messages.values())
    batch: list[MessageState] = []
    octets = 0
    for number, state in enumerate(states):
        verdict = judged(key, state)
        if verdict:
            found.append(state.uid)
        elif verdict is None:
            batch.append(state)
            octets += state.size
        if batch and (len(batch) == _MESSAGES or octets > _OCTETS):
            found += await _read(folder, key, workers, batch)
            batch, octets = [], 0
            await breathe()
        elif number % 512 == 0:
            await breathe()
    if batch:
        found += await _read(folder, key, workers, batch)
    return sorted(found)


async def _read(
    folder: IFolder, key: SearchKey, workers: IWorkers, batch: Sequence[MessageState]
) -> Sequence[int]:
    contents = await read_contents(folder, [state.uid for state in batch])
    found: Sequence[int] = await workers.run(_matching, key, batch, contents)
    return found


def _matching(
    key: SearchKey, batch: Sequence[MessageState], contents: Mapping[int, bytes]
) -> list[int]:
    found = []
    for state in batch:
        data = contents.get(state.uid)
        facts = read_facts(data) if data is not None else MessageFacts()
        searchable = read_searchable(data, facts) if data is not None else None
        if matches(key, state, facts, searchable):
            found.append(state.uid)
    return found
