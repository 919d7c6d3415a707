"""One folder as one session sees it: the name from its user's point of view, and the rights.

Everything else is the ``LiveFolder`` that all sessions share. Rights are shown, not enforced:
who serves a protocol knows which command needs which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from zope.interface import implementer

from mailframe.core.facts import LONGEST_HEADER, Fact, MessageFacts
from mailframe.core.folders import (
    CopyOutcome,
    FlagChange,
    FolderChange,
    FolderReason,
    MessageState,
    Recent,
    StoreOutcome,
)
from mailframe.core.search import SearchKey, SortCriterion, ThreadAlgorithm, ThreadNode
from mailframe.errors import FolderRefused, MessageGone, TransientFailure
from mailframe.interfaces import (
    IAppending,
    ICopying,
    IFolder,
    IFolderFacts,
    IFolderHeaders,
    IMessageSource,
    ISearching,
    IVanished,
)
from mailframe.mailbox.failures import disk_trouble
from mailframe.mailbox.index import remembered, searching, sorting, transferring
from mailframe.mailbox.index.appending import Appending
from mailframe.mailbox.index.live_folder import LiveFolder
from mailframe.mailbox.index.place import Stored, stored_rows
from mailframe.mailbox.index.searching import SearchedFolder
from mailframe.mailbox.newlines import to_wire
from mailframe.mailbox.sizes import count
from mailframe.mailbox.source import FileSource
from mailframe.message.facts import read_facts
from mailframe.runtime.disk import STORAGE_FULL

T = TypeVar("T")


@implementer(IFolder, IFolderFacts, IFolderHeaders, IVanished, ICopying, ISearching)
class IndexedFolder:
    """``LiveFolders.open`` makes it."""

    def __init__(self, live: LiveFolder, name: str, rights: str) -> None:
        self.live = live
        self.name = name
        self.rights = rights

    @property
    def mailbox_id(self) -> str:
        return self.live.mailbox_id

    @property
    def uid_validity(self) -> int:
        return self.live.uid_validity

    @property
    def uid_next(self) -> int:
        return self.live.uid_next

    @property
    def highest_modseq(self) -> int:
        return self.live.highest_modseq

    @property
    def recent_from(self) -> int:
        return self.live.recent_from

    @property
    def messages(self) -> Mapping[int, MessageState]:
        return self.live.messages

    async def refresh(self) -> None:
        await self.live.refresh()

    def subscribe(self, listener: Callable[[FolderChange], None]) -> Callable[[], None]:
        return self.live.subscribe(listener)

    async def claim_recent(self) -> Recent:
        return await self.live.claim_recent()

    async def open(self, uid: int) -> IMessageSource:
        self.live.require()
        try:
            return await self.live.index.read(lambda connection: self._open(connection, uid))
        except OSError as error:
            self.live.note_missing()
            raise MessageGone(f"{uid} of {self.live.place.path}: {error}") from error

    async def store(
        self, uids: Sequence[int], change: FlagChange, unchanged_since: int | None = None
    ) -> StoreOutcome:
        return await self.live.store(uids, change, unchanged_since)

    async def expunge(self, uids: Sequence[int]) -> Sequence[int]:
        return await self.live.expunge(uids)

    def receive(self) -> IAppending:
        self.live.require()
        appending: IAppending = Appending(self.live)
        return appending

    # ---- IVanished

    async def vanished(self, since: int) -> Sequence[int]:
        return await self.live.vanished(since)

    # ---- IFolderFacts, IFolderHeaders

    async def facts(self, uids: Sequence[int], wanted: Fact) -> Mapping[int, MessageFacts]:
        try:
            return await self._remembered(partial(remembered.facts, wanted=wanted), uids)
        except TransientFailure as error:
            return await self._not_remembered(error, uids, partial(read_facts, wanted=wanted))

    async def headers(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        try:
            return await self._remembered(remembered.headers, uids)
        except TransientFailure as error:
            return await self._not_remembered(error, uids, _header)

    async def _remembered(
        self, look: Callable[..., tuple[dict[int, T], list[int]]], uids: Sequence[int]
    ) -> dict[int, T]:
        """What ``look`` finds, once all was read that was not yet."""
        self.live.require()
        index, folder = self.live.index, self.live.place.id
        found, unread = await index.read(partial(look, folder=folder, uids=uids))
        if unread:
            await self.live.around.reader.ensure(index, folder, self.live.place.maildir, unread)
            # What cannot be read now is left out.
            more, _ = await index.read(partial(look, folder=folder, uids=unread))
            found.update(more)
        return found

    async def _not_remembered(
        self, error: TransientFailure, uids: Sequence[int], read: Callable[[bytes], T | None]
    ) -> dict[int, T]:
        """A full disk is no reason not to read what is on it: one message in memory at a
        time, for this answer only. Other errors are raised again."""
        if error.reply is not STORAGE_FULL:
            raise error
        found: dict[int, T] = {}
        for uid in uids:
            for data in (await self.contents([uid])).values():
                value = await self.live.around.workers.run(read, data)
                if value is not None:
                    found[uid] = value
        return found

    async def contents(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        self.live.require()
        with disk_trouble(f"read {self.live.place.path}"):
            found, is_complete = await self.live.index.read(
                lambda connection: read_contents(connection, self.live, uids)
            )
        if not is_complete:
            self.live.note_missing()
        return found

    # ---- ICopying

    async def copy(self, uids: Sequence[int], target: IFolder) -> CopyOutcome:
        return await transferring.copy(self.live, uids, _live(target))

    async def move(self, uids: Sequence[int], target: IFolder) -> CopyOutcome:
        return await transferring.move(self.live, uids, _live(target))

    # ---- ISearching

    async def search(self, key: SearchKey) -> Sequence[int]:
        return await searching.search(self._searched(), key)

    async def sort(self, key: SearchKey, by: Sequence[SortCriterion]) -> Sequence[int]:
        return await self.live.answers.of(
            (key, tuple(by)), self._modseq, lambda: sorting.sort(self._searched(), key, by)
        )

    async def thread(self, key: SearchKey, algorithm: ThreadAlgorithm) -> Sequence[ThreadNode]:
        return await self.live.answers.of(
            (key, algorithm), self._modseq, lambda: sorting.thread(self._searched(), key, algorithm)
        )

    def _modseq(self) -> int:
        self.live.require()
        return self.live.highest_modseq

    def _searched(self) -> SearchedFolder:
        self.live.require()
        live, place = self.live, self.live.place
        generation = live.index.generation
        return SearchedFolder(live.index, place.id, generation, place.maildir, live.around)

    def _open(self, connection: sqlite3.Connection, uid: int) -> FileSource:
        """On a worker. Raises OSError, MessageGone."""
        rows = list(stored_rows(connection, self.live.place.id, [uid]))
        if not rows:
            raise MessageGone(str(uid))
        row, place = rows[0], self.live.place
        path = place.file(row.base, row.place)
        try:
            file = place.disk.open(path)
        except FileNotFoundError:
            if (found := place.maildir.find(row.base)) is None:
                raise
            file = place.disk.open(found)
        try:
            octets = place.disk.facts(file).st_size
            size = row.size
            if octets != row.octets or not octets <= size <= 2 * octets:
                # The name is wrong, or the file or the row: hand out what is there, with its true
                # size, which is an octet more for each line's end at most.
                size = count(file)
                file.seek(0)
            source = FileSource(file, size, octets, self.live.around.workers)
            source.begin()
            return source
        except BaseException:
            file.close()
            raise


def read_contents(
    connection: sqlite3.Connection, live: LiveFolder, uids: Sequence[int]
) -> tuple[dict[int, bytes], bool]:
    """Whole messages in wire format, of those that can be read; and whether each file was where
    it is noted. On a worker."""
    place = live.place
    contents: dict[int, bytes] = {}
    missing: list[Stored] = []
    for row in stored_rows(connection, place.id, uids):
        try:
            contents[row.uid] = _wire(place.disk.read(place.file(row.base, row.place)), row)
        except FileNotFoundError:
            missing.append(row)
        except OSError:
            continue
    if missing:
        where = {name.base: path for path, name in place.maildir.files()}
        for row in missing:
            try:
                contents[row.uid] = _wire(place.disk.read(where[row.base]), row)
            except (KeyError, OSError):
                continue
    return contents, not missing


def _wire(data: bytes, row: Stored) -> bytes:
    return data if len(data) == row.size == row.octets else to_wire(data)


def _live(target: IFolder) -> LiveFolder:
    if not isinstance(target, IndexedFolder):
        raise FolderRefused(FolderReason.CANNOT, "Not within the same storage")
    return target.live


def _header(data: bytes) -> bytes | None:
    """None: too long."""
    parts = read_facts(data, Fact.PARTS).parts
    end = parts.body if parts is not None else len(data)
    return data[:end] if end <= LONGEST_HEADER else None
