"""One folder as one session sees it: the name from its user's point of view, and the rights.

Everything else is the ``LiveFolder`` that all sessions share. Rights are shown, not enforced:
who serves a protocol knows which command needs which.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import BinaryIO

from zope.interface import implementer

from mailframe.core.facts import Fact, MessageFacts
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
from mailframe.errors import FolderRefused, MessageGone
from mailframe.interfaces import (
    IAppending,
    ICopying,
    IFolder,
    IFolderFacts,
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


@implementer(IFolder, IFolderFacts, IVanished, ICopying, ISearching)
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
            self.live.place.is_doubtful = True
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

    # ---- IFolderFacts

    async def facts(self, uids: Sequence[int], wanted: Fact) -> Mapping[int, MessageFacts]:
        self.live.require()
        found: dict[int, MessageFacts] = {}
        unread: Sequence[int] = uids
        for last in (False, True):  # what cannot be read now is left out
            known, unread = await self.live.index.read(
                partial(remembered.facts, folder=self.live.place.id, uids=unread, wanted=wanted)
            )
            found.update(known)
            if last or not unread:
                break
            where = self._searched()
            await where.reader.ensure(where.index, where.folder, where.maildir, unread)
        return found

    async def contents(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        self.live.require()
        with disk_trouble(f"read {self.live.place.path}"):
            return await self.live.index.read(
                lambda connection: read_contents(connection, self.live, uids)
            )

    # ---- ICopying

    async def copy(self, uids: Sequence[int], target: IFolder) -> CopyOutcome:
        return await transferring.copy(self.live, uids, _live(target))

    async def move(self, uids: Sequence[int], target: IFolder) -> CopyOutcome:
        return await transferring.move(self.live, uids, _live(target))

    # ---- ISearching

    async def search(self, key: SearchKey) -> Sequence[int]:
        return await searching.search(self._searched(), key)

    async def sort(self, key: SearchKey, by: Sequence[SortCriterion]) -> Sequence[int]:
        return await sorting.sort(self._searched(), key, by)

    async def thread(self, key: SearchKey, algorithm: ThreadAlgorithm) -> Sequence[ThreadNode]:
        return await sorting.thread(self._searched(), key, algorithm)

    def _searched(self) -> SearchedFolder:
        self.live.require()
        place = self.live.place
        return SearchedFolder(self.live.index, place.id, place.maildir, self.live.around.reader)

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
            octets = os.fstat(file.fileno()).st_size
            size = row.size
            if octets != row.octets:
                # The name is wrong or the file is: hand out what is there, with its true size.
                size = count(file)
                file.seek(0)
            source = FileSource(file, size, self.live.around.workers, verbatim=size == octets)
            source.begin()
            return source
        except BaseException:
            file.close()
            raise


def read_contents(
    connection: sqlite3.Connection, live: LiveFolder, uids: Sequence[int]
) -> dict[int, bytes]:
    """Whole messages in wire format, of those that can be read. On a worker."""
    place = live.place
    contents: dict[int, bytes] = {}
    missing: list[Stored] = []
    for row in stored_rows(connection, place.id, uids):
        try:
            contents[row.uid] = _wire(place.disk.open(place.file(row.base, row.place)), row)
        except FileNotFoundError:
            missing.append(row)
        except OSError:
            continue
    if missing:
        place.is_doubtful = True
        where = {name.base: path for path, name in place.maildir.files()}
        for row in missing:
            try:
                contents[row.uid] = _wire(place.disk.open(where[row.base]), row)
            except (KeyError, OSError):
                continue
    return contents


def _wire(file: BinaryIO, row: Stored) -> bytes:
    with file:
        data = file.read()
    return data if len(data) == row.size == row.octets else to_wire(data)


def _live(target: IFolder) -> LiveFolder:
    if not isinstance(target, IndexedFolder):
        raise FolderRefused(FolderReason.CANNOT, "Not within the same storage")
    return target.live
