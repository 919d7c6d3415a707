"""Which workers are alive: real processes, their locks, and looks at the wrong moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailframe.runtime.disk import Disk, DiskLock
from mailframe.runtime.nodes import Nodes

STAYS = """
import sys
from mailframe.runtime.disk import Disk
from mailframe.runtime.nodes import Nodes
Nodes(Disk(), sys.argv[1], sys.argv[2]).join()
print("in", flush=True)
sys.stdin.read()
"""
COMES_AND_GOES = """
import os, sys
from mailframe.runtime.disk import Disk
from mailframe.runtime.nodes import Nodes
directory, name, times = sys.argv[1:]
nodes = Nodes(Disk(), directory, name)
looker = Nodes(Disk(), directory, "looker of " + name)
for _ in range(int(times)):
    nodes.join()
    assert name in looker.others(), "who is in is not seen"
    nodes.leave()
    assert name not in looker.others(), "who is out is seen"
"""


def python(program: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "workers")


def nodes(directory: str, own: str = "us") -> Nodes:
    return Nodes(Disk(), directory, own)


def stays(directory: str, name: str) -> subprocess.Popen[str]:
    process = python(STAYS, directory, name)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_nobody_has_ever_been_there(directory: str) -> None:
    assert nodes(directory).others() == frozenset()


def test_who_is_killed_is_not_alive(directory: str) -> None:
    us = nodes(directory)
    us.join()
    with stays(directory, "w1") as one, stays(directory, "w2") as other:
        assert us.others() == {"w1", "w2"}
        one.send_signal(signal.SIGKILL)
        one.wait()
        assert us.others() == {"w2"}
        assert sorted(os.listdir(directory)) == ["us", "w2"]
        other.kill()
    assert us.others() == frozenset()


def test_who_is_stopped_is_alive(directory: str) -> None:
    with stays(directory, "w1") as one:
        one.send_signal(signal.SIGSTOP)
        assert nodes(directory).others() == {"w1"}
        one.kill()


def test_a_name_is_taken_once(directory: str) -> None:
    pauses: list[float] = []
    with stays(directory, "w1") as one:
        with pytest.raises(FileExistsError, match="another process is w1"):
            Nodes(Disk(), directory, "w1", pause=pauses.append).join()
        one.kill()
    assert sum(pauses) > 0.2


def test_who_leaves_leaves_nothing(directory: str) -> None:
    us = nodes(directory)
    us.join()
    us.join()
    us.leave()
    us.leave()
    assert os.listdir(directory) == []


class Meddled(Disk):
    """Somebody else does something between two steps of ``lock``."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self.meddle = [meddle]

    def lock(self, path: str) -> DiskLock | None:
        if self.meddle:
            self.meddle.pop()()
        return super().lock(path)


def test_one_that_joins_while_somebody_looks_is_in(directory: str) -> None:
    held: list[DiskLock | None] = []
    path = os.path.join(directory, "us")
    us = Nodes(
        Meddled(lambda: held.append(Disk().lock(path))),
        directory,
        "us",
        # The one who looks finds the file free, and removes it.
        pause=lambda seconds: [(os.unlink(path), lock.release()) for lock in held if lock],  # type: ignore[func-returns-value]
    )
    us.join()
    assert nodes(directory, "another").others() == {"us"}


def test_many_come_and_go_at_the_same_time(directory: str) -> None:
    names = [f"w{number}" for number in range(4)]
    processes = [python(COMES_AND_GOES, directory, name, "150") for name in names]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert os.listdir(directory) == []
