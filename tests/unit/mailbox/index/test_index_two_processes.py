"""Real processes on one account: one that is killed in the middle, and two that are busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed, append, now
from tests.unit.mailbox.index.second_process import NAMES, seen

ROOT = Path(__file__).resolve().parents[4]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.unit.mailbox.index.second_process", str(tmp_path)]
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def files(indexed: Indexed) -> list[str]:
    return indexed.house.files("cur/1*") + indexed.house.files(".Work/cur/1*")


class Looking:
    """A look at the folders from another thread: it waits while somebody else has the account."""

    def __init__(self, *folders: Any) -> None:
        self.ended = threading.Event()
        self._folders = folders
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self) -> None:
        for folder in self._folders:
            now(folder.refresh())
        self.ended.set()

    def wait(self) -> None:
        assert self.ended.wait(9)
        self.thread.join()


@pytest.mark.parametrize("renames", [2, 3])
@pytest.mark.parametrize("dies", [True, False], ids=["killed", "goes on"])
def test_an_append_of_several_is_all_or_none(
    indexed: Indexed, start: Start, renames: int, dies: bool
) -> None:
    indexed.make("Work")
    inbox = indexed.folder()
    append(inbox, b"mine\r\n")
    process = start("stop-append", renames)
    assert heard(process) == "stopped"
    there = files(indexed)
    assert len(there) == renames, "with mine"
    looking = Looking(inbox)
    assert not looking.ended.wait(0.4), "somebody is in the middle of it"
    assert files(indexed) == there, "repaired under the hands of a process that lives"
    if dies:
        process.kill()
        looking.wait()
        assert list(inbox.messages) == [1]
        assert len(files(indexed)) == 1
    else:
        assert process.stdin is not None
        process.stdin.close()
        assert heard(process) == "done"
        looking.wait()
        now(inbox.refresh())
        assert list(inbox.messages) == [1, 2, 3, 4]
    assert append(inbox, b"more\r\n").uids[0] > max(list(inbox.messages)[:-1])


@pytest.mark.parametrize("dies", [True, False], ids=["killed", "goes on"])
def test_every_message_of_a_move_is_in_one_of_the_two(
    indexed: Indexed, start: Start, dies: bool
) -> None:
    indexed.make("Work")
    inbox, work = indexed.folder(), indexed.folder("Work")
    contents = [b"%d\r\n" % number for number in range(3)]
    append(inbox, *contents)
    process = start("stop-move", 3)
    assert heard(process) == "stopped"
    looking = Looking(inbox, work)
    assert not looking.ended.wait(0.4), "somebody is in the middle of it"
    assert list(inbox.messages) == [1, 2, 3]
    if dies:
        process.kill()
    else:
        assert process.stdin is not None
        process.stdin.close()
        assert heard(process) == "done"
    looking.wait()
    now(inbox.refresh())
    now(work.refresh())
    found = [*now(inbox.contents(list(inbox.messages))).values(),
             *now(work.contents(list(work.messages))).values()]  # fmt: skip
    assert sorted(found) == contents
    assert len(work.messages) == (2 if dies else 3)


@pytest.mark.parametrize("seed", range(6))
def test_two_busy_ones_see_the_same_at_the_end(indexed: Indexed, start: Start, seed: int) -> None:
    indexed.make("Work")
    busy = [start("busy", 2 * seed + side, 40) for side in (0, 1)]
    for process in busy:
        assert heard(process) == "ready"
    for process in busy:
        go_on(process)
    told: list[dict[str, dict[str, str]]] = [json.loads(heard(process)) for process in busy]
    for process in busy:
        go_on(process)
    views = [json.loads(heard(process)) for process in busy]
    fresh = Indexed(House(indexed.house.base))
    truth = {name: seen(fresh.folder(name)) for name in NAMES}
    assert views[0] == truth
    assert views[1] == truth
    for name in NAMES:
        assert not told[0][name].keys() & told[1][name].keys(), "a uid was given twice"
        of_all = told[0][name] | told[1][name]
        assert max(map(int, of_all), default=0) < truth[name]["next"]
        for uid, (_, _, content) in truth[name]["messages"].items():
            assert of_all[uid] == content
    for process in busy:
        assert process.wait(9) == 0
    fresh.live.indexes.close()
