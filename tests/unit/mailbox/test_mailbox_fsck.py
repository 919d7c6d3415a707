"""What fsck finds in a mailbox, and that mending loses nothing."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from mailframe.mailbox import folder_file
from mailframe.mailbox.fsck.account import AccountLook
from mailframe.mailbox.fsck.faults import REMEDIES, Fault, Kind
from mailframe.mailbox.fsck.mending import Mender, settle_quota
from mailframe.mailbox.index.schema import MIGRATIONS
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName, key_of, new_name, with_sizes
from mailframe.runtime.disk import Disk

NOW = 1_795_646_400.0
TEXT = b"Subject: x\n\nbody\n"


class Account:
    def __init__(self, path: Path) -> None:
        self.base = path
        self.home = path / "mail/a.test/ann"
        self.inbox = self.home / "Maildir"
        for folder in ("", ".Work"):
            Maildir(str(self.inbox / folder) if folder else str(self.inbox), Disk()).ensure()
        self.number = 0

    def message(self, text: bytes = TEXT, size: int | None = None, where: str = "cur") -> Path:
        self.number += 1
        unique = new_name(NOW, self.number, key_of(f"t{self.number}"), "h.test")
        name = with_sizes(unique, len(text) if size is None else size, len(text) + 3)
        path = self.inbox / where / (name + (":2,S" if where == "cur" else ""))
        path.write_bytes(text)
        path.chmod(0o600)
        return path

    def look(self) -> list[Fault]:
        look = AccountLook("ann@a.test", str(self.home), Disk(), read=True, now=NOW + 10**6)
        return list(look.faults())

    def kinds(self) -> list[Kind]:
        return [fault.kind for fault in self.look()]

    def mend(self) -> Path:
        mender = Mender(str(self.base), Disk(), stamp="T", host="h.test", now=NOW)
        for fault in self.look():
            assert mender.mend(fault)
        settle_quota(Disk(), Maildir(str(self.inbox), Disk()))
        return Path(mender.directory)

    def index(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.home / "index.db", isolation_level=None)
        (self.home / "index.db").chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(";".join([*MIGRATIONS, f"PRAGMA user_version={len(MIGRATIONS)}"]))
        return connection


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def empty(account: Account) -> None:
    account.message(b"", 17)


def cut_off(account: Account) -> None:
    account.message(TEXT[:9], len(TEXT))


def longer(account: Account) -> None:
    account.message(TEXT, 5)


def directory(account: Account) -> None:
    (account.inbox / "cur/1.M1.h").mkdir(mode=0o700)
    (account.inbox / "cur/1.M1.h/inner").write_bytes(TEXT)


def link(account: Account) -> None:
    (account.inbox / "new/1.M1.h").symlink_to("/nowhere")


def fifo(account: Account) -> None:
    os.mkfifo(account.inbox / ".Work/cur/1.M1.h:2,", 0o600)


def odd_name(account: Account) -> None:
    path = account.message()
    os.rename(path, os.fsencode(path.parent) + b"/1.M1\xff\n.h:2,FS")


def twice(account: Account) -> None:
    path = account.message()
    os.link(path, path.with_name(path.name + "F"))


def two_of_a_name(account: Account) -> None:
    path = account.message()
    other = account.inbox / "new" / path.name.partition(":")[0]
    other.write_bytes(TEXT.replace(b"x", b"y"))
    other.chmod(0o600)


def stray(account: Account) -> None:
    path = account.inbox / "tmp/1.M1.h"
    path.write_bytes(b"half")
    path.chmod(0o600)
    os.utime(path, (NOW, NOW))


def mode(account: Account) -> None:
    account.message().chmod(0o644)


def shut(account: Account) -> None:
    (account.inbox / ".Work").chmod(0o500)


def no_tmp(account: Account) -> None:
    (account.inbox / "tmp").rmdir()


def no_cur_but_new(account: Account) -> None:
    (account.inbox / ".Work/cur").rmdir()


def a_file_for_tmp(account: Account) -> None:
    (account.inbox / "tmp").rmdir()
    (account.inbox / "tmp").touch(0o600)


def folder_name(account: Account) -> None:
    Maildir(os.fsdecode(os.fsencode(account.inbox) + b"/.W\xffx"), Disk()).ensure()


def bad_folder_file(account: Account) -> None:
    (account.inbox / ".Work/mailframe-folder").write_bytes(b'{"mailbox_id"')


def small_file(account: Account) -> None:
    (account.inbox / "subscriptions").mkdir()


def bad_uid_validity(account: Account) -> None:
    (account.home / "uidvalidity").write_bytes(b"\0\0\0")


def uid_validity_behind(account: Account) -> None:
    truth = folder_file.FolderTruth("Fabc", 1_800_000_000)
    folder_file.write(Disk(), str(account.inbox), truth)
    folder_file.note_uid_validity(Disk(), str(account.home), 5)


def bad_index(account: Account) -> None:
    (account.home / "index.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    (account.home / "index.db").chmod(0o600)


def index_that_lies(account: Account) -> None:
    path = account.message()
    connection = account.index()
    stamps = [os.stat(account.inbox / name).st_mtime_ns for name in ("new", "cur")]
    connection.execute("INSERT INTO folder VALUES (1, 'INBOX', 'F', 1, 9, 1, 1, 1, ?, ?)", stamps)
    row = "INSERT INTO message VALUES (1, ?, ?, 'cur/:2,S', '', 1, 1, 1, 1, 1, NULL)"
    connection.execute(row, (1, path.name.partition(":")[0]))
    connection.execute(row, (2, "1.M1.lost"))
    connection.close()


def quota(account: Account) -> None:
    account.message()
    path = account.inbox / "maildirsize"
    path.write_bytes(b"1000S\n5 1\n1 1\n")
    path.chmod(0o600)


CASES: list[tuple[Callable[[Account], None], Kind]] = [
    (empty, Kind.EMPTY),
    (cut_off, Kind.CUT_OFF),
    (longer, Kind.WRONG_SIZE),
    (directory, Kind.NO_MESSAGE),
    (link, Kind.NO_MESSAGE),
    (fifo, Kind.NO_MESSAGE),
    (odd_name, Kind.BAD_NAME),
    (twice, Kind.TWICE),
    (two_of_a_name, Kind.SAME_NAME),
    (stray, Kind.STRAY),
    (mode, Kind.MODE),
    (shut, Kind.MODE),
    (no_tmp, Kind.NO_FOLDER),
    (no_cur_but_new, Kind.NO_FOLDER),
    (a_file_for_tmp, Kind.NO_FOLDER),
    (folder_name, Kind.BAD_FOLDER_NAME),
    (bad_folder_file, Kind.FOLDER_FILE),
    (small_file, Kind.SMALL_FILE),
    (bad_uid_validity, Kind.UIDVALIDITY),
    (uid_validity_behind, Kind.UIDVALIDITY),
    (bad_index, Kind.INDEX),
    (index_that_lies, Kind.INDEX),
    (quota, Kind.QUOTA),
]


def whole(top: Path) -> set[tuple[int, bytes]]:
    """Every file that is there, wherever, by inode and content; small files but for those
    that are written anew."""
    anew = {"uidvalidity", "maildirsize", "report", "maildirfolder"}
    return {
        (path.stat().st_ino, path.read_bytes())
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name not in anew
    }


@pytest.mark.parametrize(("harm", "kind"), CASES, ids=[case[0].__name__ for case in CASES])
def test_it_is_found_and_mended_and_nothing_is_lost(
    account: Account, harm: Callable[[Account], None], kind: Kind
) -> None:
    good = account.message()
    assert account.look() == []
    harm(account)
    before = whole(account.base)
    assert account.kinds() == [kind]
    assert whole(account.base) == before  # looking changes nothing
    account.mend()
    assert account.look() == []
    assert whole(account.base) == before
    assert good.read_bytes() == TEXT


def test_every_kind_has_a_remedy_and_a_way() -> None:
    assert set(REMEDIES) == set(Kind)
    mender = Mender("/x", Disk(), stamp="T", host="h", now=NOW)
    assert set(mender._ways) == set(Kind)
    assert {kind for _, kind in CASES} | {Kind.UNREADABLE} == set(Kind)


def test_what_is_set_aside_keeps_its_path_and_is_told(account: Account) -> None:
    path = account.message(b"", 3)
    aside = account.mend()
    assert (aside / path.relative_to(account.base)).exists()
    assert str(path) in (aside / "report").read_text()


def test_a_new_name_says_the_size_and_keeps_flags(account: Account) -> None:
    account.message(TEXT, 5)
    account.mend()
    (path,) = (account.inbox / "cur").iterdir()
    name = FileName.parse(path.name)
    assert (name.size, name.wire_size, name.flags) == (len(TEXT), len(TEXT) + 3, "S")
    assert name.received == int(NOW)


def test_the_log_of_an_index_goes_with_it(account: Account) -> None:
    bad_index(account)
    (fault,) = account.look()
    (account.home / "index.db-wal").write_bytes(b"old")
    mender = Mender(str(account.base), Disk(), stamp="T", host="h", now=NOW)
    assert mender.mend(fault)
    assert [path.name for path in account.home.iterdir()] == ["Maildir"]


def test_what_vanished_meanwhile_is_left_alone(account: Account) -> None:
    path = account.message(b"", 3)
    (fault,) = account.look()
    path.unlink()
    mender = Mender(str(account.base), Disk(), stamp="T", host="h", now=NOW)
    assert not mender.mend(fault)


def test_what_the_disk_does_not_give_is_set_aside(account: Account) -> None:
    path = account.message()

    class Bad(Disk):
        def open(self, name: str):  # type: ignore[no-untyped-def]
            if name == str(path):
                raise OSError(5, "Input/output error", name)
            return super().open(name)

    look = AccountLook("ann@a.test", str(account.home), Bad(), read=True, now=NOW)
    assert [fault.kind for fault in look.faults()] == [Kind.UNREADABLE]


def test_compressed_by_dovecot_is_no_damage(account: Account) -> None:
    account.message(b"\x1f\x8b\x08\0rest", 4000)
    assert account.look() == []


def test_compressed_by_dovecot_is_counted_as_dovecot_does(account: Account) -> None:
    account.message(b"\x1f\x8b\x08\0rest", 4000)
    (account.inbox / "maildirsize").write_bytes(b"9000S\n4000 1\n")
    (account.inbox / "maildirsize").chmod(0o600)
    assert account.look() == []


def test_the_last_of_two_is_never_set_aside(account: Account) -> None:
    path = account.message()
    double = path.with_name(path.name + "F")
    double.write_bytes(TEXT)
    double.chmod(0o600)
    (fault,) = account.look()
    os.unlink(fault.other)
    mender = Mender(str(account.base), Disk(), stamp="T", host="h", now=NOW)
    assert not mender.mend(fault)
    assert os.path.exists(fault.path)


def test_of_two_the_one_with_flags_stays(account: Account) -> None:
    path = account.message()
    (account.inbox / "new" / path.name.partition(":")[0]).write_bytes(TEXT)
    (account.inbox / "new" / path.name.partition(":")[0]).chmod(0o600)
    account.mend()
    assert path.exists()
    assert account.look() == []


def test_a_mend_that_died_between_two_names_is_finished(account: Account) -> None:
    path = account.message(TEXT, 5)

    class Dying(Disk):
        def unlink(self, name: str) -> None:
            raise KeyboardInterrupt

    (fault,) = account.look()
    with pytest.raises(KeyboardInterrupt):
        Mender(str(account.base), Dying(), stamp="T", host="h.test", now=NOW).mend(fault)
    assert len(list(path.parent.iterdir())) == 2
    for fault in account.look():
        Mender(str(account.base), Disk(), stamp="U", host="h.test", now=NOW + 9).mend(fault)
    assert len(list(path.parent.iterdir())) == 1
    assert account.look() == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ESTALE, errno.ENOMEM])
@pytest.mark.parametrize("kind", ["message", "folder file"])
def test_trouble_that_is_not_the_disk_s_is_no_damage(
    account: Account, number: int, kind: str
) -> None:
    path = account.message() if kind == "message" else account.inbox / folder_file.FILE
    if kind != "message":
        folder_file.write(Disk(), str(account.inbox), folder_file.FolderTruth("Fabc", 1))

    class Busy(Disk):
        def open(self, name: str) -> BinaryIO:
            if name == str(path):
                raise OSError(number, os.strerror(number), name)
            return super().open(name)

        def read(self, name: str) -> bytes:
            with self.open(name) as file:
                return file.read()

    look = AccountLook("ann@a.test", str(account.home), Busy(), read=True, now=NOW)
    with pytest.raises(OSError, match=os.strerror(number)):
        list(look.faults())


def test_a_folder_that_lies_elsewhere_has_no_mode_of_its_own(
    account: Account, tmp_path: Path
) -> None:
    os.rename(account.inbox / ".Work", tmp_path / "work")
    (account.inbox / ".Work").mkdir(mode=0o700)
    for name in ("cur", "new", "tmp"):
        (account.inbox / ".Work" / name).symlink_to(tmp_path / "work" / name)
    assert account.look() == []


def test_a_folder_file_that_is_shut_is_opened_and_kept(account: Account) -> None:
    folder_file.write(Disk(), str(account.inbox), folder_file.FolderTruth("Fabc", 1))
    folder_file.note_uid_validity(Disk(), str(account.home), 1)
    (account.inbox / folder_file.FILE).chmod(0)
    assert account.kinds() == [Kind.MODE]
    account.mend()
    assert folder_file.read(Disk(), str(account.inbox)) == folder_file.FolderTruth("Fabc", 1)
