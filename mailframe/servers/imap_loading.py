"""Getting facts and octets of messages out of a folder, whatever it can do by itself.

A folder that remembers (``IFolderFacts``) is asked for many messages at once; any other is read
message by message, and a worker finds out what is in it. What cannot be read is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailframe.core.facts import Fact, MessageFacts
from mailframe.errors import MessageGone
from mailframe.interfaces.folders import IFolder, IFolderFacts, IFolderHeaders
from mailframe.interfaces.mailbox import IMessageSource
from mailframe.interfaces.work import IWorkers
from mailframe.message.facts import read_facts

CHUNK = 64 * 1024


@dataclass(slots=True)
class Loaded:
    uids: Sequence[int]
    """What was asked for, but for what is ``left``."""
    facts: Mapping[int, MessageFacts] = field(default_factory=dict)
    contents: Mapping[int, bytes] = field(default_factory=dict)
    source: OpenMessage | None = None
    """Of a large message, where it is there: whoever gets it closes it."""
    is_large: bool = False
    left: Sequence[int] = ()
    """Of which more is needed than their header sections, which are in ``contents``."""


class OpenMessage:
    """A message in wire format, read from any place in it. Reading backwards opens it anew."""

    def __init__(self, folder: IFolder, uid: int, source: IMessageSource) -> None:
        self.size: int = source.size
        self.uid = uid
        self._folder = folder
        self._source = source
        self._at = 0

    async def reach(self, start: int) -> None:
        """The next ``read`` begins there. Raises MessageGone."""
        if start < self._at:
            self._source.close()
            self._source = await self._folder.open(self.uid)
            self._at = 0
        while self._at < start:
            if not await self.read(min(CHUNK, start - self._at)):
                raise MessageGone("the message is shorter than it was")

    async def read(self, octets: int) -> bytes:
        """Up to so many; empty at the end, and for none. Raises MessageGone."""
        chunk: bytes = await self._source.read(octets) if octets else b""
        self._at += len(chunk)
        return chunk

    async def take(self, start: int, end: int) -> bytes:
        """All of it at once. Raises MessageGone."""
        await self.reach(start)
        pieces = []
        while self._at < end:
            piece = await self.read(min(CHUNK, end - self._at))
            if not piece:
                raise MessageGone("the message is shorter than it was")
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def at_end(self) -> bool:
        return self._at >= self.size

    def close(self) -> None:
        """May be called twice."""
        self._source.close()


async def load(
    folder: IFolder,
    uids: Sequence[int],
    wanted: Fact,
    workers: IWorkers,
    *,
    contents: bool,
    is_large: bool = False,
    kept: OpenMessage | None = None,
) -> Loaded:
    """``is_large``: it is one message, to be opened and not to be held in memory. ``kept``:
    it is open already."""
    loaded = Loaded(uids, is_large=is_large)
    if IFolderFacts.providedBy(folder):
        if wanted:
            loaded.facts = await IFolderFacts(folder).facts(uids, wanted)
        if contents:
            loaded.contents = await IFolderFacts(folder).contents(uids)
    elif wanted or contents:
        loaded.contents = await read_contents(folder, uids)
        if wanted:
            loaded.facts = await workers.run(_facts_of, loaded.contents)
    if is_large:
        loaded.source = kept or await open_message(folder, uids[0])
    return loaded


async def load_headers(folder: IFolder, uids: Sequence[int], wanted: Fact) -> Loaded:
    """Header sections, in ``contents``, of a folder that remembers them (``IFolderHeaders``):
    no message is opened."""
    headers = await IFolderHeaders(folder).headers(uids)
    there = [uid for uid in uids if uid in headers]
    loaded = Loaded(there, contents=headers)
    if len(there) < len(uids):
        loaded.left = [uid for uid in uids if uid not in headers]
    if wanted and there:
        loaded.facts = await IFolderFacts(folder).facts(there, wanted)
    return loaded


async def read_contents(folder: IFolder, uids: Sequence[int]) -> dict[int, bytes]:
    """Whole messages. The caller sees to their sizes."""
    if IFolderFacts.providedBy(folder):
        return dict(await IFolderFacts(folder).contents(uids))
    contents = {}
    for uid in uids:
        source = await open_message(folder, uid)
        if source is None:
            continue
        try:
            contents[uid] = await source.take(0, source.size)
        except MessageGone:
            continue
        finally:
            source.close()
    return contents


async def open_message(folder: IFolder, uid: int) -> OpenMessage | None:
    """None: it is not there any more."""
    try:
        return OpenMessage(folder, uid, await folder.open(uid))
    except MessageGone:
        return None


def _facts_of(contents: Mapping[int, bytes]) -> dict[int, MessageFacts]:
    return {uid: read_facts(data) for uid, data in contents.items()}
