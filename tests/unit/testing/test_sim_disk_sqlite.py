"""SQLite on the simulated disk: as on a real one, and what it promises about power cuts."""

import gc
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.runtime.disk import Disk
from mailframe.testing.disk import Op, PowerLost, SimDisk, sqlite_library, vfs
from mailframe.testing.disk.vfs_sharing import EXCLUSIVE, RESERVED, SHARED, Sharing

PATH = "/base/some.db"
ROWS = "SELECT group_concat(a || ':' || length(b), ' ') FROM (SELECT a, b FROM t ORDER BY a)"

pytestmark = pytest.mark.usefixtures("reachable")


@pytest.fixture(scope="module")
def reachable() -> None:
    try:
        sqlite_library.loaded()
    except sqlite_library.Unreachable as error:
        pytest.skip(str(error))


def new_disk(seed: int = 0) -> SimDisk:
    disk = SimDisk(seed)
    disk.make_directories("/base")
    return disk


def connected(disk: Disk, path: str = PATH, *, synchronous: str = "FULL") -> sqlite3.Connection:
    connection = disk.connect(path, timeout=0.01)
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b BLOB)")
    return connection


STATEMENTS = [
    "INSERT INTO t (b) VALUES (zeroblob({n}))",
    "INSERT INTO t (b) VALUES (randomblob({n} * 100))",
    "UPDATE t SET b = zeroblob({n}) WHERE a % 3 = 0",
    "DELETE FROM t WHERE a % 4 = {n} % 4",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "PRAGMA wal_checkpoint",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "CREATE INDEX IF NOT EXISTS i ON t (b)",
    "VACUUM",
    ROWS,
]
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(STATEMENTS), st.integers(1, 200)), max_size=25
)


class Three:
    """Three connections to one database."""

    def __init__(self, disk: Disk, path: str) -> None:
        self.connections = [connected(disk, path) for _ in range(3)]

    def answer(self, which: int, statement: str) -> object:
        try:
            return self.connections[which].execute(statement).fetchall()
        except sqlite3.Error as error:
            return error.sqlite_errorname

    def end(self) -> None:
        for connection in self.connections:
            connection.close()


@given(steps=STEPS)
@settings(max_examples=40, deadline=None, report_multiple_bugs=False)
def test_it_answers_as_on_a_real_disk(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, int]]
) -> None:
    path = str(tmp_path_factory.mktemp("base") / "some.db")
    disk = SimDisk()
    disk.make_directories(path.rpartition("/")[0])
    real, sim = Three(Disk(), path), Three(disk, path)
    for which, statement, n in steps:
        statement = statement.format(n=n)
        assert sim.answer(which, statement) == real.answer(which, statement), statement
    real.end()
    sim.end()
    assert sorted(disk.names(path.rpartition("/")[0])) == sorted(
        Disk().names(path.rpartition("/")[0])
    )
    again = Disk().connect(path, timeout=1), disk.connect(path, timeout=1)
    assert again[0].execute(ROWS).fetchall() == again[1].execute(ROWS).fetchall()
    assert again[1].execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for connection in again:
        connection.close()


def committed(
    synchronous: str = "FULL", skip: Callable[[Op], bool] | None = None
) -> tuple[SimDisk, list[int]]:
    """A disk on which four transactions were committed, and before which change each was."""
    disk = new_disk()
    connection = connected(disk, synchronous=synchronous)
    disk.skip = skip
    told = []
    for number in range(4):
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t (b) VALUES (zeroblob(3000))")
        connection.execute("INSERT INTO t (b) VALUES (zeroblob(3000))")
        connection.execute("COMMIT")
        told.append(disk.count)
        if number == 2:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return disk, told


def lost(disk: SimDisk, told: list[int], limit: int = 16) -> list[str]:
    """What is missing or wrong after a power cut, anywhere."""
    found = []
    for at in range(told[0], disk.count + 1):
        number = sum(count <= at for count in told)
        for state in disk.crash_states(at, limit, Random(at)):
            try:
                with closing(state.disk().connect(PATH, timeout=1)) as connection:
                    rows = connection.execute("SELECT count(*) FROM t").fetchone()[0]
                    sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
            except sqlite3.Error as error:
                rows, sound = 0, str(error)
            if rows not in (2 * number, 2 * number + 2) or sound != "ok":
                found.append(f"{at}: {rows} rows of {2 * number}, {sound}: {state.story}")
    return found


