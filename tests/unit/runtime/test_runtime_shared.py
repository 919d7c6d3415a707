"""Several processes on one database: turns, deaths, damage, and the first start."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailframe.runtime.database import Database, IfDamaged
from mailframe.runtime.disk import Disk
from mailframe.testing.disk import SimDisk
from tests.unit.runtime.loops import Loop
from tests.unit.runtime.sharer import MIGRATIONS, add, count

Start = Callable[[str, str], "Sharer"]
Shared = Callable[..., Database]


class Sharer:
    """Another process. It takes a step when it is told to ``go_on``: opens, and then writes."""

    def __init__(self, path: Path, name: str, what: str) -> None:
        command = [sys.executable, "-m", "tests.unit.runtime.sharer", str(path), name, what]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def opened(self) -> Sharer:
        assert self.line() == "here"
        self.go_on()
        assert self.line() == "open"
        return self

    def told(self) -> Any:
        return json.loads(self.line())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    started: list[Sharer] = []

    def begin(name: str, what: str) -> Sharer:
        started.append(Sharer(path, name, what))
        return started[-1]

    yield begin
    for sharer in started:
        sharer.process.kill()
        sharer.process.communicate()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def shared(path: Path, loop: Loop) -> Iterator[Shared]:
    """Opens the file as another process would."""
    opened: list[Database] = []

    def open_one(if_damaged: IfDamaged = IfDamaged.MEND) -> Database:
        database = Database(str(path), MIGRATIONS, loop, if_damaged=if_damaged, shared=True)
        opened.append(database)
        database.open()
        return database

    yield open_one
    for database in opened:
        database.close()


def notes(path: Path) -> dict[str, list[int]]:
    connection = sqlite3.connect(path)
    found: dict[str, list[int]] = {}
    for writer, number in connection.execute("SELECT writer, number FROM note ORDER BY id"):
        found.setdefault(writer, []).append(number)
    connection.close()
    return found


def spoil(path: Path) -> None:
    """Every page but the first, and no process has one of them in memory."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (path.stat().st_size - 4096))


def asides(path: Path) -> list[Path]:
    return [
        each
        for each in path.parent.glob(f"{path.name}.damaged-*")
        if not each.name.endswith(("-wal", "-shm"))
    ]


def test_what_two_processes_write_at_once_is_all_there(path: Path, start: Start) -> None:
    sharers = [start(name, "300").opened() for name in "ab"]
    for sharer in sharers:
        sharer.go_on()
    for sharer in sharers:
        assert sharer.told()["failed"] == 0
    assert notes(path) == {name: list(range(300)) for name in "ab"}


def test_nobody_writes_while_another_is_within(path: Path, start: Start) -> None:
    sharer = start("a", "1").opened()
    gate = Disk().gate(f"{path}.gate")
    with gate:
        sharer.go_on()
        time.sleep(0.5)
        assert notes(path) == {}
    [took] = sharer.told()["took"]
    gate.close()
    assert took > 0.3
    assert notes(path) == {"a": [0]}


def test_who_dies_within_leaves_the_gate_open(
    path: Path, start: Start, loop: Loop, shared: Shared
) -> None:
    database = shared()
    dying = start("dead", "die").opened()
    dying.go_on()
    for number in range(50):
        loop.result(database.write(add("alive", number)))
    dying.process.wait(30)
    loop.result(database.write(add("alive", 50)))
    database.close()
    assert notes(path) == {"alive": list(range(51))}


def start_at_once(start: Start, names: str) -> None:
    sharers = [start(name, "3") for name in names]
    for sharer in sharers:
        assert sharer.line() == "here"
    for _ in range(2):
        for sharer in sharers:
            sharer.go_on()
    for sharer in sharers:
        assert sharer.line() == "open"
        sharer.told()


def test_many_start_at_once(path: Path, start: Start) -> None:
    start_at_once(start, "abcd")
    assert notes(path) == {name: [0, 1, 2] for name in "abcd"}
    assert {each.name for each in path.parent.iterdir()} <= {
        f"{path.name}{suffix}" for suffix in ("", "-wal", "-shm", ".gate")
    }


def test_many_start_at_once_on_a_damaged_file(path: Path, start: Start, shared: Shared) -> None:
    shared().close()
    path.write_bytes(b"no database at all" * 1000)
    start_at_once(start, "abcd")
    assert notes(path) == {name: [0, 1, 2] for name in "abcd"}
    assert len(asides(path)) == 1


def test_who_finds_damage_together_replaces_once(
    path: Path, start: Start, loop: Loop, shared: Shared
) -> None:
    database = shared()
    for number in range(200):
        loop.result(database.write(add("before", number)))
    database.close()
    sharers = [start(name, "100").opened() for name in "ab"]
    spoil(path)
    for sharer in sharers:
        sharer.go_on()
    told = [sharer.told() for sharer in sharers]
    assert len(asides(path)) == 1
    kept = notes(path)
    for name, each in zip("ab", told, strict=True):
        # What was committed is in the file of that name, not in the one that was set aside.
        assert each["failed"] < 100
        assert len(kept[name]) == 100 - each["failed"]
        assert kept[name][-1] == 99
    assert all(each["seen"] >= len(kept["a"]) for each in told[:1])


def test_another_file_under_the_name_is_noticed(path: Path, loop: Loop, shared: Shared) -> None:
    one, other = (shared(IfDamaged.BEGIN_ANEW) for _ in range(2))
    for database in (one, other):
        loop.result(database.write(add("before", 0)))
        assert loop.result(database.read(count)) in (1, 2)
    with one.file.alone():
        one.file._replace(sqlite3.DatabaseError("as a test has it"))
        one.file._open_file().close()
    for database in (other, one):
        assert loop.result(database.read(count)) == 0
    for number, database in enumerate((other, one)):
        loop.result(database.write(add("after", number)))
    assert [loop.result(database.read(count)) for database in (one, other)] == [2, 2]
    one.close()
    other.close()
    assert notes(path) == {"after": [0, 1]}


def test_the_command_line_takes_its_turn_where_there_is_a_gate(
    path: Path, loop: Loop, shared: Shared
) -> None:
    database = shared()
    line = Database(str(path), MIGRATIONS, None)
    line.open()
    assert line.file._gate is not None
    line.write(add("line", 0))
    loop.result(database.write(add("server", 0)))
    line.close()
    database.close()
    assert notes(path) == {"line": [0], "server": [0]}


def test_alone_there_is_no_gate(path: Path, loop: Loop) -> None:
    database = Database(str(path), MIGRATIONS, loop)
    database.open()
    database.close()
    assert not path.with_name("x.db.gate").exists()


@pytest.mark.parametrize("disk", [Disk, SimDisk])
def test_gates(disk: Callable[[], Disk], tmp_path: Path) -> None:
    at = disk()
    at.make_directories(str(tmp_path))
    first, second = (at.gate(str(tmp_path / "gate")) for _ in range(2))
    for gate in (first, second, first):
        with gate:
            pass
    with pytest.raises(KeyError), first:
        raise KeyError("within")
    with second:
        pass
    first.close()
    second.close()
    first.close()
    assert at.exists(str(tmp_path / "gate"))
