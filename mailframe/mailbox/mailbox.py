"""One folder of one account, as protocols see it (``IMailbox``).

Nothing is kept open between calls, and the last listing is only a hint where a message
lies: flags may have changed, the file may have moved, another program may have removed it.
Of a client that has the lock and reads one message after the other the next ones may be in
memory (``ahead``).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.events import MessagesRemoved
from mailframe.errors import MailboxBusy, MessageGone
from mailframe.interfaces import (
    IMailboxEvents,
    IMessageSource,
    IReadsAhead,
    IWorkers,
    MessageInfo,
)
from mailframe.mailbox.ahead import Budget, ReadAlready, ReadingAhead
from mailframe.mailbox.failures import disk_trouble
from mailframe.mailbox.maildir import Entry, Maildir
from mailframe.mailbox.quota import Quotas, note_in_maildirsize
from mailframe.mailbox.removing import Removal
from mailframe.mailbox.sizes import WireSizes, count
from mailframe.mailbox.source import FileSource
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.disk import Disk, DiskLock


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every mailbox of a store shares."""

    disk: Disk
    workers: IWorkers
    events: IMailboxEvents
    clock: IReactorTime
    quotas: Quotas
    sizes: WireSizes
    ahead: Budget


class _Listing:
    """The messages, oldest first, and the place of each by its uid."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.places = {entry.uid: place for place, entry in enumerate(entries)}

    def find(self, uid: str) -> Entry:
        """Raises KeyError."""
        return self.entries[self.places[uid]]


_Listed = tuple[_Listing, tuple[MessageInfo, ...]]
_Removed = tuple[Removal, tuple[str, ...], _Listing]


@implementer(IReadsAhead)
class MaildirMailbox:
    """``home`` is the account's directory: the lock lies there, one for all its folders."""

    log = Logger()

    def __init__(
        self, account: str, folder: str, home: str, maildir: Maildir, around: Surroundings
    ) -> None:
        self.account = account
        self.folder = folder
        self._home = home
        self._maildir = maildir
        self._around = around
        self._listing = _Listing([])
        self._ahead = ReadingAhead(around.disk, around.workers, around.ahead)
        self._lock: DiskLock | None = None

    def lock(self) -> Deferred[None]:
        return as_deferred(self._take_lock())

    def unlock(self) -> Deferred[None]:
        return as_deferred(self._release_lock())

    def messages(self) -> Deferred[tuple[MessageInfo, ...]]:
        return as_deferred(self._messages())

    def open(self, uid: str) -> Deferred[IMessageSource]:
        return as_deferred(self._open(uid))

    def at_hand(self, uid: str) -> bytes | None:
        return self._ahead.take(uid)

    def remove(self, uids: Collection[str]) -> Deferred[frozenset[str]]:
        return as_deferred(self._remove(frozenset(uids)))

    async def _take_lock(self) -> None:
        if self._lock is not None:
            raise MailboxBusy(self.account)
        with disk_trouble(f"lock {self.account}"):
            lock: DiskLock | None = await self._around.workers.run(self._lock_file)
        if lock is None:
            raise MailboxBusy(self.account)
        self._lock = lock

    async def _release_lock(self) -> None:
        lock, self._lock = self._lock, None
        self._ahead.forget()
        if lock is not None:
            lock.release()  # closes a descriptor; nothing waits for the disk

    def _lock_file(self) -> DiskLock | None:
        path = os.path.join(self._home, "session.lock")
        try:
            return self._around.disk.lock(path)
        except FileNotFoundError:
            self._around.disk.make_directories(self._home)
            return self._around.disk.lock(path)

    async def _messages(self) -> tuple[MessageInfo, ...]:
        with disk_trouble(f"list {self._maildir.path}"):
            listed: _Listed = await self._around.workers.run(self._list)
        self._listing, messages = listed
        self._ahead.forget()
        return messages

    def _list(self) -> _Listed:
        """By a worker to the last line: of a hundred thousand each takes a tenth of a second."""
        self._maildir.sweep(self._around.clock.seconds())
        entries = self._maildir.entries(self._around.sizes)
        infos = tuple(MessageInfo(e.uid, e.wire_size, float(e.received)) for e in entries)
        return _Listing(entries), infos

    async def _open(self, uid: str) -> IMessageSource:
        if uid not in self._listing.places:
            await self._messages()
        listing = self._listing
        try:
            place = listing.places[uid]
        except KeyError:
            raise MessageGone(uid) from None
        if self._lock is not None:  # who has it gives back what was read ahead
            content = await self._ahead.read(listing.entries, place)
            if content is not None:
                return ReadAlready(content)
        entry = listing.entries[place]
        try:
            source: FileSource = await self._around.workers.run(self._open_file, entry)
        except OSError as error:
            raise MessageGone(f"{entry.path}: {error}") from error
        return source

    def _open_file(self, entry: Entry) -> FileSource:
        try:
            file = self._around.disk.open(entry.path)
        except FileNotFoundError:
            if (path := self._maildir.find(entry.name.base)) is None:
                raise
            file = self._around.disk.open(path)
        try:
            octets = self._around.disk.facts(file).st_size
            size = entry.wire_size
            if entry.name.size is not None and entry.name.size != octets:
                # The name is wrong or the file is: hand out what is there, with its true size.
                size = count(file)
                file.seek(0)
            source = FileSource(file, size, octets, self._around.workers)
            source.begin()
            return source
        except BaseException:
            file.close()
            raise

    async def _remove(self, uids: frozenset[str]) -> frozenset[str]:
        if not uids:
            return frozenset()
        if not uids <= self._listing.places.keys():
            await self._messages()
        with disk_trouble(f"remove from {self._maildir.path}"):
            removed: _Removed = await self._around.workers.run(
                self._remove_files, self._listing, uids
            )
        removal, gone, self._listing = removed
        self._ahead.forget()
        for uid, error in removal.failed.items():
            self.log.error("cannot remove {uid}: {error}", uid=uid, error=error)
        self._around.quotas.removed(self.account, removal.octets, removal.messages)
        if gone:
            self._around.events.publish(MessagesRemoved(self.account, self.folder, gone))
        return frozenset(removal.failed)

    def _remove_files(self, listing: _Listing, uids: frozenset[str]) -> _Removed:
        """By a worker to the last line, as ``_list``."""
        known = [uid for uid in uids if uid in listing.places]
        removal = Removal(self._maildir, [listing.find(uid) for uid in known])
        inbox = os.path.join(self._home, "Maildir")
        note_in_maildirsize(self._around.disk, inbox, -removal.octets, -removal.messages)
        gone = uids.difference(removal.failed)
        left = _Listing([entry for entry in listing.entries if entry.uid not in gone])
        return removal, tuple(gone.intersection(known)), left
