"""The simulated disk answers as the real one does: the same random calls, the same results."""

import os
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.runtime.disk import Disk
from mailframe.testing.disk import SimDisk

NAMES = st.sampled_from(["a", "b", "a/c", "a/d", "a/c/e", "b/f", "a/../b", "a//c", "g" * 256])
DATA = st.sampled_from([b"", b"x", b"hello\n", b"long" * 3000])

CALLS: dict[str, Any] = {
    "create": st.tuples(NAMES, DATA),
    "append": st.tuples(NAMES, DATA),
    "cell": st.tuples(NAMES, DATA),
    "make_file": st.tuples(NAMES),
    "read": st.tuples(NAMES),
    "open": st.tuples(NAMES),
    "lock": st.tuples(NAMES),
    "release": st.tuples(),
    "rename": st.tuples(NAMES, NAMES),
    "link": st.tuples(NAMES, NAMES),
    "unlink": st.tuples(NAMES),
    "remove_directory": st.tuples(NAMES),
    "make_directories": st.tuples(NAMES),
    "exists": st.tuples(NAMES),
    "is_directory": st.tuples(NAMES),
    "sync_directory": st.tuples(NAMES),
    "names": st.tuples(NAMES),
    "scan": st.tuples(NAMES),
    "status": st.tuples(NAMES),
}
STEPS = st.lists(
    st.one_of([st.tuples(st.just(call), given_) for call, given_ in CALLS.items()]), max_size=30
)


class Calls:
    """One disk under ``base``, and what it answers."""

    def __init__(self, disk: Disk, base: str) -> None:
        self.disk = disk
        self.base = base
        self.locks: list[Any] = []

    def answer(self, call: str, arguments: tuple[Any, ...]) -> object:
        paths = [f"{self.base}/{value}" if isinstance(value, str) else value for value in arguments]
        try:
            return getattr(self, call, getattr(self.disk, call, None))(*paths)  # type: ignore[misc]
        except OSError as error:
            return type(error), error.errno

    def create(self, path: str, data: bytes) -> None:
        self._write(self.disk.create(path), data)

    def append(self, path: str, data: bytes) -> None:
        self._write(self.disk.append(path), data)

    def _write(self, file: Any, data: bytes) -> None:
        file.write(data)
        file.write(b"!")
        file.write_all([b"a", data, b""])
        file.set_modified(1_700_000_000.25)
        file.sync()
        file.close()

    def cell(self, path: str, data: bytes) -> bytes:
        cell = self.disk.cell(path)
        cell.write(data)
        read = cell.read(300)
        cell.close()
        return read

    def open(self, path: str) -> tuple[object, ...]:
        with self.disk.open(path) as file:
            facts = self.disk.facts(file)
            line, rest = file.readline(), file.read()
            file.seek(-1, os.SEEK_END)
            return facts.st_size, line, rest, file.read(), file.tell()

    def lock(self, path: str) -> bool:
        lock = self.disk.lock(path)
        self.locks.append(lock)
        return lock is not None

    def release(self) -> None:
        for lock in self.locks:
            if lock is not None:
                lock.release()
        self.locks.clear()

    def names(self, path: str) -> list[str]:
        return sorted(self.disk.names(path))

    def scan(self, path: str) -> list[tuple[object, ...]]:
        return sorted(
            (e.name, e.path[len(self.base) :], e.is_dir(), e.is_file(), e.is_symlink(),
             e.stat().st_nlink, e.inode() == e.stat().st_ino)
            for e in self.disk.scan(path)
        )  # fmt: skip

    def status(self, path: str) -> tuple[object, ...]:
        facts = self.disk.status(path)
        is_dated = facts.st_mtime == 1_700_000_000.25
        size = facts.st_size if not self.disk.is_directory(path) else None
        return facts.st_mode, facts.st_nlink, size, is_dated, facts.st_mtime_ns if is_dated else 0


@pytest.fixture(scope="module")
def simulated() -> Callable[[str], SimDisk]:
    def made(base: str) -> SimDisk:
        disk = SimDisk()
        disk.make_directories(base)
        return disk

    return made


@given(STEPS)
@settings(max_examples=150, deadline=None, report_multiple_bugs=False)
def test_it_answers_as_the_real_one_does(
    simulated: Callable[[str], SimDisk], steps: list[tuple[str, tuple[Any, ...]]]
) -> None:
    with tempfile.TemporaryDirectory() as base:
        real, sim = Calls(Disk(), base), Calls(simulated(base), base)
        try:
            for step in steps:
                assert (step, sim.answer(*step)) == (step, real.answer(*step))
            assert tree(sim.disk, base) == tree(real.disk, base)
        finally:
            real.release()


def tree(disk: Disk, path: str) -> object:
    """Names and contents, and who is the same file."""
    if not disk.is_directory(path):
        return disk.read(path), disk.status(path).st_nlink
    return {entry.name: tree(disk, entry.path) for entry in disk.scan(path)}
