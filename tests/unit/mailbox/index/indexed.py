"""Live folders over real directories, everything at once on the calling thread."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mailframe.core.folders import AppendOutcome, FlagChange, FlagMode, FolderChange, NewMessage
from mailframe.mailbox import folder_file
from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.mailbox.index.live import LiveFolders
from mailframe.mailbox.maildir import Maildir
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailbox.house import ANN, House, done

_PROCESSES = itertools.count()


def now(coroutine: Any) -> Any:
    """The result of what must be done already."""
    return done(Deferred.fromCoroutine(coroutine))


@dataclass
class Indexed:
    """A server's live folders; ``restart`` is what a crash or a stop leaves behind."""

    house: House
    told: list[FolderChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, house: House | None = None) -> None:
        if house is None:
            self.house.clock.advance(1)
            self.house.use(self.house.disk)
        around = self.house.store._around
        self.events: MailboxEvents = around.events  # type: ignore[assignment]
        self.live = LiveFolders(
            str(self.house.base),
            self.house.disk,
            InlineWorkers(),
            events=around.events,
            clock=self.house.clock,
            quotas=around.quotas,
            salt=b"%d %d" % (os.getpid(), next(_PROCESSES)),  # as after a restart, each time
            hostname="mx.example.org",
        )

    def folder(self, folder: str = "INBOX", account: str = ANN) -> IndexedFolder:
        opened: IndexedFolder = now(
            self.live.open(account, folder, name=folder, rights="lrswipkxtea")
        )
        now(opened.refresh())
        return opened

    def make(self, name: str) -> Path:
        path = self.house.maildir / ("." + name.replace("/", "."))
        Maildir(str(path), self.house.disk).ensure()
        home = str(self.house.maildir.parent)
        folder_file.create(self.house.disk, home, str(path), ANN, self.house.clock.seconds())
        return path


def append(
    folder: IndexedFolder,
    *contents: bytes,
    flags: Iterable[str] = (),
    received: float | None = None,
) -> AppendOutcome:
    appending = folder.receive()
    for content in contents:
        now(appending.begin(NewMessage(frozenset(flags), received), len(content)))
        now(appending.write(content))
    outcome: AppendOutcome = now(appending.commit())
    return outcome


def add(*flags: str) -> FlagChange:
    return FlagChange(FlagMode.ADD, frozenset(flags))


def remove(*flags: str) -> FlagChange:
    return FlagChange(FlagMode.REMOVE, frozenset(flags))


def replace(*flags: str) -> FlagChange:
    return FlagChange(FlagMode.REPLACE, frozenset(flags))
