from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mailframe.runtime.disk import Disk


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_a_new_file_is_private_and_never_replaces(disk: Disk, tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    file = disk.create(path)
    file.write(b"a" * 100_000)
    file.write(b"")
    file.set_modified(1_000_000_000.5)
    file.sync()
    file.close()
    file.close()
    assert os.path.getsize(path) == 100_000
    assert os.stat(path).st_mtime == 1_000_000_000.5
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with pytest.raises(FileExistsError):
        disk.create(path)
    with pytest.raises(OSError, match="Bad file"):
        file.write(b"late")


def test_short_writes_are_continued(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:3])))
    file = disk.create(str(tmp_path / "x"))
    file.write(b"0123456789")
    file.close()
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_many_pieces_are_written_in_their_order(disk: Disk, tmp_path: Path) -> None:
    pieces = [f"{number}\n".encode() for number in range(2_500)]
    file = disk.create(str(tmp_path / "x"))
    file.write_all([])
    file.write_all(pieces)
    file.write_all([b"", b"end"])
    file.close()
    assert (tmp_path / "x").read_bytes() == b"".join(pieces) + b"end"


def test_short_writes_of_many_pieces_are_continued(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, pieces: writev(fd, [b"".join(pieces)[:4]]))
    file = disk.create(str(tmp_path / "x"))
    file.write_all([b"012", b"345", b"6789"])
    file.close()
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_append(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(FileNotFoundError):
        disk.append(str(path))
    path.write_bytes(b"1\n")
    first, second = disk.append(str(path)), disk.append(str(path))
    first.write(b"2\n")
    second.write(b"3\n")
    first.close()
    second.close()
    assert path.read_bytes() == b"1\n2\n3\n"


def test_only_regular_files_are_read(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with disk.open(str(tmp_path / "file")) as file:
        assert file.read() == b"x"
    before = len(os.listdir("/proc/self/fd"))
    for name in ("link", "directory", "fifo", "absent"):
        with pytest.raises(OSError, match=name):
            disk.open(str(tmp_path / name))
    assert len(os.listdir("/proc/self/fd")) == before


def test_directories(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(disk, "sync_directory", synced.append)
    disk.make_directories(str(tmp_path / "a" / "b"))
    disk.make_directories(str(tmp_path / "a" / "b"))
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        disk.make_directories(str(tmp_path / "file"))
    with pytest.raises(FileExistsError):
        disk.make_directories(str(tmp_path / "file" / "below"))


def test_a_file_whose_size_is_known(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/proc/self/fd"))
    assert disk.read_known(str(tmp_path / "file"), 4) == b"four"
    assert disk.read_known(str(tmp_path / "file"), 3) is None
    assert disk.read_known(str(tmp_path / "file"), 5) is None
    assert disk.read_known(str(tmp_path / "fifo"), 4) is None
    for name in ("link", "directory", "absent"):
        with pytest.raises(OSError, match=r"\[Errno"):
            disk.read_known(str(tmp_path / name), 4)
    assert len(os.listdir("/proc/self/fd")) == before


def test_directories_made_by_many_threads(disk: Disk, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def make(number: int) -> None:
        try:
            disk.make_directories(str(tmp_path / "x" / "y" / str(number % 3)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=make, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(list((tmp_path / "x" / "y").iterdir())) == 3


def test_scan_status_rename_unlink(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"xyz")
    disk.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    assert [entry.name for entry in disk.scan(str(tmp_path))] == ["b"]
    assert disk.status(str(tmp_path / "b")).st_size == 3
    (tmp_path / "dangling").symlink_to("nowhere")
    assert stat.S_ISLNK(disk.status(str(tmp_path / "dangling")).st_mode)
    disk.unlink(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        disk.status(str(tmp_path / "b"))


def test_a_lock_that_is_let_go_is_free_while_a_program_is_being_started(
    disk: Disk, tmp_path: Path
) -> None:
    """Between its fork and its exec it has all descriptors."""
    path = str(tmp_path / "lock")
    lock = disk.lock(path)
    assert lock is not None
    goes_on, told = os.pipe()
    pid = os.fork()
    if not pid:  # pragma: no cover
        os.read(goes_on, 1)
        os._exit(0)
    lock.release()
    again = disk.lock(path)
    os.write(told, b"x")
    os.waitpid(pid, 0)
    for descriptor in (goes_on, told):
        os.close(descriptor)
    assert again is not None
    again.release()


def test_a_lock_excludes_this_process_and_others(disk: Disk, tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = disk.lock(path)
    assert lock is not None
    assert disk.lock(path) is None
    program = (
        "import sys; from mailframe.runtime.disk import Disk; "
        "sys.exit(Disk().lock(sys.argv[1]) is None)"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 1
    lock.release()
    lock.release()
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 0
    again = disk.lock(path)  # that process died with the lock
    assert again is not None
    again.release()
    assert os.path.exists(path)
