"""Folders on a real directory, everything on the calling thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused
from mailframe.mailbox import folder_file
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.mailbox.folders.folders import MaildirFolders
from mailframe.mailbox.folders.store import FolderStore
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailbox.house import House

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@other.test"


def now(awaitable: Any) -> Any:
    """The result that must be there already."""
    results: list[Any] = []
    Deferred.fromCoroutine(awaitable).addBoth(results.append)
    assert results, "it is still waiting"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


class Refusal:
    """``with refused("CANNOT"):``"""

    def __init__(self, reason: str) -> None:
        self._reason = FolderReason(reason)

    def __enter__(self) -> None:
        self._raises = pytest.raises(FolderRefused)
        self._info = self._raises.__enter__()

    def __exit__(self, *error: Any) -> bool:
        swallowed = bool(self._raises.__exit__(*error))
        assert self._info.value.reason is self._reason
        return swallowed


def refused(reason: str) -> Refusal:
    return Refusal(reason)


@dataclass(eq=False)
class Opened:
    account: str
    folder: str
    rights: str


class Live:
    """Stands in for the live folders: notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def open(self, account: str, folder: str, *, name: str, rights: str) -> Any:
        self.calls.append(("open", account, folder, name, rights))
        return Opened(account, folder, rights)

    async def status(self, account: str, folder: str) -> Any:
        self.calls.append(("status", account, folder))
        return "status"

    async def forget(self, account: str, folder: str) -> None:
        self.calls.append(("forget", account, folder))

    async def renamed(self, account: str, old: str, new: str) -> None:
        self.calls.append(("renamed", account, old, new))


@dataclass
class FolderHouse:
    base: Path
    disk: Disk = field(default_factory=Disk)
    exists: Callable[[str], Any] = lambda account: True
    quota: Callable[[str], Any] = lambda account: None

    def __post_init__(self) -> None:
        self.mail = House(self.base, quota=self.quota)
        self.clock: Clock = self.mail.clock
        self.use(self.disk)

    def use(self, disk: Disk) -> Disk:
        """Start anew, as after a restart, on this disk."""
        self.live = Live()
        self.store = FolderStore(
            str(self.base),
            disk,
            InlineWorkers(),
            live=self.live,  # type: ignore[arg-type]
            quotas=self.mail.store.quotas,
            clock=self.clock,
            exists=lambda account: self.exists(account),
            admin="mailto:postmaster@example.org",
        )
        return disk

    def of(self, account: str = ANN) -> MaildirFolders:
        return self.store.open(account)

    def maildir(self, account: str = ANN) -> Path:
        local_part, _, domain = account.partition("@")
        return self.base / "mail" / domain / local_part / "Maildir"

    def truth(self, directory: str = "", account: str = ANN) -> FolderTruth:
        truth = folder_file.read(Disk(), str(self.maildir(account) / directory))
        assert truth is not None
        return truth

    def names(self, account: str = ANN) -> list[str]:
        """Of what is there; levels in parentheses."""
        listed = now(self.of(account).all())
        return [info.name if info.exists else f"({info.name})" for info in listed]

    def make(self, *names: str, account: str = ANN) -> None:
        for name in names:
            now(self.of(account).create(name))

    def share(self, name: str, identifier: str, rights: str, account: str = ANN) -> None:
        now(self.of(account).set_acl(name, identifier, rights))

    def heard(self, account: str) -> list[str]:
        """What a session of the account is told from now on."""
        told: list[str] = []
        self.of(account).watch(told.append)
        return told
