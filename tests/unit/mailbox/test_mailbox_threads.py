"""Deliveries, listings and removals at once, on real threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import Clock

from mailframe.interfaces import MessageInfo
from mailframe.mailbox import mailbox
from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.quota import Quota
from mailframe.mailbox.store import MaildirStore
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import Workers
from tests.unit.mailbox.house import ANN, START, FailingDisk, Message
from tests.unit.runtime.loops import Loop


class Threads:
    def __init__(self, base: Path) -> None:
        self.loop = Loop()
        self.clock = Clock()
        self.clock.advance(START)
        self.workers = Workers("disk", 4, 1000, self.loop)
        self.workers.start()
        self.base = base

    def store(self, disk: Disk, quota: Quota | None = None) -> MaildirStore:
        return MaildirStore(
            str(self.base),
            disk,
            self.workers,
            events=MailboxEvents(),
            clock=self.clock,
            hostname="mx.example.org",
            quota=lambda account: quota,
        )


@pytest.fixture
def threads(tmp_path: Path) -> Iterator[Threads]:
    threads = Threads(tmp_path)
    yield threads
    threads.workers.stop()


def test_many_at_once_share_their_directory_syncs(threads: Threads) -> None:
    disk = FailingDisk()
    store = threads.store(disk)
    contents = [b"%d\r\n" % number * (1 + number * 2000) for number in range(100)]
    results = [
        store.deliver(ANN, "", Message(content), b"", f"T{number}", False)
        for number, content in enumerate(contents)
    ]
    infos = threads.loop.result(gatherResults(results))
    assert [info.size for info in infos] == [len(content) for content in contents]
    assert disk.calls.count("sync") == 100
    assert disk.calls.count("sync_directory") < 60
    listed = threads.loop.result(store.mailbox(ANN).messages())
    assert sorted(info.uid for info in listed) == sorted(info.uid for info in infos)


def test_all_of_a_listing_is_made_by_a_worker(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hundred thousand messages it is a fifth of a second of work."""
    makers = set()

    def noting(*facts: Any) -> MessageInfo:
        makers.add(threading.current_thread())
        return MessageInfo(*facts)

    store = threads.store(Disk())
    threads.loop.result(store.deliver(ANN, "", Message(b"x\r\n"), b"", "T1", False))
    monkeypatch.setattr(mailbox, "MessageInfo", noting)
    assert len(threads.loop.result(store.mailbox(ANN).messages())) == 1
    assert len(makers) == 1
    assert threads.loop.thread not in makers


def test_one_that_fails_does_not_fail_those_beside_it(threads: Threads) -> None:
    class PickyDisk(Disk):
        def rename(self, source: str, target: str) -> None:
            if ",S=14," in target:
                raise OSError(5, "planned")
            super().rename(source, target)

    store = threads.store(PickyDisk())
    results = [
        store.deliver(ANN, "", Message(b"x" * number + b"\r\n"), b"", f"T{number}", False)
        for number in range(40)
    ]
    outcomes = threads.loop.result(DeferredList(results, consumeErrors=True))
    assert [good for good, _ in outcomes] == [number != 13 for number in range(40)]
    assert len(threads.loop.result(store.mailbox(ANN).messages())) == 39
    assert list(threads.base.rglob("tmp/*")) == []


def test_at_once_they_cannot_overfill_the_quota(threads: Threads) -> None:
    store = threads.store(Disk(), Quota(messages=10))
    results = [
        store.deliver(ANN, "", Message(b"x\r\n"), b"", f"T{number}", False) for number in range(30)
    ]
    outcomes = threads.loop.result(DeferredList(results, consumeErrors=True))
    assert sum(good for good, _ in outcomes) == 10
    assert len(threads.loop.result(store.mailbox(ANN).messages())) == 10


def test_the_same_delivery_twice_at_once_is_one_message(threads: Threads) -> None:
    store = threads.store(Disk())
    results = [store.deliver(ANN, "", Message(b"x\r\n"), b"", "T", True) for _ in range(8)]
    outcomes = threads.loop.result(DeferredList(results, consumeErrors=True))
    assert any(good for good, _ in outcomes)
    assert len(threads.loop.result(store.mailbox(ANN).messages())) == 1


def test_a_source_closed_while_it_is_read(threads: Threads) -> None:
    store = threads.store(Disk())
    info = threads.loop.result(store.deliver(ANN, "", Message(b"x" * 500_000), b"", "T", False))
    source = threads.loop.result(store.mailbox(ANN).open(info.uid))
    reading = source.read(1 << 16)
    source.close()
    assert len(threads.loop.result(reading)) == 1 << 16
    assert source._file.closed
