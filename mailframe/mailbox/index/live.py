"""The live folders of a server: one object a folder, whoever has it open.

``LiveFolders.open`` gives a session its view of the shared ``LiveFolder``. It is kept while
anybody holds it, and for a while longer (bounded by folders and by messages), so that to
select it again reads nothing. Deliveries and removals that ``IMailboxEvents`` tells of are
taken in at once where somebody is subscribed; what other programs do is noticed by inotify,
or by looking every two seconds where that cannot be had. Other workers of this server also
tell of flags: those that found no letter are in the index only.
"""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorFDSet, IReactorTime

from mailframe.core.events import MailboxEvent, MessagesCopied, MessagesMoved
from mailframe.core.folders import INBOX, FolderStatus
from mailframe.errors import MailframeError
from mailframe.interfaces import IMailboxEvents, IPeers, IWorkers
from mailframe.mailbox.failures import disk_trouble
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.mailbox.index import opening
from mailframe.mailbox.index.around import Around, Names
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.mailbox.index.indexes import Indexes
from mailframe.mailbox.index.live_folder import LiveFolder
from mailframe.mailbox.index.place import FolderPlace
from mailframe.mailbox.index.reading import ContentReader
from mailframe.mailbox.index.watching import Watching
from mailframe.mailbox.paths import account_directory, folder_directory
from mailframe.mailbox.quota import Quotas
from mailframe.mailbox.sizes import WireSizes
from mailframe.runtime.aio import Background
from mailframe.runtime.disk import Disk
from mailframe.runtime.peers import Alone

_KEPT_FOLDERS = 256
_KEPT_MESSAGES = 300_000  # some 200 octets each
_FLAGS = "index.flags"
"""Topic of notes to the other workers."""

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
        peers: IPeers | None = None,
    ) -> None:
        """``base``: the directory that holds ``mail``. ``quotas``: the MaildirStore's.
        ``salt``: octets that no other process has, for the names of new files.
        ``reactor``: for inotify; without it directories are looked at every two seconds.
        ``peers``: the other workers; None: there are none."""
        self._background = Background()
        self._around = Around(
            base, disk, workers, events, clock, quotas, sizes or WireSizes(),
            Names(salt, hostname), self._background, ContentReader(disk, workers, clock),
        )  # fmt: skip
        self.indexes = Indexes(base, disk, workers)
        self._known: WeakValueDictionary[_Key, LiveFolder] = WeakValueDictionary()
        self._kept: OrderedDict[_Key, LiveFolder] = OrderedDict()
        self._watching = Watching(clock, reactor, self._notice)
        self._events = events
        self._peers = peers if peers is not None else Alone("")
        self._peers.hear(_FLAGS, self._heard_of_flags)
        self._heard_of: dict[LiveFolder, Callable[[], None]] = {}
        """Folders that somebody watches, and how to stop hearing of their accounts."""

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
            truth = await index.run(job, confirm=partial(opening.confirm, place))
        if live is not None:
            live.uid_validity = truth.uid_validity
            if live.has_subscribers:
                self._watching.start(live)

    def stop(self) -> Deferred[None]:
        """Fires when nothing of it is under way any more; the files are closed then."""
        for unsubscribe in self._heard_of.values():
            unsubscribe()
        self._heard_of.clear()
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
            live.on_rename = partial(self._follow, live)
            live.on_flags = partial(self._tell_of_flags, live)
            self._known[key] = live
        await live.open()
        self._keep(key, live)
        return live

    async def _count(self, key: _Key) -> FolderStatus:
        place, index = self._place(key), self.indexes.of(key[0])
        now = self._around.clock.seconds()

        def job(connection: sqlite3.Connection) -> tuple[FolderTruth, FolderStatus]:
            truth = opening.open_folder(connection, place, now)
            index.doubt()  # somebody may have opened it meanwhile
            return truth, opening.count(connection, place, truth)

        with disk_trouble(f"look at {place.path}"):
            _, status = await index.run(job, confirm=lambda done: opening.confirm(place, done[0]))
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

    def _heard(self, live: LiveFolder, event: MailboxEvent) -> None:
        """Of ``live``'s account."""
        if isinstance(event, (MessagesMoved, MessagesCopied)):
            return  # by one of ours, or by another worker, whose directories tell
        if self._known.get(_key(event.account, event.folder)) is live:
            self._notice(live)

    def _tell_of_flags(self, live: LiveFolder) -> None:
        self._peers.tell(_FLAGS, [live.account, live.place.folder])

    def _heard_of_flags(self, note: Any, worker: str) -> None:
        account, folder = note
        if (live := self._known.get((account, folder))) is not None:
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

    def _follow(self, live: LiveFolder) -> None:
        """Another process has renamed it: its sessions go on with it under the new name."""
        for key in [key for key, known in self._known.items() if known is live]:
            del self._known[key]
            self._kept.pop(key, None)
        self._watching.stop(live)
        target = _key(live.account, live.place.folder)
        stale = self._known.get(target)
        if stale is not None:
            self._watching.stop(stale)
            stale.end()
        self._known[target] = live
        self._keep(target, live)
        if live.has_subscribers:
            self._watching.start(live)

    def _watch(self, live: LiveFolder, wanted: bool) -> None:
        if wanted:
            self._watching.start(live)
            heard = partial(self._heard, live)
            self._heard_of[live] = self._events.subscribe(heard, live.account)
        else:
            self._watching.stop(live)
            if (unsubscribe := self._heard_of.pop(live, None)) is not None:
                unsubscribe()


def _key(account: str, folder: str) -> _Key:
    is_inbox = not folder or (folder.isascii() and folder.upper() == INBOX)
    return account, INBOX if is_inbox else folder
