"""Power cuts while a backup is made, pruned or restored: it is whole, or it is none.

Every change that reaches the disk is a place to stop; of each some of the states that a power
cut may leave there are looked at.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from mailframe.app.backups.layout import DATABASES
from mailframe.app.backups.restoring import restore_base
from mailframe.app.backups.taking import take_backup
from mailframe.backup.checking import check_set
from mailframe.backup.files import walk
from mailframe.backup.manifest import Total
from mailframe.backup.sets import BackupSets
from mailframe.backup.unfinished import is_unfinished
from mailframe.mailbox.folder_file import replace_file
from mailframe.mailbox.maildir import Maildir
from mailframe.queue.schema import MIGRATIONS as QUEUE
from mailframe.runtime.database import Database
from mailframe.testing.disk import SimDisk

NOW = 1_795_646_400.0
_STATES = 3
_STATES_AT_END = 40


def prepared() -> SimDisk:
    """A base with mail, durable."""
    disk = SimDisk(seed=1)
    for file in DATABASES[:2]:
        disk.make_directories(f"/base/{file.path}".rpartition("/")[0])
        database = Database(f"/base/{file.path}", file.migrations, None, disk=disk)
        database.open()
        database.close()
    maildir = "/base/mail/a.test/ann/Maildir"
    Maildir(maildir, disk).ensure()
    disk.make_directories("/base/queue/bodies")
    for number in range(3):
        file_ = disk.create(f"{maildir}/new/{number}.M1.h")
        file_.write(b"Subject: %d\n\nbody\n" % number)
        file_.sync()
        file_.close()
    disk.sync_directory(f"{maildir}/new")
    disk.make_directories("/base/tls")
    for path in (f"{maildir}/subscriptions", "/base/tls/key.pem"):
        replace_file(disk, path, b"small\n")
    return disk


def back_up(disk: SimDisk, now: float = NOW, keep: int = 0) -> str:
    clock = itertools.count(int(now))
    taken = take_backup("/base", "/backups", disk=disk, clock=lambda: float(next(clock)), keep=keep)
    assert taken.warnings == []
    return taken.path


def crashes(disk: SimDisk, work: Callable[[SimDisk], object], end: int = 0) -> list[SimDisk]:
    """What may be found after a power cut, at any moment of the work, and after it; more of it
    for the last ``end`` changes."""
    disk.forget()
    first = disk.count
    work(disk)
    chance = random.Random(1)
    return [
        state.disk()
        for at in range(first, disk.count + 1)
        for state in disk.crash_states(
            at, _STATES if at < disk.count - end else _STATES_AT_END, chance
        )
    ]


def test_a_backup_is_whole_whenever_it_is_there() -> None:
    disk = prepared()
    back_up(disk)
    found = crashes(disk, lambda d: back_up(d, NOW + 100, keep=1))
    assert len(found) > 200
    numbers = set()
    for after in found:
        sets = BackupSets("/backups", after)
        names = sets.names()
        numbers.add(len(names))
        for name in names:
            assert list(check_set(after, sets.path(name), Total())) == []
    assert numbers == {1, 2}  # never without one


def test_a_backup_that_is_removed_is_whole_or_gone() -> None:
    disk = prepared()
    for number in range(2):
        back_up(disk, NOW + 100 * number)
    found = crashes(disk, lambda d: BackupSets("/backups", d).prune(1), end=100)
    for after in found:
        sets = BackupSets("/backups", after)
        for name in sets.names():
            assert list(check_set(after, sets.path(name), Total())) == []


def test_what_a_crash_left_is_swept_by_the_next() -> None:
    found = crashes(prepared(), back_up)
    for after in random.Random(2).sample(found, 12):
        back_up(after, NOW + 100)
        names = sorted(entry.name for entry in after.scan("/backups"))
        assert not [name for name in names if name.endswith(".partial")]


def test_a_restore_is_whole_or_known_for_unfinished() -> None:
    disk = prepared()
    source = back_up(disk)
    wanted = {f.path for f in walk(disk, f"{source}/base")}
    same = {f.path for f in walk(disk, f"{source}/base") if f.is_file} - {"queue/spool.db"}
    found = crashes(disk, lambda d: restore_base(source, "/new", disk=d, now=NOW), end=12)
    assert len(found) > 100
    done = 0
    for after in found:
        if not after.exists("/new") or is_unfinished(after, "/new"):
            continue
        there = {f.path for f in walk(after, "/new")}
        assert there in (set(), wanted)
        done += bool(there)
        if there:
            for path in same:
                assert after.read(f"/new/{path}") == after.read(f"{source}/base/{path}")
            Database("/new/queue/spool.db", QUEUE, None, disk=after).open()
    assert done
