"""The indexes of all accounts of a server: each once, and the files of the latest ones open."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakValueDictionary

from mailframe.interfaces import IWorkers
from mailframe.mailbox.index.handle import AccountIndex
from mailframe.mailbox.index.reserve import Reserve
from mailframe.mailbox.paths import account_directory
from mailframe.runtime.disk import Disk


class Indexes:
    """The indexes of all accounts; at most ``most_open`` of the idle ones keep their file."""

    def __init__(self, base: str, disk: Disk, workers: IWorkers, *, most_open: int = 64) -> None:
        self._base = base
        self._disk = disk
        self._workers = workers
        self._most_open = most_open
        self._reserve = Reserve(base, disk)
        self._known: WeakValueDictionary[str, AccountIndex] = WeakValueDictionary()
        self._recent: OrderedDict[str, AccountIndex] = OrderedDict()

    def of(self, account: str) -> AccountIndex:
        """Nothing is touched yet. Raises ValueError for a name that can be no account."""
        index = self._known.get(account)
        if index is None:
            home = account_directory(self._base, account)
            index = self._known[account] = AccountIndex(account, home, self._disk, self._workers)
            index.on_use = self.touch
            index.reserve = self._reserve
        return index

    def touch(self, index: AccountIndex) -> None:
        """It is about to be used."""
        self._recent[index.account] = index
        self._recent.move_to_end(index.account)
        if len(self._recent) <= self._most_open:
            return
        for account, other in list(self._recent.items())[: -self._most_open]:
            if other.is_idle:
                other.rest()
                del self._recent[account]

    def close(self) -> None:
        """Of all accounts; blocks shortly. No job may be under way."""
        for index in list(self._known.values()):
            index.close()
        self._recent.clear()
