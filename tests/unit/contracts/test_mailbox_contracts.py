"""Our mailboxes and folders keep the contracts that others' must keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.index.live import LiveFolders
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from mailframe.testing.contracts import FolderContract, FoldersContract, MailboxContract
from tests.unit.mailbox.folders.house import FolderHouse
from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed, append


def live_folders(base: Path, house: FolderHouse) -> LiveFolders:
    return LiveFolders(
        str(base),
        Disk(),
        InlineWorkers(),
        events=MailboxEvents(),
        clock=house.clock,
        quotas=house.mail.store.quotas,
        salt=b"test",
        hostname="mx.example.org",
    )


class TestMaildir(MailboxContract):
    @pytest.fixture(autouse=True)
    def _house(self, tmp_path: Path) -> None:
        self.house = House(tmp_path)

    def make(self, contents: Sequence[bytes]) -> Any:
        for number, content in enumerate(contents):
            self.house.clock.advance(1)
            self.house.deliver(content, f"Q{number}/ann@example.org")
        return self.house.inbox()

    def another(self, mailbox: Any) -> Any:
        return self.house.inbox()


class TestMaildirFolder(FolderContract):
    @pytest.fixture(autouse=True)
    def _indexed(self, tmp_path: Path) -> None:
        self.indexed = Indexed(House(tmp_path))

    def make(self, contents: Sequence[bytes]) -> Any:
        folder = self.indexed.folder()
        if contents:
            append(folder, *contents)
        return folder

    def another(self, folder: Any) -> Any:
        return self.indexed.folder()


class UnderTrial(MailboxContract, SynchronousTestCase):
    """The same under trial's test case."""

    def make(self, contents: Sequence[bytes]) -> Any:
        base = TemporaryDirectory()
        self.addCleanup(base.cleanup)
        house = House(Path(base.name))
        for number, content in enumerate(contents):
            house.clock.advance(1)
            house.deliver(content, f"Q{number}/ann@example.org")
        return house.inbox()


class TestMaildirFolders(FoldersContract):
    @pytest.fixture(autouse=True)
    def _live(self, tmp_path: Path) -> Any:
        self.folders_of = FolderHouse(tmp_path)
        self.folders_of.store.live = live_folders(tmp_path, self.folders_of)
        yield
        self.folders_of.store.live.stop()

    def make(self) -> Any:
        return self.folders_of.of()
