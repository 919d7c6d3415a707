"""What one process does for all: it is handed on when that one ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.runtime.disk import Disk, DiskLock
from mailframe.runtime.duty import Duty


def test_whoever_asks_first_has_it(tmp_path: Path) -> None:
    path = str(tmp_path / "run" / "duty")
    one, other = Duty(Disk(), path), Duty(Disk(), path)
    assert one.is_ours()
    assert not other.is_ours()
    assert one.is_ours()
    one.release()
    assert other.is_ours()
    assert not one.is_ours()
    one.release()
    assert other.is_ours()
    other.release()


class Full(Disk):
    def lock(self, path: str) -> DiskLock | None:
        raise OSError(28, "No space left on device", path)


def test_a_disk_that_fails_leaves_it_undone(tmp_path: Path) -> None:
    path = str(tmp_path / "duty")
    assert not Duty(Full(), path).is_ours()


@pytest.mark.parametrize("times", [1, 2])
def test_release_is_harmless(tmp_path: Path, times: int) -> None:
    duty = Duty(Disk(), str(tmp_path / "duty"))
    for _ in range(times):
        duty.release()
    assert duty.is_ours()
    duty.release()
