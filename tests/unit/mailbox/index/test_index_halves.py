"""A power cut may leave a renamed file with both names: it is one message all the same."""

from __future__ import annotations

import os
from pathlib import Path

from mailframe.runtime.disk import Disk
from tests.unit.mailbox.house import ANN, House, done
from tests.unit.mailbox.index.indexed import Indexed, add, append, now


class Watched(Disk):
    """Knows which directories were synced."""

    def __init__(self) -> None:
        self.synced: list[str] = []

    def sync_directory(self, path: str) -> None:
        self.synced.append(os.path.basename(path))
        super().sync_directory(path)


def only(directory: Path) -> Path:
    [path] = directory.iterdir()
    return path


def test_the_name_in_new_goes_and_the_flags_stay(indexed: Indexed) -> None:
    indexed.house.deliver(b"a\r\n", "1")
    folder = indexed.folder()
    before = only(indexed.house.maildir / "new")
    now(folder.claim_recent())
    now(folder.store([1], add("\\Seen")))
    os.link(only(indexed.house.maildir / "cur"), before)
    indexed.restart()
    folder = indexed.folder()
    assert {uid: state.flags for uid, state in folder.messages.items()} == {1: {"\\Seen"}}
    assert list((indexed.house.maildir / "new").iterdir()) == []
    now(folder.expunge([1]))
    indexed.restart()
    assert dict(indexed.folder().messages) == {}


def test_half_a_move_is_none(indexed: Indexed) -> None:
    indexed.make("Work")
    append(indexed.folder(), b"a\r\n")
    indexed.folder("Work")
    file = only(indexed.house.maildir / "cur")
    os.link(file, indexed.house.maildir / ".Work" / "cur" / file.name)
    indexed.restart()
    assert list(indexed.folder("Work").messages) == []
    assert list((indexed.house.maildir / ".Work" / "cur").iterdir()) == []
    assert list(indexed.folder().messages) == [1]


def test_a_copy_that_another_program_made_is_a_message(indexed: Indexed) -> None:
    indexed.make("Work")
    append(indexed.folder(), b"a\r\n")
    indexed.folder("Work")
    file = only(indexed.house.maildir / "cur")
    os.link(file, indexed.house.maildir / ".Work" / "cur" / f"1{file.name}")
    assert list(indexed.folder("Work").messages) == [1]


def test_that_a_name_left_new_is_durable(tmp_path: Path) -> None:
    disk = Watched()
    indexed = Indexed(House(tmp_path, disk))
    for token in ("1", "2"):
        indexed.house.deliver(b"a\r\n", token)
    folder = indexed.folder()
    disk.synced.clear()
    now(folder.store([1], add("\\Seen")))
    assert disk.synced == ["cur", "new"]
    disk.synced.clear()
    now(folder.claim_recent())
    assert disk.synced == ["cur", "new"]
    disk.synced.clear()
    now(folder.store([1], add("\\Flagged")))
    assert disk.synced == ["cur"]


def test_what_is_cut_off_is_durably_gone_before_it_is_forgotten(tmp_path: Path) -> None:
    disk = Watched()
    indexed = Indexed(House(tmp_path, disk))
    folder = indexed.folder()
    append(folder, b"a\r\n")
    file = only(indexed.house.maildir / "cur")

    def cut_off(connection: object) -> None:
        connection.execute(  # type: ignore[attr-defined]
            "INSERT INTO pending SELECT id, ? FROM folder", (file.name.partition(":")[0],)
        )

    done(indexed.live.indexes.of(ANN).run(cut_off))
    now(folder.expunge([1]))
    file.write_bytes(b"a\n")
    disk.synced.clear()
    indexed.restart()
    assert list(indexed.folder().messages) == []
    assert "cur" in disk.synced
