"""The live folders of a server: one object a folder, whoever has it open.

``LiveFolders.open`` gives a session its view of the shared ``LiveFolder``. It is kept while
anybody holds it, and for a while longer (bounded by folders and by messages), so that to
select it again reads nothing. Deliveries and removals that ``IMailboxEvents`` tells of are
taken in at once where somebody is subscribed; what other programs do is noticed by inotify,
or by looking every two seconds where that cannot be had.
"""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorFDSet, IReactorTime

from mailframe.core.events import MailboxEvent, MessagesCopied, MessagesMoved
from mailframe.core.folders import INBOX, FolderStatus
from mailframe.errors import MailframeError
from mailframe.interfaces import IMailboxEvents, IWorkers
from mailframe.mailbox.failures import disk_trouble
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.mailbox.index import opening
from mailframe.mailbox.index.around import Around, Names
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.mailbox.index.handle import Indexes
from mailframe.mailbox.index.live_folder import LiveFolder
from mailframe.mailbox.index.place import FolderPlace
from mailframe.mailbox.index.reading import ContentReader
from mailframe.mailbox.index.watching import Watching
from mailframe.mailbox.paths import account_directory, folder_directory
from mailframe.mailbox.quota import Quotas
from mailframe.mailbox.sizes import WireSizes
from mailframe.runtime.aio import Background
from mailframe.runtime.disk import Disk

_KEPT_FOLDERS = 256
_KEPT_MESSAGES = 300_000  # some 200 octets each

_Key = tuple[str, str]


