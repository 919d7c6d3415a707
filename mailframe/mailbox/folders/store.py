"""The folders of all accounts of one server: what their sessions share.

One per process, beside the ``MaildirStore`` over the same directory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from mailframe.errors import PermanentFailure
from mailframe.interfaces import IWorkers
from mailframe.mailbox.failures import NO_SUCH_MAILBOX, disk_trouble
from mailframe.mailbox.folders.folders import MaildirFolders
from mailframe.mailbox.folders.naming import Place, domain_of, seen_by
from mailframe.mailbox.folders.rights import effective
from mailframe.mailbox.folders.sharing import Shares
from mailframe.mailbox.folders.tree import FolderTree
from mailframe.mailbox.folders.truths import Truths
from mailframe.mailbox.folders.watchers import Watchers
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.mailbox.index.live import LiveFolders
from mailframe.mailbox.paths import account_directory
from mailframe.mailbox.quota import Quotas
from mailframe.runtime.aio import result_of
from mailframe.runtime.disk import Disk

P = ParamSpec("P")
T = TypeVar("T")


class FolderStore:
    def __init__(
        self,
        base: str,
        disk: Disk,
        workers: IWorkers,
        *,
        live: LiveFolders,
        quotas: Quotas,
        clock: IReactorTime,
        exists: Callable[[str], bool | Awaitable[bool]] = lambda account: True,
        admin: str = "",
    ) -> None:
        """``base``: the directory that holds ``mail``. ``quotas``: the MaildirStore's.
        ``exists`` says to whom a folder may be opened; ``admin`` is the URI of whoever runs
        the server, for METADATA."""
        self.disk = disk
        self.live = live
        self.quotas = quotas
        self.clock = clock
        self.admin = admin
        self.truths = Truths(disk)
        self.shares = Shares(base, disk, lambda directory: self.truths.of(directory).acl)
        self.watchers = Watchers()
        self._base = base
        self._workers = workers
        self._exists = exists
        self._lent: WeakKeyDictionary[IndexedFolder, tuple[str, Place]] = WeakKeyDictionary()
        self._locks: WeakValueDictionary[str, DeferredLock] = WeakValueDictionary()

    def open(self, account: str) -> MaildirFolders:
        """For one session. Nothing is touched yet. Raises PermanentFailure for a name that
        cannot be a mailbox."""
        self.tree(account)
        return MaildirFolders(account, self)

    def tree(self, account: str) -> FolderTree:
        try:
            home = account_directory(self._base, account)
        except ValueError as error:
            raise PermanentFailure(NO_SUCH_MAILBOX, str(error)) from error
        return FolderTree(account, home, self.disk)

    def lock(self, account: str) -> DeferredLock:
        """Held while an account's folders are changed: one change after the other."""
        lock = self._locks.get(account)
        if lock is None:
            lock = self._locks[account] = DeferredLock()
        return lock

    async def exists(self, account: str) -> bool:
        return await result_of(self._exists(account))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """On a worker; trouble with the disk becomes TransientFailure."""
        with disk_trouble(getattr(function, "__qualname__", "folders")):
            result: T = await self._workers.run(partial(function, *args, **kwargs))
        return result

    async def open_folder(
        self, account: str, place: Place, *, name: str, rights: str
    ) -> IndexedFolder:
        """For one session of ``account``. What it may do with somebody else's changes with
        the access list."""
        folder = await self.live.open(place.account, place.folder, name=name, rights=rights)
        if place.account != account:
            self._lent[folder] = account, place
        return folder

    def rights_changed(self, place: Place, acl: Mapping[str, str]) -> None:
        """Who has the folder open is held to the new list from now on."""
        for folder, (account, lent) in list(self._lent.items()):
            if lent == place:
                folder.rights = effective(acl, account)

    def announce(self, place: Place, *lists: Mapping[str, str]) -> None:
        """The folder came, went, or is another. ``lists``: before and after; whoever may see
        it by any of them is told."""
        for account in self._listening(place, lists):
            self.watchers.tell(account, seen_by(account, place))

    def _listening(self, place: Place, lists: Collection[Mapping[str, str]]) -> list[str]:
        return [
            account
            for account in self.watchers.accounts(domain_of(place.account))
            if account == place.account or any("l" in effective(each, account) for each in lists)
        ]
