"""Every call to the disk fails in turn, and every step is the last before a crash: nothing is
lost, no uid is used twice, and the index comes back to what the files say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailframe.core.folders import FolderChange
from mailframe.errors import MessageGone, TransientFailure
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.house import FailingDisk, House
from tests.unit.mailbox.index.indexed import Indexed, add, append, now

CONTENTS = {1: b"one\r\n", 2: b"two\r\n", 3: b"three\r\n"}


class Died(BaseException):
    """The process is gone: nothing that follows is done."""


class DyingDisk(FailingDisk):
    """From call number ``failing`` on nothing reaches the disk."""

    def count(self, what: str) -> None:
        self.calls.append(what)
        if self.failing and len(self.calls) > self.failing.start:
            raise Died(what)

    def link(self, source: str, target: str) -> None:
        self.count("link")
        Disk.link(self, source, target)


class LinkingDisk(FailingDisk):
    def link(self, source: str, target: str) -> None:
        self.count("link")
        Disk.link(self, source, target)


def append_two(inbox: IndexedFolder, work: IndexedFolder) -> object:
    return append(inbox, b"four\r\n", b"five\r\n", flags=["\\Seen", "$New"])


def append_one(inbox: IndexedFolder, work: IndexedFolder) -> object:
    return append(inbox, b"four\r\n")


def store(inbox: IndexedFolder, work: IndexedFolder) -> object:
    return now(inbox.store([1, 2, 3], add("\\Seen", "$Other")))


def expunge(inbox: IndexedFolder, work: IndexedFolder) -> object:
    return now(inbox.expunge([1, 3]))


def copy(inbox: IndexedFolder, work: IndexedFolder) -> object:
    return now(inbox.copy([1, 2, 3], work))


def move(inbox: IndexedFolder, work: IndexedFolder) -> object:
    return now(inbox.move([1, 2, 3], work))


OPERATIONS = [append_one, append_two, store, expunge, copy, move]


def prepared(path: Path, disk: Disk) -> tuple[Indexed, IndexedFolder, IndexedFolder]:
    indexed = Indexed(House(path))
    indexed.make("Work")
    append(indexed.folder(), *CONTENTS.values())
    append(indexed.folder("Work"), b"old\r\n")
    now(_stop(indexed))
    indexed.house.use(disk)
    indexed.restart(indexed.house)
    return indexed, indexed.folder(), indexed.folder("Work")


async def _stop(indexed: Indexed) -> None:
    await indexed.live.stop()


def contents(folder: IndexedFolder) -> dict[int, bytes]:
    return dict(now(folder.contents(list(folder.messages))))


def check(operation: Any, inbox: IndexedFolder, work: IndexedFolder, whole: bool) -> None:
    """What may be seen after ``operation`` broke off somewhere."""
    here, there = contents(inbox), contents(work)
    both = sorted([*here.values(), *there.values()])
    old = sorted([*CONTENTS.values(), b"old\r\n"])
    if operation is append_one:
        assert both in (old, sorted([*old, b"four\r\n"]))
    elif operation is append_two:
        assert both in ([old] if not whole else [sorted([*old, b"four\r\n", b"five\r\n"])])
    elif operation is store:
        assert here == CONTENTS
    elif operation is expunge:
        assert set(here) >= {2}
        assert all(CONTENTS[uid] == content for uid, content in here.items())
    elif operation is copy:
        assert here == CONTENTS
        assert both == (sorted([*old, *CONTENTS.values()]) if whole else old)
    elif operation is move:
        assert both == old, "each message in exactly one of the two"
        assert all(CONTENTS[uid] == content for uid, content in here.items())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_call_fails(tmp_path: Path, operation: Callable[..., object]) -> None:
    indexed, inbox, work = prepared(tmp_path / "rehearsal", disk := LinkingDisk())
    disk.calls.clear()
    operation(inbox, work)
    number = len(disk.calls)
    assert number >= 3
    failed = 0
    for failing in range(number):
        indexed, inbox, work = prepared(tmp_path / str(failing), disk := LinkingDisk())
        disk.calls.clear()
        disk.failing = range(failing, failing + 1)
        known = dict(inbox.messages)

        def told(change: FolderChange, known: Any = known, inbox: IndexedFolder = inbox) -> None:
            for uid in (*change.arrived, *change.changed):
                known[uid] = inbox.messages[uid]
            for uid in change.vanished:
                del known[uid]

        inbox.subscribe(told)
        whole = True
        try:
            outcome = operation(inbox, work)
            # EXPUNGE says which are gone, and raises nothing
            failed += operation is expunge and outcome != [1, 3]
        except (TransientFailure, MessageGone):
            failed += 1
            whole = False
        disk.failing = range(0)
        now(inbox.refresh())
        now(work.refresh())
        assert known == dict(inbox.messages)
        check(operation, inbox, work, whole)
        before = dict(inbox.messages)
        now(_stop(indexed))
        indexed.restart()
        again = indexed.folder()
        assert again.uid_validity == inbox.uid_validity
        assert dict(again.messages) == before
        operation(again, indexed.folder("Work"))
    assert failed


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_crash_after_each_call(tmp_path: Path, operation: Callable[..., object]) -> None:
    indexed, inbox, work = prepared(tmp_path / "rehearsal", disk := DyingDisk())
    disk.calls.clear()
    operation(inbox, work)
    for last in range(1, len(disk.calls)):
        indexed, inbox, work = prepared(tmp_path / str(last), dying := DyingDisk())
        following = inbox.uid_next
        dying.calls.clear()
        dying.failing = range(last, 10_000)
        with pytest.raises(Died):
            operation(inbox, work)
        indexed.live.indexes.close()  # rolls back, as the next to open it would
        validity = inbox.uid_validity
        indexed.house.disk = Disk()
        indexed.restart()
        inbox, work = indexed.folder(), indexed.folder("Work")
        assert inbox.uid_validity == validity
        for uid, content in contents(inbox).items():
            assert uid >= following or CONTENTS[uid] == content
        check(operation, inbox, work, whole=False)