class LiveFolders:
    """One per server. Everything happens on the reactor thread."""

    def __init__(
        self,
        base: str,
        disk: Disk,
        workers: IWorkers,
        *,
        events: IMailboxEvents,
        clock: IReactorTime,
        quotas: Quotas,
        hostname: str,
        salt: bytes,
        sizes: WireSizes | None = None,
        reactor: IReactorFDSet | None = None,
    ) -> None:
        """``base``: the directory that holds ``mail``. ``quotas``: the MaildirStore's.
        ``salt``: octets that no other process has, for the names of new files.
        ``reactor``: for inotify; without it directories are looked at every two seconds."""
        self._background = Background()
        self._around = Around(
            base, disk, workers, events, clock, quotas, sizes or WireSizes(),
            Names(salt, hostname), self._background, ContentReader(disk, workers, clock),
        )  # fmt: skip
        self.indexes = Indexes(base, disk, workers)
        self._known: WeakValueDictionary[_Key, LiveFolder] = WeakValueDictionary()
        self._kept: OrderedDict[_Key, LiveFolder] = OrderedDict()
        self._watching = Watching(clock, reactor, self._notice)
        self._unsubscribe = events.subscribe(self._heard)

    async def open(self, account: str, folder: str, *, name: str, rights: str) -> IndexedFolder:
        """``folder``: from its owner's point of view; ``name``: from the user's. Not
        refreshed yet, unless nobody had it open. Raises FolderRefused (NONEXISTENT)."""
        live = await self._open(account, folder)
        return IndexedFolder(live, name, rights)

    async def status(self, account: str, folder: str) -> FolderStatus:
        """Up to date. A folder that nobody has open is not loaded for it."""
        key = _key(account, folder)
        live = self._known.get(key)
        if live is not None and live.is_open:
            await live.verify()
        if live is not None and live.is_open:
            await live.refresh()
            return live.status()
        return await self._count(key)

    async def forget(self, account: str, folder: str) -> None:
        """It was deleted: whoever has it open sees it empty, then nothing works any more."""
        key = _key(account, folder)
        live = self._known.pop(key, None)
        self._kept.pop(key, None)
        if live is not None:
            self._watching.stop(live)
            live.end()
        index = self.indexes.of(account)
        await index.run(partial(opening.drop_named, name=key[1]))

    async def renamed(self, account: str, old: str, new: str) -> None:
        """Its directory was renamed, by us. Sessions that have it open go on with it."""
        source, target = _key(account, old), _key(account, new)
        if (stale := self._known.pop(target, None)) is not None:
            self._kept.pop(target, None)
            self._watching.stop(stale)
            stale.end()
        live = self._known.pop(source, None)
        self._kept.pop(source, None)
        index = self.indexes.of(account)
        place = live.place if live is not None else self._place(source)
        path = self._path(target)
        now = self._around.clock.seconds()
        if live is not None:
            self._watching.stop(live)
            self._known[target] = live

        def job(connection: sqlite3.Connection) -> FolderTruth:
            place.move_to(target[1], path)
            return opening.open_folder(connection, place, now)

        with disk_trouble(f"rename {path}"):
            truth = await index.run(job)
            await self._around.workers.run(opening.confirm, place, truth)
        if live is not None:
            live.uid_validity = truth.uid_validity
            if live.has_subscribers:
                self._watching.start(live)

    def stop(self) -> Deferred[None]:
        """Fires when nothing of it is under way any more; the files are closed then."""
        self._unsubscribe()
        self._watching.close()
        reading: Deferred[None] = self._around.reader.stop()
        ended: Deferred[Any] = DeferredList([reading, self._background.stop()])
        return ended.addCallback(lambda _: self.indexes.close())

    # ---- opening

    async def _open(self, account: str, folder: str) -> LiveFolder:
        key = _key(account, folder)
        live = self._known.get(key)
        if live is not None and live.is_open:
            await live.verify()
            live = self._known.get(key)
        if live is None or live.is_gone or not (live.is_open or live.never_opened):
            live = LiveFolder(self.indexes.of(account), self._place(key), self._around)
            live.on_watch = partial(self._watch, live)
            self._known[key] = live
        await live.open()
        self._keep(key, live)
        return live

    async def _count(self, key: _Key) -> FolderStatus:
        place = self._place(key)
        now = self._around.clock.seconds()

        def job(connection: sqlite3.Connection) -> tuple[FolderTruth, FolderStatus]:
            truth = opening.open_folder(connection, place, now)
            return truth, opening.count(connection, place, truth)

        with disk_trouble(f"look at {place.path}"):
            truth, status = await self.indexes.of(key[0]).run(job)
            await self._around.workers.run(opening.confirm, place, truth)
        return status

    def _place(self, key: _Key) -> FolderPlace:
        around = self._around
        home = account_directory(around.base, key[0])
        return FolderPlace(key[0], key[1], home, self._path(key), around.disk, around.sizes)

    def _path(self, key: _Key) -> str:
        maildir = os.path.join(account_directory(self._around.base, key[0]), "Maildir")
        try:
            return folder_directory(maildir, key[1])
        except ValueError as error:
            raise opening.no_such_folder() from error

    def _keep(self, key: _Key, live: LiveFolder) -> None:
        self._kept[key] = live
        self._kept.move_to_end(key)
        messages = sum(len(kept.messages) for kept in self._kept.values())
        while len(self._kept) > 1 and (
            len(self._kept) > _KEPT_FOLDERS or messages > _KEPT_MESSAGES
        ):
            _, dropped = self._kept.popitem(last=False)
            messages -= len(dropped.messages)

    # ---- what others do

    def _heard(self, event: MailboxEvent) -> None:
        if isinstance(event, (MessagesMoved, MessagesCopied)):
            return  # by one of ours
        live = self._known.get(_key(event.account, event.folder))
        if live is not None and live.has_subscribers:
            self._notice(live)

    def _notice(self, live: LiveFolder) -> None:
        """Something may have happened there."""
        if live.is_open and live.has_subscribers:
            self._background.start(self._look(live), f"look at {live.place.path}")

    async def _look(self, live: LiveFolder) -> None:
        try:
            await live.refresh()
        except MailframeError as error:
            live.log.error("cannot look at {path}: {error}", path=live.place.path, error=error)

    def _watch(self, live: LiveFolder, wanted: bool) -> None:
        if wanted:
            self._watching.start(live)
        else:
            self._watching.stop(live)


def _key(account: str, folder: str) -> _Key:
    is_inbox = not folder or (folder.isascii() and folder.upper() == INBOX)
    return account, INBOX if is_inbox else folder
