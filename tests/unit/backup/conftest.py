"""A base with mail, as small as can be, and a clock that says what it is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from mailframe.app.backups.layout import DATABASES
from mailframe.app.backups.taking import Taken, take_backup
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.resolution import Local
from mailframe.interfaces import Arrival
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import key_of, new_name, with_sizes
from mailframe.queue.records import Message, NewMessage, new_messages
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk

NOW = 1_795_646_400.0
numbers = itertools.count(1)


class House:
    """What a server would leave below ``base``."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.disk = disk or Disk()
        self.base = path / "base"
        self.target = path / "backups"
        self.now = NOW
        for file in DATABASES[:2]:
            self.disk.make_directories(str((self.base / file.path).parent))
            database = Database(str(self.base / file.path), file.migrations, None)
            database.open()
            database.close()
        self.disk.make_directories(str(self.base / "queue" / "bodies"))

    def clock(self) -> float:
        self.now += 1
        return self.now

    def maildir(self, user: str = "ann", folder: str = "") -> Path:
        path = self.base / "mail" / "a.test" / user / "Maildir"
        path = path / f".{folder}" if folder else path
        Maildir(str(path), self.disk).ensure()
        return path

    def deliver(
        self, text: bytes = b"Subject: x\n\nx\n", user: str = "ann", folder: str = "",
        token: str = "", flags: str | None = None,
    ) -> Path:  # fmt: skip
        number = next(numbers)
        name = new_name(NOW + number, number, key_of(token or f"t{number}"), "h.test")
        name = with_sizes(name, len(text), len(text) + text.count(b"\n"))
        where = "new" if flags is None else "cur"
        path = (
            self.maildir(user, folder) / where / (name + ("" if flags is None else f":2,{flags}"))
        )
        path.write_bytes(text)
        path.chmod(0o600)
        return path

    def queue(self, queue_id: str, *recipients: str, body: bytes | None = None) -> None:
        """Local for a.test; ``body`` goes to a file of its own."""
        message = Message(
            queue_id, NOW, 5 if body is None else len(body), b"", body is not None,
            Envelope(None, ()), Arrival("s", "127.0.0.1", "h", "", "ESMTP", f"<{queue_id}@a>"),
        )  # fmt: skip
        people = [self._recipient(text) for text in recipients]
        if body is not None:
            path = self.base / "queue" / "bodies" / queue_id
            path.write_bytes(body)
            path.chmod(0o600)
        with_content = None if body is not None else b"inner"
        new = NewMessage(message, with_content, people)
        self.alter(lambda c: new_messages(c, [new], ""))

    def _recipient(self, text: str) -> Recipient:
        local, _, domain = text.partition("@")
        mailbox = Local(text) if domain == "a.test" else None
        return Recipient(Address(local, domain), mailbox=mailbox)

    def alter(self, job: Callable[..., object]) -> None:
        spool = next(file for file in DATABASES if file.path == "queue/spool.db")
        database = Database(str(self.base / spool.path), spool.migrations, None)
        database.open()
        fired(database.write(job))
        database.close()

    def back_up(self, keep: int = 0) -> Taken:
        return take_backup(
            str(self.base), str(self.target), disk=self.disk, clock=self.clock, keep=keep
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
