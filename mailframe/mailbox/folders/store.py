"""The folders of all accounts of one server: what their sessions share.

One per process, beside the ``MaildirStore`` over the same directory. Each tells the others
which folders it changed, for the sake of sessions that watch; what is on the disk is looked at
whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from mailframe.errors import PermanentFailure
from mailframe.interfaces import IPeers, IWorkers
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
from mailframe.mailbox.paths import account_directory, account_lock
from mailframe.mailbox.quota import Quotas
from mailframe.runtime.aio import result_of
from mailframe.runtime.disk import Disk
from mailframe.runtime.exclusion import exclusive
from mailframe.runtime.peers import Alone

P = ParamSpec("P")
T = TypeVar("T")
_FOLDER, _NAME, _RIGHTS = "folders.folder", "folders.name", "folders.rights"
"""Topics of notes to the other workers."""


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
        peers: IPeers | None = None,
    ) -> None:
        """``base``: the directory that holds ``mail``. ``quotas``: the MaildirStore's.
        ``exists`` says to whom a folder may be opened; ``admin`` is the URI of whoever runs
        the server, for METADATA. ``peers``: the other workers; None: there are none."""
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
        self._peers = peers if peers is not None else Alone("")
        self._peers.hear(_FOLDER, self._heard_of_folder)
        self._peers.hear(_NAME, lambda note, _: self.watchers.tell(*note))
        self._peers.hear(_RIGHTS, self._heard_of_rights)

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
        """Held while an account's folders are changed: in this process one change after the
        other, without a worker for each that waits. ``change`` sees to other processes."""
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

    async def change(
        self, account: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As ``run``, while nobody else changes anything of that account. What decides whether
        the change may be made is looked at in ``function``, too."""
        path = account_lock(self.tree(account).home)

        def alone() -> T:
            with exclusive(self.disk, path):
                return function(*args, **kwargs)

        return await self.run(alone)

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
        self._change_rights(place, acl)
        self._peers.tell(_RIGHTS, [*place, dict(acl)])

    def _change_rights(self, place: Place, acl: Mapping[str, str]) -> None:
        for folder, (account, lent) in list(self._lent.items()):
            if lent == place:
                folder.rights = effective(acl, account)

    def announce(self, place: Place, *lists: Mapping[str, str]) -> None:
        """The folder came, went, or is another. ``lists``: before and after; whoever may see
        it by any of them is told."""
        self._tell(place, lists)
        self._peers.tell(_FOLDER, [*place, [dict(each) for each in lists]])

    def announce_name(self, account: str, name: str) -> None:
        """``account`` subscribed to it, or does not any more."""
        self.watchers.tell(account, name)
        self._peers.tell(_NAME, [account, name])

    def _heard_of_folder(self, note: Any, worker: str) -> None:
        account, folder, lists = note
        self._tell(Place(account, folder), lists)

    def _heard_of_rights(self, note: Any, worker: str) -> None:
        account, folder, acl = note
        self._change_rights(Place(account, folder), acl)

    def _tell(self, place: Place, lists: Collection[Mapping[str, str]]) -> None:
        for account in self._listening(place, lists):
            self.watchers.tell(account, seen_by(account, place))

    def _listening(self, place: Place, lists: Collection[Mapping[str, str]]) -> list[str]:
        return [
            account
            for account in self.watchers.accounts(domain_of(place.account))
            if account == place.account or any("l" in effective(each, account) for each in lists)
        ]
