"""Two processes change one account's folders: none loses what the other did, and both tell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.folders.store import FolderStore
from mailframe.mailbox.index.live import LiveFolders
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from mailframe.testing.peers import Bus
from tests.unit.mailbox.folders.house import ANN, BOB, FolderHouse, now, refused
from tests.unit.mailbox.index.indexed import add

ROOT = Path(__file__).resolve().parents[4]


class Worker(FolderHouse):
    """With the real index, and peers."""

    def join(self, bus: Bus, name: str) -> Worker:
        peers = bus.join(name)
        live = LiveFolders(
            str(self.base),
            Disk(),
            InlineWorkers(),
            events=MailboxEvents(peers),
            clock=self.clock,
            quotas=self.mail.store.quotas,
            salt=name.encode(),
            hostname="mx.example.org",
            peers=peers,
        )
        self.store = FolderStore(
            str(self.base), Disk(), InlineWorkers(), live=live,
            quotas=self.mail.store.quotas, clock=self.clock, peers=peers,
        )  # fmt: skip
        return self


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Worker]]:
    bus = Bus()
    houses = [Worker(tmp_path).join(bus, name) for name in ("one", "two")]
    yield houses
    for house in houses:
        house.store.live.stop()


def names(house: Worker, account: str = ANN) -> list[str]:
    return [info.name for info in now(house.of(account).all())]


def opened(house: Worker, name: str) -> Any:
    folder = now(house.of().folder(name))
    now(folder.refresh())
    return folder


def test_create_rename_and_delete_are_seen(workers: list[Worker]) -> None:
    one, two = workers
    seen: list[str] = []
    two.of().watch(seen.append)
    now(one.of().create("Work/Plans"))
    now(one.of().rename("Work", "Done"))
    now(one.of().delete("Done/Plans"))
    assert names(two) == ["Done", "INBOX"]
    assert seen == ["Work", "Work/Plans", "Work", "Done", "Work/Plans", "Done/Plans", "Done/Plans"]
    with refused("ALREADYEXISTS"):
        now(two.of().create("Done"))


def test_a_selected_folder_is_renamed_by_the_other(workers: list[Worker]) -> None:
    one, two = workers
    now(one.of().create("Work"))
    one.mail.deliver(b"a\r\n", "T1", folder="Work")
    folder = opened(two, "Work")
    validity = folder.uid_validity
    now(one.of().rename("Work", "Done"))
    opened(one, "Done")
    folder.live.run(lambda connection: None)
    assert list(folder.messages) == [1]
    assert now(folder.contents([1])) == {1: b"a\r\n"}
    assert opened(two, "Done").live is folder.live
    assert folder.uid_validity == validity


def test_a_selected_folder_is_deleted_by_the_other(workers: list[Worker]) -> None:
    one, two = workers
    now(one.of().create("Work"))
    one.mail.deliver(b"a\r\n", "T1", folder="Work")
    folder = opened(two, "Work")
    now(one.of().delete("Work"))
    now(one.of().create("Work"))
    assert list(opened(one, "Work").messages) == []
    again = opened(two, "Work")
    assert again.mailbox_id != folder.mailbox_id
    assert not folder.messages


def test_rights_that_the_other_took(workers: list[Worker]) -> None:
    one, two = workers
    now(one.of().create("Work"))
    now(one.of().set_acl("Work", BOB, "lrs"))
    shared = now(two.of(BOB).folder("Other Users/ann/Work"))
    assert "Other Users/ann/Work" in names(two, BOB)
    now(one.of().set_acl("Work", BOB, "s", "-"))
    assert shared.rights == "lr"
    now(one.of().set_acl("Work", BOB, ""))
    assert "Other Users/ann/Work" not in names(two, BOB)


def test_flags_without_a_letter_are_told(workers: list[Worker]) -> None:
    one, two = workers
    now(one.of().create("Work"))
    opened(two, "Work")
    notes: list[Any] = []
    two.store._peers.hear("index.flags", lambda note, worker: notes.append(note))
    one.mail.deliver(b"a\r\n", "T1", folder="Work")
    here = opened(one, "Work")
    now(here.store([1], add("$Mine")))
    assert notes == [[ANN, "Work"]]


_PROGRAM = """
import sys
from pathlib import Path
from mailframe.core.folders import Annotation
from mailframe.testing.peers import Bus
from tests.unit.mailbox.folders.house import ANN, now
from tests.unit.mailbox.folders.test_folders_processes import BOB, Worker

me = sys.argv[2]
house = Worker(Path(sys.argv[1])).join(Bus(), me)
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    now(house.of().subscribe(f"Sub {me} {number}", True))
for number in range(8):
    now(house.of().annotate("INBOX", [Annotation(f"/private/{me}{number}", b"x")]))
    now(house.of().create(f"Made {me} {number}"))
for number in range(8):
    now(house.of().set_acl(f"Made {me} {number}", BOB, "lr"))
mine = house.of(f"{me}@example.org")
for number in range(12):
    now(mine.create(f"Shared {number}"))
    now(mine.set_acl(f"Shared {number}", BOB, "lr"))
for number in range(1, 8, 2):
    now(house.of().rename(f"Made {me} {number}", f"Renamed {me} {number}"))
"""


def test_nothing_is_lost_between_two_that_change_the_same_files(tmp_path: Path) -> None:
    house = Worker(tmp_path).join(Bus(), "first")
    now(house.of().folder("INBOX"))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(tmp_path), me],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for me in ("one", "two")
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    shared = names(house, BOB)
    infos = {info.name: info for info in now(house.of().all())}
    entries = {each.entry for each in now(house.of().annotations("INBOX"))}
    for me in ("one", "two"):
        assert all(f"Other Users/{me}/Shared {number}" in shared for number in range(12))
        assert all(infos[f"Sub {me} {number}"].subscribed for number in range(50))
        for number in range(8):
            assert f"/private/{me}{number}" in entries
            name = f"{'Renamed' if number % 2 else 'Made'} {me} {number}"
            assert infos[name].exists
            assert f"Other Users/ann/{name}" in shared
    ids = [now(house.of().status(name)).mailbox_id for name in infos if infos[name].exists]
    assert len(set(ids)) == len(ids)
