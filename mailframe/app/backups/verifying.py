"""Is the live base sound? Every database, queued body, mailbox; beside a running server.

Nothing is changed. What is wrong with mailboxes ``mailbox.fsck`` finds, and can mend.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailframe.app.backups import layout
from mailframe.backup.files import digest_of
from mailframe.backup.unfinished import is_unfinished
from mailframe.mailbox.fsck.account import AccountLook
from mailframe.mailbox.tree import inboxes
from mailframe.queue.verification import queue_faults
from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import faults_of

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LiveFault:
    kind: str
    path: str
    text: str


class Verification:
    """``read``: every octet of every message, else only sizes."""

    def __init__(self, base: str, disk: Disk, clock: Callable[[], float], *, read: bool) -> None:
        self._base = base
        self._disk = disk
        self._clock = clock
        self._read = read
        self._databases = self._queued = self._accounts = self._messages = 0

    def counts(self) -> dict[str, int]:
        """What was looked at."""
        return {
            "databases": self._databases,
            "queued": self._queued,
            "accounts": self._accounts,
            "messages": self._messages,
        }

    def faults(self) -> Iterator[LiveFault]:
        """Raises OSError where the base itself cannot be read."""
        self._disk.status(self._base)
        if is_unfinished(self._disk, self._base):
            yield LiveFault("restore", self._base, "a restore was cut off: repeat it")
        for file in layout.DATABASES:
            yield from self._database(file)
        yield from self._queue()
        yield from self._mail()

    def _database(self, file: layout.StateFile) -> Iterator[LiveFault]:
        path = os.path.join(self._base, file.path)
        if not self._disk.exists(path):
            return  # it is made at the start
        self._databases += 1
        for what in faults_of(self._disk, path, len(file.migrations)):
            yield LiveFault("database", path, what)

    def _queue(self) -> Iterator[LiveFault]:
        path = os.path.join(self._base, layout.SPOOL.path)
        if not self._disk.exists(path):
            return
        try:
            connection = self._disk.connect(path, timeout=_SECONDS)
            try:
                count = "SELECT count(*) FROM message"
                self._queued = connection.execute(count).fetchone()[0]
                for queue_id, what in queue_faults(connection, self._body_size):
                    yield LiveFault("queue", queue_id, what)
            finally:
                connection.close()
        except sqlite3.Error as error:
            yield LiveFault("database", path, str(error))

    def _body_size(self, queue_id: str) -> int | None:
        path = os.path.join(self._base, layout.BODIES, queue_id)
        try:
            if self._read:
                return digest_of(self._disk, path)[0]
            return self._disk.status(path).st_size
        except OSError:
            return None

    def _mail(self) -> Iterator[LiveFault]:
        for account, inbox in inboxes(self._base, self._disk):
            self._accounts += 1
            home = os.path.dirname(inbox.path)
            look = AccountLook(account, home, self._disk, read=self._read, now=self._clock())
            for fault in look.faults():
                yield LiveFault(fault.kind.value, fault.path, fault.text)
            self._messages += look.messages
