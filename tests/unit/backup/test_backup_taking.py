"""Backups of a base that changes meanwhile: nothing is missing, nothing is there twice."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from mailframe.app.backups.layout import Kind, kind_of
from mailframe.app.backups.taking import BadTarget, take_backup
from mailframe.backup.checking import check_set
from mailframe.backup.manifest import BadBackup, Total, entries, read_total
from mailframe.backup.sets import BackupBusy, BackupSets, find_set
from mailframe.runtime.disk import Disk
from tests.unit.backup.conftest import NOW, House


def mails(path: str | Path) -> list[Path]:
    return sorted(p for p in Path(path).rglob("*") if p.parent.name in ("new", "cur"))


def rows(set_path: str) -> list[tuple[str, str, int]]:
    connection = sqlite3.connect(f"{set_path}/base/queue/spool.db")
    found = connection.execute("SELECT queue_id, address, lease FROM recipient").fetchall()
    connection.close()
    return found


def sound(set_path: str) -> list[str]:
    return [f"{d.path}: {d.what}" for d in check_set(Disk(), set_path, Total())]


def test_everything_is_there_linked_and_private(house: House) -> None:
    message = house.deliver()
    house.queue("LARGE", "x@b.test", body=b"large")
    (house.base / "run").mkdir()
    (house.base / "run" / "control.sock").touch()
    (house.maildir() / "tmp" / "stray").touch()
    taken = house.back_up()
    root = Path(taken.path)
    copy = root / "base" / message.relative_to(house.base)
    assert copy.stat().st_ino == message.stat().st_ino
    assert (root / "base/queue/bodies/LARGE").read_bytes() == b"large"
    assert not (root / "base/run").exists()
    assert list((root / "base/mail/a.test/ann/Maildir/tmp").iterdir()) == []
    assert sound(taken.path) == []
    assert {e.path for e in entries(Disk(), taken.path) if e.path.endswith(".db")} >= {
        "base/directory.db", "base/queue/spool.db"
    }  # fmt: skip
    for path in root.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (taken.messages, taken.queued, taken.accounts) == (1, 1, 1)


def test_the_next_one_costs_what_is_new(house: House) -> None:
    house.deliver()
    first = house.back_up()
    house.deliver()
    second = house.back_up()
    assert first.tally.octets_read > 0
    assert second.tally.octets_read < 100  # one message
    same = "base/directory.db"
    assert (Path(first.path) / same).stat().st_ino == (Path(second.path) / same).stat().st_ino
    assert sound(first.path) == sound(second.path) == []


def test_without_links_files_of_the_set_before_are_used(house: House) -> None:
    class OtherFileSystem(Disk):
        def link(self, source: str, target: str) -> None:
            if source.startswith(str(house.base)):
                raise OSError(errno.EXDEV, "other file system")
            super().link(source, target)

    message = house.deliver()
    house.disk = OtherFileSystem()
    first = house.back_up()
    os.rename(message, house.maildir() / "cur" / f"{message.name}:2,S")
    second = house.back_up()
    one, two = mails(first.path), mails(second.path)
    assert [p.name for p in two] == [f"{message.name}:2,S"]
    assert one[0].stat().st_ino == two[0].stat().st_ino
    assert (first.tally.linked, second.tally.linked) == (0, 0)
    assert sound(second.path) == []


class Meddling(Disk):
    """Does something once, when a directory is looked at."""

    def __init__(self, where: Path, action: Callable[[], object], times: int = 1) -> None:
        self._where = str(where)
        self._action = action
        self._times = times

    def scan(self, path: str) -> Iterator[os.DirEntry[str]]:
        if path == self._where and self._times:
            self._times -= 1
            self._action()
        return super().scan(path)


@pytest.mark.parametrize("other", ["bob", "ann"])
def test_a_message_that_is_moved_while_we_look_is_there_once(house: House, other: str) -> None:
    # bob's mailbox is read after ann's, and .Z after .A: it moves to what was read already.
    folder = "A" if other == "ann" else ""
    message = house.deliver(user=other, folder="Z", flags="S")
    target = house.maildir("ann", folder) / "cur" / message.name
    house.disk = Meddling(message.parent, lambda: os.rename(message, target))
    taken = house.back_up()
    assert [path.name for path in mails(taken.path)] == [message.name]
    assert taken.messages == 1
    assert sound(taken.path) == []


@pytest.mark.parametrize("other", ["bob", "ann"])
def test_a_message_that_is_moved_behind_us_is_there_once(house: House, other: str) -> None:
    message = house.deliver(user="ann", folder="A", flags="S")
    target = house.maildir(other, "Z") / "cur" / message.name
    house.disk = Meddling(target.parent, lambda: os.rename(message, target))
    taken = house.back_up()
    assert [str(p.relative_to(taken.path)) for p in mails(taken.path)] == [
        f"base/{target.relative_to(house.base)}"
    ]
    assert taken.messages == 1


def test_a_message_that_gets_flags_while_we_look_is_there_once(house: House) -> None:
    first, second = house.deliver(), house.deliver()

    def flag() -> None:
        for message in (first, second):
            os.rename(message, house.maildir() / "cur" / f"{message.name}:2,S")

    house.disk = Meddling(house.maildir() / "cur", flag)
    taken = house.back_up()
    assert [p.name for p in mails(taken.path)] == [f"{m.name}:2,S" for m in (first, second)]


def test_copies_that_share_a_file_stay_two(house: House) -> None:
    message = house.deliver(flags="")
    os.link(message, house.maildir("ann", "Z") / "cur" / "copy:2,")
    assert len(mails(house.back_up().path)) == 2


def test_what_is_delivered_between_queue_and_mailboxes_is_there_once(house: House) -> None:
    house.queue("Q1", "ann@a.test", "bob@a.test", body=b"large")

    def deliver() -> None:
        house.deliver(token="Q1:ann@a.test")
        house.alter(lambda c: c.execute("DELETE FROM recipient WHERE address = 'ann@a.test'"))

    house.disk = Meddling(house.base / "mail", deliver)
    house.maildir("bob")
    taken = house.back_up()
    assert len(mails(taken.path)) == 1
    assert rows(taken.path) == [("Q1", "bob@a.test", 2)]  # in doubt: it is looked for first
    assert (Path(taken.path) / "base/queue/bodies/Q1").exists()


def test_a_message_all_of_whose_deliveries_are_copied_has_left(house: House) -> None:
    house.queue("Q1", "ann@a.test", body=b"large")
    house.deliver(token="Q1:ann@a.test")  # and its row is not gone yet
    taken = house.back_up()
    assert (rows(taken.path), taken.queued) == ([], 0)
    assert list((Path(taken.path) / "base/queue/bodies").iterdir()) == []
    assert sound(taken.path) == []


def test_a_body_that_goes_while_rows_are_copied_is_kept(house: House) -> None:
    house.queue("Q1", "x@b.test", body=b"large")
    body = house.base / "queue/bodies/Q1"

    class Leaving(Disk):
        def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
            connection = super().connect(path, timeout=timeout)
            if path.startswith(str(house.target)):
                body.unlink(missing_ok=True)
            return connection

    house.disk = Leaving()
    taken = house.back_up()
    assert [row[0] for row in rows(taken.path)] == ["Q1"]
    assert (Path(taken.path) / "base/queue/bodies/Q1").read_bytes() == b"large"


def test_half_written_and_forgotten_bodies_stay_out(house: House) -> None:
    (house.base / "queue/bodies/HALF").write_bytes(b"ha")
    taken = house.back_up()
    assert list((Path(taken.path) / "base/queue/bodies").iterdir()) == []


def test_a_lost_body_is_told_and_its_rows_stay(house: House) -> None:
    house.queue("Q1", "x@b.test", body=b"large")
    (house.base / "queue/bodies/Q1").unlink()
    taken = house.back_up()
    assert taken.warnings == ["the body of Q1 is lost"]
    assert [row[0] for row in rows(taken.path)] == ["Q1"]


def test_a_damaged_queue_is_copied_and_told(house: House) -> None:
    for number in range(60):
        house.queue(f"Q{number:03}", "ann@a.test")
    path = house.base / "queue/spool.db"
    data = bytearray(path.read_bytes())
    for page in range(4 * 4096, len(data), 4096):
        data[page : page + 200] = b"x" * 200
    path.write_bytes(data)
    taken = house.back_up()
    assert any("spool.db is damaged" in warning for warning in taken.warnings)
    assert (Path(taken.path) / "base/queue/spool.db").stat().st_size == len(data)


def test_what_is_cut_off_is_no_backup_and_swept(house: House) -> None:
    house.deliver()

    class Dies(BaseException):
        pass

    class Dying(Disk):
        def rename(self, source: str, target: str) -> None:
            if source.endswith("manifest.tmp"):
                raise Dies
            super().rename(source, target)

    house.disk = Dying()
    with pytest.raises(Dies):
        house.back_up()
    sets = BackupSets(str(house.target), Disk())
    assert sets.names() == []
    assert [p.name for p in house.target.iterdir() if p.name != "lock"] != []
    house.disk = Disk()
    taken = house.back_up()
    assert sorted(p.name for p in house.target.iterdir()) == [Path(taken.path).name, "lock"]


def test_a_full_disk_leaves_nothing(house: House) -> None:
    class Full(Disk):
        def sync_directory(self, path: str) -> None:
            if path.endswith("Maildir/cur") and ".partial" in path:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().sync_directory(path)

    house.deliver()
    house.disk = Full()
    with pytest.raises(OSError, match="No space"):
        house.back_up()
    assert [p.name for p in house.target.iterdir()] == ["lock"]


def test_one_at_a_time_and_not_below_the_base(house: House) -> None:
    with BackupSets(str(house.target), Disk()).working(), pytest.raises(BackupBusy):
        house.back_up()
    with pytest.raises(BadTarget, match="below"):
        take_backup(str(house.base), str(house.base / "b"), disk=Disk(), clock=house.clock)


def test_old_ones_are_pruned_and_names_never_collide(house: House) -> None:
    paths = []
    for _ in range(4):
        house.now = 1_795_646_400.0
        paths.append(Path(house.back_up(keep=3).path).name)
    assert len(set(paths)) == 4
    sets = BackupSets(str(house.target), Disk())
    assert sets.names() == paths[1:]
    assert find_set(str(house.target), Disk()) == str(house.target / paths[-1])


def test_changes_of_a_set_are_seen(house: House) -> None:
    for number in range(5):
        house.deliver(b"Subject: %d\n\nbody\n" % number)
    house.disk = Disk()
    taken = house.back_up()
    root = Path(taken.path)
    first, second, third, fourth, fifth = mails(root)
    for path in (first, second, third):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    first.write_bytes(b"Subject: 0\n\nbodY\n")
    second.write_bytes(b"short")
    third.unlink()
    fourth.unlink()
    os.mkfifo(fourth)
    (fifth.parent / "more").touch()
    said = " | ".join(sound(taken.path))
    for words in ("other content", "has 5 octets", "is missing", "no file", "not in the manifest"):
        assert words in said
    assert len(sound(taken.path)) == 5


@pytest.mark.parametrize("harm", ["cut", "change", "none"])
def test_a_manifest_that_is_not_whole_is_known(house: House, harm: str) -> None:
    path = Path(house.back_up().path) / "manifest"
    text = path.read_bytes()
    changed = {"cut": text[:-200], "change": text.replace(b'"mode": "600"', b'"mode": "640"', 1)}
    path.write_bytes(changed.get(harm, b""))
    assert any("manifest" in line for line in sound(str(path.parent)))
    with pytest.raises(BadBackup):
        list(entries(Disk(), str(path.parent)))


@pytest.mark.parametrize(
    ("path", "directory", "kind"),
    [
        ("mail/a.test/ann/Maildir/cur/x.tmp", False, Kind.FROZEN),
        ("mail/a.test/ann/Maildir/.tmp/cur/1:2,", False, Kind.FROZEN),
        ("mail/a.test/ann/Maildir/.a.tmp", True, Kind.PLAIN),
        ("mail/a.test/ann/Maildir/tmp", True, Kind.PLAIN),
        ("mail/a.test/ann/Maildir/tmp/x", False, Kind.LITTER),
        ("mail/a.test/ann/Maildir/tmp/mailframe-leaving-1/cur/x", False, Kind.LITTER),
        ("mail/foo.tmp", True, Kind.PLAIN),
        ("mail/foo.tmp/ann.db-wal", True, Kind.PLAIN),
        ("mail/a.test/ann/Maildir/mailframe-folder", False, Kind.PLAIN),
        ("mail/a.test/ann/uidvalidity.tmp", False, Kind.LITTER),
        ("mail/a.test/ann/index.db", False, Kind.INDEX),
        ("mail/a.test/ann/index.db-wal", False, Kind.LITTER),
        ("directory.db", False, Kind.DATABASE),
        ("queue/bodies/ABC", False, Kind.FROZEN),
        ("run/control.sock", False, Kind.LITTER),
        ("before-restore-1/directory.db", False, Kind.LITTER),
        ("tls/key.pem", False, Kind.PLAIN),
    ],
)
def test_what_lies_where(path: str, directory: bool, kind: Kind) -> None:
    assert kind_of(path, directory) is kind


class OtherFileSystem(Meddling):
    """Nothing of the base can be linked."""

    def link(self, source: str, target: str) -> None:
        if "/base/mail/" in source and "/backups/" not in source:
            raise OSError(errno.EXDEV, "other file system")
        super().link(source, target)


@pytest.mark.parametrize("kind", [Meddling, OtherFileSystem])
def test_an_old_message_that_gets_flags_behind_us_is_there_once(
    house: House, kind: type[Meddling]
) -> None:
    house.now += 10**9  # nothing has changed for long when the backup begins
    message, other = house.deliver(flags=""), house.deliver(user="bob", flags="")
    house.disk = kind(other.parent, lambda: os.rename(message, f"{message}S"))
    taken = house.back_up()
    assert [path.name for path in mails(taken.path)] == [f"{message.name}S", other.name]
    assert taken.messages == 2


def test_a_directory_of_the_future_is_not_restless_for_ever(house: House) -> None:
    cur = house.deliver(flags="").parent
    os.utime(cur, (NOW + 10**8, NOW + 10**8))
    house.now += 10**6
    assert house.back_up().warnings == []


def test_a_clock_that_was_set_back_does_not_make_the_new_one_old(house: House) -> None:
    first = house.back_up()
    house.now -= 86_400
    second = house.back_up(keep=1)
    assert second.removed == [os.path.basename(first.path)]
    third = house.back_up(keep=1)
    assert third.removed == [os.path.basename(second.path)]
    assert find_set(str(house.target), Disk()) == third.path


def test_a_relative_directory(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    taken = take_backup(str(house.base), "here", disk=Disk(), clock=house.clock)
    assert os.path.dirname(taken.path) == str(tmp_path / "here")


JUNK = b"SQLite format 3\0" + b"junk" * 2000


@pytest.mark.parametrize("path", ["journal.db", "queue/spool.db", "reports.db"])
def test_a_file_that_is_no_database_any_more_is_kept_as_it_is(house: House, path: str) -> None:
    message = house.deliver()
    (house.base / path).write_bytes(JUNK)
    taken = house.back_up()
    assert any(path in warning for warning in taken.warnings)
    assert (Path(taken.path) / "base" / path).read_bytes() == JUNK
    assert [path.name for path in mails(taken.path)] == [message.name]
    assert [d.is_of_old for d in check_set(Disk(), taken.path, Total())] == [True]


def test_what_fsck_set_aside_is_kept_as_it_is(house: House) -> None:
    aside = house.base / "damaged/T/mail/a.test/ann"
    aside.mkdir(parents=True)
    for name in ("index.db", "index.db-wal"):
        (aside / name).write_bytes(JUNK)
    taken = house.back_up()
    kept = Path(taken.path) / "base" / aside.relative_to(house.base)
    assert sorted(p.name for p in kept.iterdir()) == ["index.db", "index.db-wal"]
    assert (taken.warnings, sound(taken.path)) == ([], [])


def test_nothing_is_made_of_a_base_that_waits_for_a_restore(house: House) -> None:
    (house.base / ".restoring").mkdir()
    with pytest.raises(BadBackup, match="cut off"):
        house.back_up()
    assert BackupSets(str(house.target), Disk()).names() == []


def test_names_that_are_no_text(house: House) -> None:
    message = house.deliver()
    os.rename(message, os.fsencode(message.parent) + b"/1.\xff.h")
    for name in (b"/a\xff.db", b"/b\xff"):
        os.link(house.base / "directory.db", os.fsencode(house.base) + name)
    assert sound(house.back_up().path) == []


class Unreadable(Disk):
    """One file or directory is not given."""

    def __init__(self, end: str, number: int) -> None:
        self._end, self._number = end, number

    def _check(self, path: str) -> None:
        if path.endswith(self._end):
            raise OSError(self._number, os.strerror(self._number), path)

    def open(self, path: str) -> BinaryIO:
        self._check(path)
        return super().open(path)

    def scan(self, path: str) -> Iterator[os.DirEntry[str]]:
        self._check(path)
        return super().scan(path)


def test_a_message_that_cannot_be_read_is_named_and_the_others_are_there(house: House) -> None:
    bad, good = house.deliver(), house.deliver()
    house.disk = Unreadable(bad.name, errno.EIO)
    taken = house.back_up()
    assert [path.name for path in mails(taken.path)] == [good.name]
    assert [bad.name in warning for warning in taken.warnings] == [True]
    assert sound(taken.path) == []


@pytest.mark.parametrize("name", ["mail/a.test/ann/Maildir/.X/cur", "mail/a.test", "x"])
def test_a_directory_that_cannot_be_read_is_named(house: House, name: str) -> None:
    house.maildir("ann", "X")
    good = house.deliver(user="bob")
    (house.base / name).mkdir(exist_ok=True)
    house.disk = Unreadable(str(house.base / name), errno.EACCES)
    taken = house.back_up()
    assert taken.warnings == [f"{name}: Permission denied"]
    if name != "mail/a.test":
        assert [path.name for path in mails(taken.path)] == [good.name]


def test_a_file_system_of_its_own_has_a_directory_of_its_own(house: House) -> None:
    (house.base / "lost+found").mkdir()
    house.disk = Unreadable("/lost+found", errno.EACCES)
    taken = house.back_up()
    assert taken.warnings == []
    assert not (Path(taken.path) / "base/lost+found").exists()


def test_an_old_one_that_cannot_be_removed_does_not_undo_the_new(house: House) -> None:
    class Stubborn(Disk):
        def unlink(self, path: str) -> None:
            if path.startswith(f"{first.path}.partial"):
                raise PermissionError(errno.EPERM, "no", path)
            super().unlink(path)

    first = house.back_up()
    house.disk = Stubborn()
    second = house.back_up(keep=1)
    assert (second.removed, len(second.warnings)) == ([], 1)
    third = house.back_up(keep=5)
    assert BackupSets(str(house.target), Disk()).names() == [
        os.path.basename(taken.path) for taken in (second, third)
    ]
    assert len(third.warnings) == 1


def test_litter_that_is_a_link_is_removed_itself(house: House, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    house.target.mkdir()
    (house.target / "2026-01-01T00-00-00Z.partial").symlink_to(tmp_path / "other")
    house.back_up()
    assert (tmp_path / "other" / "file").exists()
    assert not os.path.lexists(house.target / "2026-01-01T00-00-00Z.partial")


@pytest.mark.parametrize(
    "line",
    [
        b'{"path": "base/\\ud800", "mode": "600", "size": 1, "sha256": "x"}',
        b"[" * 100_000,
        b'{"path": "base/../../x", "mode": "600"}',
        b'{"path": "base/x", "mode": "600", "size": 1e999, "sha256": "x"}',
        b'{"end": true}',
    ],
)
def test_a_manifest_by_somebody_else_is_refused(house: House, line: bytes) -> None:
    taken = house.back_up()
    manifest = Path(taken.path) / "manifest"
    manifest.write_bytes(manifest.read_bytes().partition(b"\n")[0] + b"\n" + line + b"\n")
    with pytest.raises(BadBackup):
        list(entries(Disk(), taken.path))
    with pytest.raises(BadBackup):
        read_total(Disk(), taken.path)
    house.back_up()  # it is no reason not to make a new one


def test_a_manifest_that_is_no_file_is_none(house: House) -> None:
    manifest = Path(house.back_up().path) / "manifest"
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(BadBackup, match="no file"):
        read_total(Disk(), str(manifest.parent))


def test_an_index_that_is_no_file_is_named(house: House) -> None:
    good = house.deliver()
    (house.base / "mail/a.test/ann/index.db").mkdir()
    (house.base / "mail/a.test/bob/index.mark").mkdir(parents=True)
    sqlite3.connect(house.base / "mail/a.test/bob/index.db").close()
    taken = house.back_up()
    assert [path.name for path in mails(taken.path)] == [good.name]
    assert ["no file" in warning for warning in taken.warnings] == [True]
