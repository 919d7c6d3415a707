"""Room that is kept back for removing mail."""

from __future__ import annotations

from pathlib import Path

from mailframe.mailbox.index.reserve import Reserve
from mailframe.runtime.disk import Disk


class SmallDisk(Disk):
    room = 1 << 30

    def free(self, path: str) -> int:
        return self.room


def test_it_is_kept_given_up_once_and_kept_again_when_there_is_plenty(tmp_path: Path) -> None:
    disk = SmallDisk()
    reserve = Reserve(str(tmp_path), disk)
    reserve.keep()
    reserve.keep()
    file = tmp_path / "run" / "reserve"
    assert file.stat().st_size == 4 << 20
    assert file.stat().st_blocks * 512 >= 4 << 20, "a hole would be no room"
    assert reserve.give_up()
    assert not reserve.give_up()
    disk.room = 5 << 20
    reserve.keep()
    assert not file.exists(), "it would fill the disk"
    disk.room = 1 << 30
    reserve.keep()
    assert file.exists()
