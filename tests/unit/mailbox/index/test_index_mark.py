"""An index that somebody put back."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from mailframe.errors import TransientFailure
from mailframe.mailbox.index.handle import AccountIndex
from mailframe.mailbox.index.indexes import Indexes
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailbox.house import done

ANN = "ann@example.org"


def index_of(base: Path, account: str = ANN) -> AccountIndex:
    return Indexes(str(base), Disk(), InlineWorkers()).of(account)


def put(index: AccountIndex, name: str) -> None:
    done(
        index.run(
            lambda connection: connection.execute(
                "INSERT INTO past (name, uid_validity) VALUES (?, 1)", (name,)
            )
        )
    )


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM past ORDER BY name")]


def keep(index: AccountIndex, to: Path) -> Path:
    with (
        contextlib.closing(sqlite3.connect(index.path)) as there,
        contextlib.closing(sqlite3.connect(to)) as here,
    ):
        there.backup(here)
    return to


def put_back(kept: Path, index: AccountIndex) -> None:
    for suffix in ("-wal", "-shm"):
        Path(index.path + suffix).unlink(missing_ok=True)
    Path(index.path).unlink(missing_ok=True)
    shutil.copyfile(kept, index.path)


@pytest.fixture(params=["closed", "in use"])
def is_closed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "closed")


def test_an_older_copy_is_thrown_away(tmp_path: Path, is_closed: bool) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    kept = keep(index, tmp_path / "kept")
    put(index, "b")
    assert done(index.read(names)) == ["a", "b"]
    before = index.generation
    if is_closed:
        index.close()
    put_back(kept, index)
    assert done(index.run(names)) == []
    assert index.generation > before
    assert done(index.read(names)) == []


def test_the_newest_copy_is_as_good(tmp_path: Path, is_closed: bool) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    kept = keep(index, tmp_path / "kept")
    if is_closed:
        index.close()
    put_back(kept, index)
    assert done(index.run(names)) == ["a"]


def test_a_job_that_changes_nothing_does_not_count(tmp_path: Path) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    before = (tmp_path / "mail/example.org/ann/index.mark").read_bytes()
    done(index.run(names))
    assert (tmp_path / "mail/example.org/ann/index.mark").read_bytes() == before
    put(index, "b")
    assert (tmp_path / "mail/example.org/ann/index.mark").read_bytes() > before


@pytest.mark.parametrize("mark", [b"", b"nonsense", b"\0" * 37, None])
def test_a_mark_that_says_nothing(tmp_path: Path, mark: bytes | None) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    index.close()
    path = tmp_path / "mail/example.org/ann/index.mark"
    path.unlink()
    if mark is not None:
        path.write_bytes(mark)
    index = index_of(tmp_path)
    assert done(index.run(names)) == ["a"]
    put(index, "b")
    assert path.stat().st_size == 37


def test_a_mark_that_is_behind_after_a_power_cut(tmp_path: Path) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    path = tmp_path / "mail/example.org/ann/index.mark"
    before = path.read_bytes()
    put(index, "b")
    index.close()
    path.write_bytes(before)
    assert done(index_of(tmp_path).run(names)) == ["a", "b"]


def test_another_accounts_index(tmp_path: Path) -> None:
    index, other = index_of(tmp_path), index_of(tmp_path, "bob@example.org")
    put(index, "a")
    for number in range(9):
        put(other, f"b{number}")
    kept = keep(other, tmp_path / "kept")
    index.close()
    put_back(kept, index)
    assert done(index_of(tmp_path).run(names)) == []


def test_a_reader_does_not_believe_what_the_writer_has_not_judged(tmp_path: Path) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    kept = keep(index, tmp_path / "kept")
    put(index, "b")
    put_back(kept, index)  # before anybody read
    with pytest.raises(TransientFailure):
        done(index.read(names))
    assert done(index.read(names)) == []


def test_who_read_before_it_was_begun_anew_is_not_answered_from_the_new_one(
    tmp_path: Path,
) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    reader = index._reader
    reader.begin_pause()
    waiting = index.read(names)
    index.generation += 1
    reader.end_pause()
    with pytest.raises(TransientFailure):
        done(waiting)


def test_a_file_that_was_emptied_is_begun_anew(tmp_path: Path) -> None:
    index = index_of(tmp_path)
    put(index, "a")
    index.close()
    Path(index.path).write_bytes(b"")
    assert done(index.run(names)) == []


def test_an_index_of_an_older_version_is_brought_up(tmp_path: Path) -> None:
    from mailframe.mailbox.index.schema import MIGRATIONS

    index = index_of(tmp_path)
    Path(index.home).mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(index.path)) as old:
        old.executescript(MIGRATIONS[0] + "; PRAGMA user_version = 1")
        old.execute("INSERT INTO past (name, uid_validity) VALUES ('a', 1)")
        old.commit()
    assert done(index.run(names)) == ["a"]
