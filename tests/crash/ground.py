"""Disks to begin on: everything made, everything durable, made once a process."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from mailframe.runtime.disk import Disk
from mailframe.testing.disk import SimDisk
from tests.crash.letters import Letter
from tests.crash.rooms import ACCOUNTS, ANN, BASE, Rooms, now

OLD = tuple(Letter(f"old{number}") for number in range(4))


def settle(disk: SimDisk) -> SimDisk:
    """The same, with all of it durable and nothing done yet."""
    _sync_below(disk, "/")
    return disk.snapshot()


def _sync_below(disk: Disk, path: str) -> None:
    disk.sync_directory(path)
    for entry in list(disk.scan(path)):
        if entry.is_dir(follow_symlinks=False):
            _sync_below(disk, entry.path)
        else:
            file = disk.append(entry.path)
            file.sync()
            file.close()


@functools.cache
def _made(make: Callable[[Rooms], None]) -> SimDisk:
    disk = SimDisk()
    disk.make_directories(BASE)
    rooms = Rooms(disk)
    make(rooms)
    rooms.close()
    return settle(disk)


def empty() -> SimDisk:
    """A server that has never run."""
    disk = SimDisk()
    disk.make_directories(BASE)
    return settle(disk)


def _with_a_queue(rooms: Rooms) -> None:
    rooms.start()


def with_a_queue() -> SimDisk:
    """A server that has run and has nothing."""
    return _made(_with_a_queue).snapshot()


def _with_mail(rooms: Rooms) -> None:
    rooms.start()
    for letter in OLD:
        rooms.accept(letter, ANN, sender=None)
        rooms.run()
    for account in ACCOUNTS[:1]:
        folders = rooms.folders(account)
        for name in ("Work", "Work/Old", "Junk"):
            now(folders.create(name))
        for info in now(folders.all()):
            folder = now(folders.folder(info.name))
            now(folder.claim_recent())


def with_mail() -> SimDisk:
    """Ann has ``OLD`` in her INBOX and three folders, all of them opened once."""
    return _made(_with_mail).snapshot()


def path_of(account: str) -> str:
    local_part, _, domain = account.partition("@")
    return os.path.join(BASE, "mail", domain, local_part)
