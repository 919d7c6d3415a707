"""The simulated disk: faults, stamps, power cuts, snapshots."""

import errno
import inspect
from collections.abc import Callable

import pytest

from mailframe.runtime.disk import Disk, DiskCell, DiskFile, DiskGate, DiskLock
from mailframe.testing.disk import PowerLost, SimDisk
from mailframe.testing.disk.handles import SimCell, SimFile, SimGate, SimLock


def new_disk(capacity: int | None = None) -> SimDisk:
    disk = SimDisk(capacity=capacity)
    disk.make_directories("/d")
    return disk


def write(disk: SimDisk, path: str, data: bytes = b"text") -> None:
    file = disk.create(path)
    file.write(data)
    file.sync()
    file.close()


def error_of(call: Callable[[], object]) -> int | None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the number is what is asked for)
        call()
    return caught.value.errno


def test_no_call_of_the_seam_reaches_the_real_disk() -> None:
    pairs = (
        (Disk, SimDisk),
        (DiskFile, SimFile),
        (DiskCell, SimCell),
        (DiskLock, SimLock),
        (DiskGate, SimGate),
    )
    for real, simulated in pairs:
        calls = {name for name, call in vars(real).items() if inspect.isfunction(call)}
        assert calls - vars(simulated).keys() == set()


def test_permissions_are_kept() -> None:
    disk = new_disk()
    write(disk, "/d/x")
    disk.set_mode("/d/x", 0o640)
    disk.set_mode("/d", 0o750)
    disk.sync_directory("/d")
    for found in (disk, disk.crashed(disk.volume.random("x"))):
        assert [oct(found.status(path).st_mode) for path in ("/d/x", "/d")] == [
            "0o100640",
            "0o40750",
        ]


def test_a_full_disk_takes_what_fits() -> None:
    disk = new_disk(capacity=10)
    assert disk.free("/d") == 10
    assert error_of(lambda: write(disk, "/d/x", b"0123456789ab")) == errno.ENOSPC
    assert disk.read("/d/x") == b"0123456789"
    assert error_of(lambda: write(disk, "/d/y")) == errno.ENOSPC
    disk.unlink("/d/x")
    assert disk.free("/d") == 0  # open still
    disk = new_disk(capacity=10)
    write(disk, "/d/x")
    disk.unlink("/d/x")
    assert disk.free("/d") == 10


def test_a_call_fails_once_where_it_is_told_to() -> None:
    disk = new_disk()
    disk.faults.fail("write", "/d/*", nth=2)
    write(disk, "/d/x")
    assert error_of(lambda: write(disk, "/d/y")) == errno.EIO
    write(disk, "/d/z")
    disk.faults.fail("read", error=errno.ESTALE)
    assert error_of(lambda: disk.read("/d/x")) == errno.ESTALE
    assert disk.read("/d/x") == b"text"
    assert disk.faults.struck == 2


def test_a_disk_that_became_read_only() -> None:
    disk = new_disk()
    write(disk, "/d/x")
    disk.faults.is_read_only = True
    assert error_of(lambda: disk.unlink("/d/x")) == errno.EROFS
    assert error_of(lambda: write(disk, "/d/y")) == errno.EROFS
    assert disk.read("/d/x") == b"text"


def test_slow_calls_are_told() -> None:
    disk, told = new_disk(), list[float]()
    disk.faults.pause = told.append
    disk.faults.slow("sync sync_directory", seconds=2.5)
    write(disk, "/d/x")
    disk.sync_directory("/d")
    assert told == [2.5, 2.5]


def test_power_is_lost_before_a_change_and_for_good() -> None:
    disk = new_disk()
    disk.cut_power(disk.count + 1)
    with pytest.raises(PowerLost):
        write(disk, "/d/x")
    for call in (disk.exists, disk.read, disk.status, disk.sync_directory, disk.names):
        with pytest.raises(PowerLost):
            call("/d/x")
    assert [op.kind for op in disk.trace[-1:]] == ["create"]
    assert disk.is_lost


def test_stamps_are_the_clocks_in_steps_of_the_kernels() -> None:
    disk = new_disk()
    disk.clock = lambda: 1_700_000_000.0041
    write(disk, "/d/x")
    assert disk.status("/d").st_mtime_ns == disk.status("/d/x").st_mtime_ns
    assert disk.status("/d").st_mtime_ns == 1_700_000_000_004_000_000
    disk.clock = lambda: 1_700_000_001.0
    disk.rename("/d/x", "/d/y")
    assert disk.status("/d/y").st_mtime == 1_700_000_000.004
    assert disk.status("/d/y").st_ctime == disk.status("/d").st_mtime == 1_700_000_001.0


def test_an_open_file_goes_on_when_its_name_is_gone() -> None:
    disk = new_disk()
    write(disk, "/d/x", b"text")
    with disk.open("/d/x") as file:
        disk.unlink("/d/x")
        assert (disk.facts(file).st_nlink, file.read()) == (0, b"text")


def test_a_snapshot_and_its_origin_do_not_see_each_other() -> None:
    disk = new_disk()
    write(disk, "/d/x")
    other = disk.snapshot()
    write(other, "/d/y")
    file = disk.append("/d/x")
    file.write(b" and more")
    assert (other.read("/d/x"), disk.names("/d")) == (b"text", ["x"])
    assert other.status("/d/x").st_ino == disk.status("/d/x").st_ino
    # Numbers go on where what is pending ends, so that none is given twice.
    assert (other.trace[0].number, other.trace[0].kind) == (3, "create")


def test_without_a_trace_only_the_present_can_be_asked() -> None:
    disk = new_disk()
    disk.record(False)
    write(disk, "/d/x")
    assert (disk.trace, disk.count) == ([], 5)
    with pytest.raises(ValueError, match="trace"):
        disk.crash_states(disk.count, 1, disk.volume.random("x"))
    assert disk.crashed(disk.volume.random("x")).is_directory("/d")
