"""A store on a real directory, everything on the calling thread, and a disk that fails."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from mailframe.core.envelope import Envelope
from mailframe.core.events import MailboxEvent
from mailframe.interfaces import Arrival, MessageInfo
from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.mailbox import MaildirMailbox
from mailframe.mailbox.store import MaildirStore
from mailframe.runtime.disk import Disk, DiskFile, DiskLock
from mailframe.runtime.workers import InlineWorkers

AnyDisk = TypeVar("AnyDisk", bound=Disk)
START = 1_700_000_000.25
ANN = "ann@example.org"


class Source:
    def __init__(self, content: bytes, step: int) -> None:
        self.size = len(content)
        self.closed = False
        self._content = content
        self._step = step

    def read(self, octets: int) -> Deferred[bytes]:
        take = min(octets, self._step)
        chunk, self._content = self._content[:take], self._content[take:]
        return succeed(chunk)

    def close(self) -> None:
        self.closed = True


class Message:
    """A committed message as the queue would hand it over."""

    def __init__(self, content: bytes, *, step: int = 1 << 16) -> None:
        self.queue_id = "0QUEUEID0001"
        self.envelope = Envelope(None)
        self.arrival = Arrival()
        self.arrived = START
        self.size = len(content)
        self.octets: bytes | None = None
        self.sources: list[Source] = []
        self._content = content
        self._step = step

    def open(self) -> Deferred[Any]:
        self.sources.append(Source(self._content, self._step))
        return succeed(self.sources[-1])


class FailingFile(DiskFile):
    def __init__(self, disk: FailingDisk, file: DiskFile) -> None:
        self.path = file.path
        self._disk = disk
        self._file = file

    def write(self, data: bytes) -> None:
        self._disk.count("write")
        self._file.write(data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        self._disk.count("write")
        self._file.write_all(pieces)

    def set_modified(self, seconds: float) -> None:
        self._disk.count("set_modified")
        self._file.set_modified(seconds)

    def begin_sync(self) -> None:
        self._file.begin_sync()

    def sync(self) -> None:
        self._disk.count("sync")
        self._file.sync()

    def close(self) -> None:
        self._file.close()


class FailingDisk(Disk):
    """Fails the calls whose numbers are in ``failing``, before they do anything."""

    def __init__(self, failing: range = range(0), code: int = errno.EIO) -> None:
        self.failing = failing
        self.code = code
        self.calls: list[str] = []

    def count(self, what: str) -> None:
        self.calls.append(what)
        if len(self.calls) - 1 in self.failing:
            raise OSError(self.code, f"planned failure of {what}")

    def create(self, path: str) -> DiskFile:
        self.count("create")
        return FailingFile(self, super().create(path))

    def append(self, path: str) -> DiskFile:
        self.count("append")
        return FailingFile(self, super().append(path))

    def open(self, path: str) -> BinaryIO:
        self.count("open")
        return super().open(path)

    def read(self, path: str) -> bytes:
        self.count("read")
        return super().read(path)

    def read_known(self, path: str, octets: int) -> bytes | None:
        self.count("read")
        return super().read_known(path, octets)

    def lock(self, path: str) -> DiskLock | None:
        self.count("lock")
        return super().lock(path)

    def rename(self, source: str, target: str) -> None:
        self.count("rename")
        super().rename(source, target)

    def unlink(self, path: str) -> None:
        self.count("unlink")
        super().unlink(path)

    def sync_directory(self, path: str) -> None:
        self.count("sync_directory")
        super().sync_directory(path)

    def scan(self, path: str) -> Iterator[Any]:
        self.count("scan")
        return super().scan(path)


@dataclass
class House:
    """A store with everything around it."""

    base: Path
    disk: Disk = field(default_factory=Disk)
    clock: Clock = field(default_factory=Clock)
    rung: list[MailboxEvent] = field(default_factory=list)
    exists: Callable[[str], Any] = lambda account: True
    quota: Callable[[str], Any] = lambda account: None
    hostname: str = "mx.example.org"

    def __post_init__(self) -> None:
        self.clock.advance(START)
        self.use(self.disk)

    def use(self, disk: AnyDisk) -> AnyDisk:
        """Start anew, as after a restart, on this disk."""
        self.disk = disk
        events = MailboxEvents()
        events.subscribe(self.rung.append)
        self.store = MaildirStore(
            str(self.base),
            self.disk,
            InlineWorkers(),
            events=events,
            clock=self.clock,
            hostname=self.hostname,
            exists=lambda account: self.exists(account),
            quota=lambda account: self.quota(account),
        )
        return disk

    @property
    def maildir(self) -> Path:
        return self.base / "mail" / "example.org" / "ann" / "Maildir"

    def deliver(
        self,
        content: bytes,
        token: str = "Q1/ann@example.org",
        *,
        folder: str = "",
        prefix: bytes = b"",
        repeats: bool = False,
        account: str = ANN,
        **how: Any,
    ) -> MessageInfo:
        message = Message(content, **how)
        return done(self.store.deliver(account, folder, message, prefix, token, repeats))

    def inbox(self, folder: str = "") -> MaildirMailbox:
        return self.store.mailbox(ANN, folder)

    def contents(self, folder: str = "") -> list[bytes]:
        mailbox = self.inbox(folder)
        return [fetch(mailbox, info.uid) for info in done(mailbox.messages())]

    def files(self, pattern: str = "*/*") -> list[str]:
        return sorted(str(p.relative_to(self.maildir)) for p in self.maildir.glob(pattern))


def done(deferred: Deferred[Any]) -> Any:
    """The result that must be there already."""
    results: list[Any] = []
    failures: list[Any] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "the Deferred has not fired"
    return results[0]


def fetch(mailbox: MaildirMailbox, uid: str, step: int = 1 << 16) -> bytes:
    source = done(mailbox.open(uid))
    content = b""
    while chunk := done(source.read(step)):
        assert len(chunk) <= step
        content += chunk
    source.close()
    return content
