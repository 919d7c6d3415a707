"""Another process on the account of the tests, run as a program: ``python -m ... BASE TASK``.

``stop-append N`` and ``stop-move N``: begins the operation and stops for ever, with all that it
holds, before the Nth rename; says ``stopped`` then. ``busy SEED STEPS``: does this and that, and
says at the end, as JSON, which uids it was told and what it sees.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from mailframe.core.folders import FolderChange
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed, add, append, now, remove

NAMES = ("INBOX", "Work")


class StoppingDisk(Disk):
    """Comes to a stop before one of the renames into cur/."""

    left = -1

    def rename(self, source: str, target: str) -> None:
        if "/cur/" in target:
            self.left -= 1
            if self.left == 0:
                say("stopped")
                sys.stdin.read()
        super().rename(source, target)


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def stop(base: Path, moves: bool, number: int) -> None:
    disk = StoppingDisk()
    process = Indexed(House(base, disk))
    inbox, work = process.folder(), process.folder("Work")
    disk.left = number
    if moves:
        now(inbox.move(sorted(inbox.messages), work))
    else:
        append(inbox, *(b"of the other %d\r\n" % part for part in range(3)))
    say("done")


class Client:
    """Knows what it is told."""

    def __init__(self, folder: IndexedFolder) -> None:
        self.folder = folder
        self.known = dict(folder.messages)
        folder.subscribe(self._told)

    def _told(self, change: FolderChange) -> None:
        assert list(change.arrived) == sorted(change.arrived)
        assert not self.known.keys() & set(change.arrived)
        for uid in (*change.arrived, *change.changed):
            self.known[uid] = self.folder.messages[uid]
        for uid in change.vanished:
            del self.known[uid]


class Busy:
    def __init__(self, base: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.process = Indexed(House(base))
        self.clients = {name: Client(self.process.folder(name)) for name in NAMES}
        self.told: dict[str, dict[int, str]] = {name: {} for name in NAMES}
        self.number = 0
        self.modseqs = dict.fromkeys(NAMES, 0)

    def step(self) -> None:
        name, other = self.random.sample(NAMES, 2)
        folder, target = self.clients[name].folder, self.clients[other].folder
        uids = sorted(self.random.sample(sorted(folder.messages), min(3, len(folder.messages))))
        do = self.random.choice(("append", "append", "store", "expunge", "copy", "move", "look"))
        if do == "append":
            self._append(name, folder)
        elif do == "store":
            change = self.random.choice((add, remove))
            now(folder.store(uids, change(self.random.choice(("\\Seen", "$Work", "\\Flagged")))))
        elif do == "expunge":
            now(folder.expunge(uids[:2]))
        elif do in ("copy", "move"):
            before = now(folder.contents(uids))
            done = now(getattr(folder, do)(uids, target))
            for uid, new in zip(done.sources, done.targets, strict=True):
                self.told[other][new] = before[uid].decode()
        else:
            now(folder.refresh())
        assert folder.highest_modseq >= self.modseqs[name]
        self.modseqs[name] = folder.highest_modseq

    def _append(self, name: str, folder: IndexedFolder) -> None:
        contents = []
        for _ in range(self.random.randrange(1, 4)):
            self.number += 1
            contents.append(f"{self.seed} {self.number}\r\n")
        outcome = append(folder, *map(str.encode, contents))
        self.told[name].update(zip(outcome.uids, contents, strict=True))

    def look(self) -> dict[str, Any]:
        for client in self.clients.values():
            now(client.folder.refresh())
            assert client.known == client.folder.messages, "something changed untold"
        return {name: seen(client.folder) for name, client in self.clients.items()}


def seen(folder: IndexedFolder) -> dict[str, Any]:
    contents = now(folder.contents(list(folder.messages)))
    return {
        "messages": {
            str(uid): [sorted(state.flags), state.modseq, contents[uid].decode()]
            for uid, state in folder.messages.items()
        },
        "next": folder.uid_next,
        "validity": folder.uid_validity,
        "modseq": folder.highest_modseq,
    }


def main(base: str, task: str, number: str, steps: str = "0") -> None:
    if task == "busy":
        busy = Busy(Path(base), int(number))
        say("ready")
        sys.stdin.readline()
        for _ in range(int(steps)):
            busy.step()
        say(json.dumps(busy.told))
        sys.stdin.readline()
        say(json.dumps(busy.look()))
    else:
        stop(Path(base), task == "stop-move", int(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