def test_what_was_committed_is_there_after_any_power_cut() -> None:
    assert lost(*committed()) == []


@pytest.mark.parametrize("part", ["-wal", ".db"])
def test_a_forgotten_sync_loses_it(part: str) -> None:
    def skip(op: Op) -> bool:
        return op.kind == "sync" and op.path.endswith(part)

    assert lost(*committed(skip=skip))


def test_without_sync_at_commit_it_may_be_lost_and_is_sound() -> None:
    found = lost(*committed("NORMAL"))
    assert found
    assert all("ok:" in line or "no such table" in line for line in found)


PROGRAM = """
import sys
from mailframe.runtime.disk import Disk
from mailframe.testing.disk import SimDisk

def use(disk, path):
    for _ in range(2):
        connection = disk.connect(path, timeout=1)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b)")
        connection.execute("INSERT INTO t (b) VALUES (zeroblob(9000))")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute("INSERT INTO t (b) VALUES (1)")
        connection.close()

path = sys.argv[1] + "/some.db"
sim = SimDisk()
sim.make_directories(sys.argv[1])
sim.forget()
use(sim, path)
for op in sim.trace:
    print(op.kind, op.path, len(op.data), op.offset, op.octets)
use(Disk(), path)
"""
CALLS = "openat,close,pwrite64,unlink,ftruncate,fsync,fdatasync"
CALL = re.compile(r"(\w+)\((.*)\) += (\d+)")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_calls_of_sqlites_own_vfs_in_its_order(tmp_path: Path) -> None:
    base, log = tmp_path / "base", tmp_path / "log"
    base.mkdir()
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={CALLS}",
         sys.executable, "-c", PROGRAM, str(base)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "ptrace" in done.stderr.lower():
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    simulated = [tuple(line.split()) for line in done.stdout.splitlines()]
    assert list(real_calls(log.read_text(), str(base))) == simulated


def real_calls(log: str, base: str) -> Iterator[tuple[str, ...]]:
    """What was done below ``base``, as the trace of the simulated disk has it. The index of
    the log has no file there."""
    opened: dict[str, str] = {}
    known: set[str] = set()
    for line in log.splitlines():
        if (matched := CALL.search(line)) is None:
            continue
        call, arguments, result = matched.groups()
        first, *rest = arguments.split(", ")
        if call == "openat":
            path = rest[0].strip('"')
            if not path.startswith(base) or path.endswith("-shm"):
                continue
            opened[result] = path
            if "O_CREAT" in arguments and path not in known:
                known.add(path)
                yield "create", path, "0", "0", "0"
        elif call == "close":
            opened.pop(first, None)
        elif call == "unlink":
            path = first.strip('"')
            known.discard(path)
            if path.startswith(base) and not path.endswith("-shm"):
                yield "unlink", path, "0", "0", "0"
        elif first not in opened:
            continue
        elif call == "pwrite64":
            yield "write", opened[first], result, rest[-1], "0"
        elif call == "ftruncate":
            yield "truncate", opened[first], "0", "0", rest[-1]
        else:
            kind = "sync_directory" if opened[first] == base else "sync"
            yield kind, opened[first], "0", "0", "0"


def test_a_reader_beside_a_writer_sees_what_was_committed() -> None:
    disk = new_disk()
    writer, reader = connected(disk), connected(disk)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t (b) VALUES (1)")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (0,)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        reader.execute("BEGIN IMMEDIATE")
    writer.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_full_disk_is_sqlite_full_and_nothing_is_lost() -> None:
    disk = new_disk()
    connection = connected(disk)
    connection.execute("INSERT INTO t (b) VALUES (1)")
    disk.capacity = disk.volume.nodes.octets + 10_000
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO t (b) VALUES (zeroblob(100000))")
    assert caught.value.sqlite_errorname == "SQLITE_FULL"
    disk.capacity = None
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    connection.execute("INSERT INTO t (b) VALUES (zeroblob(100000))")


