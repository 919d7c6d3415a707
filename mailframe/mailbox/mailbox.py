"""One folder of one account, as protocols see it (``IMailbox``).

Nothing is kept open between calls, and the last listing is only a hint where a message
lies: flags may have changed, the file may have moved, another program may have removed it.
Of a client that reads one message after the other the next ones may be in memory (``ahead``).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.events import MessagesRemoved
from mailframe.errors import MailboxBusy, MessageGone
from mailframe.interfaces import IMailbox, IMailboxEvents, IMessageSource, IWorkers, MessageInfo
from mailframe.mailbox.ahead import ReadAlready, read_ahead
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


_Listed = tuple[dict[str, Entry], tuple[MessageInfo, ...]]
_Opened = tuple[FileSource, dict[str, ReadAlready], int]
"""A message, those behind it that are read already, and the place of the next one."""
_SOMEWHERE, _NOWHERE = -1, -2
"""A message's place: to be found, or of no interest."""
_MOST_JUMPS = 8  # who jumps about more reads no message after the other
_Removed = tuple[Removal, tuple[str, ...], dict[str, Entry]]


@implementer(IMailbox)
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
        self._entries: dict[str, Entry] = {}
        self._order: list[Entry] = []
        self._ahead: dict[str, ReadAlready] = {}
        self._next = 0
        """The place in ``_order`` of what is asked for next by who goes on reading."""
        self._jumps = 0
        """How often it was something else."""
        self._lock: DiskLock | None = None

    def lock(self) -> Deferred[None]:
        return as_deferred(self._take_lock())

    def unlock(self) -> Deferred[None]:
        return as_deferred(self._release_lock())

    def messages(self) -> Deferred[tuple[MessageInfo, ...]]:
        return as_deferred(self._messages())

    def open(self, uid: str) -> Deferred[IMessageSource]:
        if (ready := self._ahead.pop(uid, None)) is not None:
            return succeed(ready)
        return as_deferred(self._open(uid))

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
        self._entries, messages = listed
        self._forget_order()
        return messages

    def _forget_order(self) -> None:
        self._order, self._ahead, self._next, self._jumps = [], {}, 0, 0

    def _list(self) -> _Listed:
        """By a worker to the last line: of a hundred thousand each takes a tenth of a second."""
        self._maildir.sweep(self._around.clock.seconds())
        entries = self._maildir.entries(self._around.sizes)
        infos = tuple(MessageInfo(e.uid, e.wire_size, float(e.received)) for e in entries)
        return {entry.uid: entry for entry in entries}, infos

    async def _open(self, uid: str) -> IMessageSource:
        entry = await self._entry(uid)
        if not self._order:
            self._order = list(self._entries.values())
        order, at = self._order, self._next
        goes_on = 0 < at < len(order) and order[at] is entry
        if not goes_on:
            self._jumps += 1
            at = _SOMEWHERE if self._jumps <= _MOST_JUMPS else _NOWHERE
        try:
            opened: _Opened = await self._around.workers.run(self._open_at, order, entry, at)
        except OSError as error:
            raise MessageGone(f"{entry.path}: {error}") from error
        source, ahead, following = opened
        if order is self._order:
            self._ahead, self._next = ahead, following
        return source

    def _open_at(self, order: list[Entry], entry: Entry, at: int) -> _Opened:
        """``at``: its place, where somebody goes on reading."""
        source = self._open_file(entry)
        if at == _NOWHERE:
            return source, {}, 0
        if at == _SOMEWHERE:
            return source, {}, next(n for n, each in enumerate(order, 1) if each is entry)
        ahead = read_ahead(self._around.disk, order, at + 1)
        return source, ahead, at + 1 + len(ahead)

    async def _entry(self, uid: str) -> Entry:
        if uid not in self._entries:
            await self._messages()
        try:
            return self._entries[uid]
        except KeyError:
            raise MessageGone(uid) from None

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
            source = FileSource(file, size, self._around.workers, verbatim=size == octets)
            source.begin()
            return source
        except BaseException:
            file.close()
            raise

    async def _remove(self, uids: frozenset[str]) -> frozenset[str]:
        if not uids:
            return frozenset()
        if not uids <= self._entries.keys():
            await self._messages()
        with disk_trouble(f"remove from {self._maildir.path}"):
            removed: _Removed = await self._around.workers.run(
                self._remove_files, self._entries, uids
            )
        removal, gone, self._entries = removed
        self._forget_order()
        for uid, error in removal.failed.items():
            self.log.error("cannot remove {uid}: {error}", uid=uid, error=error)
        self._around.quotas.removed(self.account, removal.octets, removal.messages)
        if gone:
            self._around.events.publish(MessagesRemoved(self.account, self.folder, gone))
        return frozenset(removal.failed)

    def _remove_files(self, known: Mapping[str, Entry], uids: frozenset[str]) -> _Removed:
        """By a worker to the last line, as ``_list``."""
        removal = Removal(self._maildir, [known[uid] for uid in uids if uid in known])
        inbox = os.path.join(self._home, "Maildir")
        note_in_maildirsize(self._around.disk, inbox, -removal.octets, -removal.messages)
        gone = uids.difference(removal.failed)
        left = {uid: entry for uid, entry in known.items() if uid not in gone}
        return removal, tuple(gone.intersection(known)), left