def test_a_failed_sync_is_an_error_and_the_commit_may_be_lost() -> None:
    disk = new_disk()
    connection = connected(disk)
    disk.faults.fail("sync", "*-wal")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO t (b) VALUES (1)")
    assert caught.value.sqlite_errorname == "SQLITE_IOERR_FSYNC"
    found = disk.crashed(Random(1)).connect(PATH, timeout=1)
    assert found.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_read_only_disk() -> None:
    disk = new_disk()
    connected(disk).execute("INSERT INTO t (b) VALUES (1)")
    disk.faults.is_read_only = True
    with pytest.raises(sqlite3.OperationalError) as caught:
        disk.connect(PATH, timeout=1).execute("INSERT INTO t (b) VALUES (1)")
    assert caught.value.sqlite_errorname in ("SQLITE_READONLY", "SQLITE_IOERR_WRITE")


def test_power_is_lost_in_the_middle_of_a_commit() -> None:
    disk = new_disk()
    connection = connected(disk)
    disk.cut_power(disk.count + 1)
    with pytest.raises(PowerLost):
        connection.execute("INSERT INTO t (b) VALUES (1)")
    with pytest.raises(PowerLost):
        connection.execute("SELECT count(*) FROM t").fetchone()
    with pytest.raises(PowerLost):
        disk.exists("/base")
    connection.close()


def test_a_frozen_database_is_read_and_nothing_is_put_beside_it() -> None:
    disk = new_disk()
    connection = connected(disk)
    connection.execute("INSERT INTO t (b) VALUES (1)")
    connection.close()
    begin = disk.count
    with closing(disk.connect_frozen(PATH)) as frozen:
        assert frozen.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert (disk.count, disk.names("/base")) == (begin, ["some.db"])


def test_a_seed_fixes_what_is_written() -> None:
    def trace(seed: int) -> list[bytes]:
        disk = new_disk(seed)
        connected(disk).execute("INSERT INTO t (b) VALUES (randomblob(100))")
        return [op.data for op in disk.trace]

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_a_killed_process_leaves_what_it_wrote_and_no_lock() -> None:
    disk = new_disk()
    connection = connected(disk)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO t (b) VALUES (1)")
    after = connected(disk.killed())
    assert after.execute("SELECT count(*) FROM t").fetchone() == (0,)
    after.execute("INSERT INTO t (b) VALUES (1)")


def test_disks_do_not_pile_up() -> None:
    def use() -> None:
        connection = connected(new_disk())
        connection.execute("INSERT INTO t (b) VALUES (1)")
        connection.close()

    use()
    gc.collect()
    slots, files = len(vfs._slots), len(vfs._files)
    for _ in range(20):
        use()
    assert (len(vfs._slots), len(vfs._files)) == (slots, files)


def test_the_levels_of_a_lock() -> None:
    """https://sqlite.org/lockingv3.html: whoever waits to write lets no new reader in."""
    locks, reader, writer, other = Sharing(), 1, 2, 3
    assert locks.lock(reader, SHARED)
    assert locks.lock(writer, SHARED)
    assert locks.lock(writer, RESERVED)
    assert not locks.lock(reader, RESERVED)
    assert locks.lock(other, SHARED)
    locks.unlock(other, 0)
    assert not locks.lock(writer, EXCLUSIVE)
    assert not locks.lock(other, SHARED)
    locks.unlock(reader, 0)
    assert locks.lock(writer, EXCLUSIVE)
    assert not locks.lock(other, SHARED)
    locks.unlock(writer, SHARED)
    assert locks.lock(other, SHARED)
    assert not locks.is_reserved


def test_the_slots_of_a_logs_index() -> None:
    slots, one, other = Sharing(), 1, 2
    assert slots.share(one, range(3, 4))
    assert slots.share(other, range(3, 4))
    assert not slots.exclude(one, range(2, 5))
    slots.release(other, 3)
    slots.release(one, 3)
    assert slots.exclude(one, range(2, 5))
    assert not slots.share(other, range(4, 5))
    assert not slots.exclude(other, range(4, 5))
    slots.unmap(one)
    assert slots.exclude(other, range(4, 5))
