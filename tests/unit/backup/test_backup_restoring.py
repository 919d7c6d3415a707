"""Out of a backup: a whole base, single messages, and indexes that were told too much since."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from mailframe.app.backups.layout import OLD_MARK
from mailframe.app.backups.restoring import Restored, restore_base
from mailframe.app.backups.returning import Returned, return_messages
from mailframe.backup.files import walk
from mailframe.backup.manifest import BadBackup, entries
from mailframe.backup.placing import NotEmpty, Placing
from mailframe.backup.sets import BackupBusy
from mailframe.backup.unfinished import is_unfinished
from mailframe.mailbox import folder_file
from mailframe.mailbox.index.mark import Mark
from mailframe.mailbox.index.schema import MIGRATIONS as INDEX
from mailframe.runtime.disk import Disk
from tests.unit.backup.conftest import NOW, House

_FOLDER = (
    "INSERT INTO folder VALUES (1, 'INBOX', 'Fabc', 1700000000, 8, 5, 1, 1, 0, 0);"
    "INSERT INTO past VALUES ('INBOX', 1700000000, 'Fabc');"
)


def restore(house: House, source: str, base: Path, **options: bool) -> Restored:
    return restore_base(source, str(base), disk=house.disk, now=NOW + 86_400, **options)


def index_of(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(home / "index.db", isolation_level=None)


def make_index(house: House) -> Path:
    house.deliver()
    home = house.base / "mail/a.test/ann"
    folder_file.write(
        house.disk, str(home / "Maildir"), folder_file.FolderTruth("Fabc", 1_700_000_000)
    )
    folder_file.note_uid_validity(house.disk, str(home), 1_700_000_000)
    connection = index_of(home)
    script = ";".join([*INDEX, f"PRAGMA user_version={len(INDEX)}", _FOLDER])
    connection.executescript(script)
    connection.close()
    return home


def test_what_was_there_is_there_again(house: House, tmp_path: Path) -> None:
    house.deliver(b"Subject: one\n\n")
    house.deliver(flags="FS", folder="Work")
    house.queue("Q1", "x@b.test", body=b"large")
    (house.base / "tls").mkdir()
    (house.base / "tls/key.pem").write_bytes(b"key")
    (house.base / "tls/key.pem").chmod(0o640)
    taken = house.back_up()
    new = tmp_path / "new"
    restored = restore(house, taken.path, new)
    assert (restored.accounts, restored.relayed, restored.held) == (1, 1, False)
    digests = {e.path.removeprefix("base/") for e in entries(Disk(), taken.path)}
    assert {found.path for found in walk(Disk(), str(new))} <= digests
    assert (new / "queue/bodies/Q1").read_bytes() == b"large"
    assert (new / "tls/key.pem").stat().st_mode & 0o777 == 0o600  # nobody else's
    assert not is_unfinished(Disk(), str(new))


def test_a_base_in_use_is_left_alone_or_moved_aside(house: House) -> None:
    house.deliver(b"Subject: one\n\n")
    taken = house.back_up()
    house.deliver(b"Subject: two\n\n")
    with pytest.raises(NotEmpty):
        restore(house, taken.path, house.base)
    restored = restore(house, taken.path, house.base, force=True)
    aside = Path(restored.aside)
    assert aside.parent == house.base
    assert len(list((aside / "mail/a.test/ann/Maildir/new").iterdir())) == 2
    assert len(list((house.base / "mail/a.test/ann/Maildir/new").iterdir())) == 1
    # and it is in no later backup
    assert not any("before" in e.path for e in entries(Disk(), house.back_up().path))


def test_a_damaged_backup_changes_nothing(house: House, tmp_path: Path) -> None:
    house.deliver()
    taken = house.back_up()
    next((Path(taken.path) / "base/mail/a.test/ann/Maildir/new").iterdir()).unlink()
    new = tmp_path / "new"
    with pytest.raises(BadBackup, match="is missing"):
        restore(house, taken.path, new)
    with pytest.raises(BadBackup, match="is missing"):
        restore(house, taken.path, house.base, force=True)
    assert list(new.iterdir()) == []
    assert (house.base / "directory.db").exists()
    assert not is_unfinished(Disk(), str(house.base))


def test_two_at_once_do_not_mix(house: House, tmp_path: Path) -> None:
    house.deliver()
    source = house.back_up().path
    new = str(tmp_path / "new")
    with Placing(house.disk, source, new).alone():
        with pytest.raises(BackupBusy):
            restore(house, source, Path(new))
        assert is_unfinished(Disk(), new)
    restore(house, source, Path(new))
    assert not is_unfinished(Disk(), new)


def test_whoever_thinks_better_of_it_has_his_base_as_it_was(house: House) -> None:
    house.deliver()
    source = house.back_up().path

    def stop(what: str, octets: int) -> None:
        if what == "restoring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_base(source, str(house.base), disk=house.disk, now=NOW, force=True, progress=stop)
    assert not is_unfinished(Disk(), str(house.base))
    assert (house.base / "directory.db").exists()


def test_what_was_moved_aside_before_stays_where_it_is(house: House) -> None:
    source = house.back_up().path
    aside = [restore(house, source, house.base, force=True).aside for _ in range(2)]
    assert aside[0] != aside[1]
    assert all((Path(path) / "directory.db").exists() for path in aside)


def test_a_file_that_was_damaged_already_does_not_keep_the_mail_away(
    house: House, tmp_path: Path
) -> None:
    message = house.deliver()
    (house.base / "queue/spool.db").write_bytes(b"SQLite format 3\0" + b"junk" * 2000)
    source = house.back_up().path
    restored = restore(house, source, tmp_path / "new")
    assert [fault.partition(":")[0] for fault in restored.damaged] == ["queue/spool.db"]
    assert (tmp_path / "new" / message.relative_to(house.base)).exists()
    with pytest.raises(BadBackup, match="held"):  # what was asked for cannot be done
        restore(house, source, tmp_path / "other", hold=True)


def test_relayed_mail_can_be_held(house: House, tmp_path: Path) -> None:
    house.queue("Q1", "x@b.test", "ann@a.test")
    restore(house, house.back_up().path, tmp_path / "new", hold=True)
    connection = sqlite3.connect(tmp_path / "new/queue/spool.db")
    assert connection.execute("SELECT address, state FROM recipient").fetchall() == [
        ("x@b.test", 3),
        ("ann@a.test", 1),
    ]
    connection.close()


def test_a_restored_index_goes_on_under_greater_validity(house: House, tmp_path: Path) -> None:
    make_index(house)
    taken = house.back_up()
    restore(house, taken.path, tmp_path / "new")
    home = tmp_path / "new/mail/a.test/ann"
    connection = index_of(home)
    validity, uid_next = connection.execute("SELECT uid_validity, uid_next FROM folder").fetchone()
    life = connection.execute("SELECT id, commits FROM life").fetchone()
    past = connection.execute("SELECT uid_validity FROM past").fetchone()[0]
    connection.close()
    assert validity == past == int(NOW) + 86_400
    assert uid_next == 8
    assert folder_file.highest_uid_validity(Disk(), str(home)) == validity
    marked = Mark(str(home / "index.mark"), Disk()).read()
    assert marked is not None
    assert (marked.id, marked.number) == life


def test_a_server_that_moves_keeps_its_uids(house: House, tmp_path: Path) -> None:
    make_index(house)
    restore(house, house.back_up().path, tmp_path / "new", keep_uids=True)
    home = tmp_path / "new/mail/a.test/ann"
    connection = index_of(home)
    assert connection.execute("SELECT uid_validity FROM folder").fetchone() == (1_700_000_000,)
    connection.close()
    assert Mark(str(home / "index.mark"), Disk()).read() is not None


def test_an_index_put_back_by_hand_is_known_for_old(house: House, tmp_path: Path) -> None:
    make_index(house)
    taken = house.back_up()
    shutil.copytree(Path(taken.path) / "base", tmp_path / "hand")
    home = tmp_path / "hand/mail/a.test/ann"
    assert (home / "index.mark").read_bytes() == OLD_MARK
    marked = Mark(str(home / "index.mark"), Disk()).read()
    connection = index_of(home)
    from mailframe.mailbox.index.mark import last_commit

    assert marked is not None
    assert not last_commit(connection).follows(marked)
    connection.close()


def returned(house: House, source: str, **options: object) -> Returned:
    return return_messages(
        source, str(house.base), "ann@a.test",
        disk=house.disk, hostname="h.test", now=NOW, **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_one_message_comes_back_where_it_was(house: House) -> None:
    keywords = b"0 project\n"
    (house.maildir(folder="Work") / "dovecot-keywords").write_bytes(keywords)
    text = b"Message-ID: <gone@x>\nSubject: gone\n\n"
    gone = house.deliver(text, folder="Work", flags="FSa")
    stays = house.deliver(b"Message-ID: <stays@x>\n\n", folder="Work", flags="S")
    taken = house.back_up()
    gone.unlink()
    (house.maildir(folder="Work") / "dovecot-keywords").write_bytes(b"0 other\n")
    result = returned(house, taken.path, message_ids=["gone@x"])
    assert (result.returned, result.present, result.found) == (1, 0, 1)
    there = [p for p in (house.maildir(folder="Work") / "cur").iterdir() if p != stays]
    assert [p.read_bytes() for p in there] == [text]
    assert there[0].name.endswith(":2,FSb")  # the letter that the keyword has here
    again = returned(house, taken.path, message_ids=["<gone@x>"])
    assert (again.returned, again.present) == (0, 1)


def test_an_account_comes_back_without_what_it_still_has(house: House) -> None:
    kept, moved, gone = (house.deliver(b"Subject: %d\n\n" % n, flags="") for n in range(3))
    taken = house.back_up()
    moved.rename(house.maildir(folder="Work") / "cur" / f"{moved.name}S")
    gone.unlink()
    result = returned(house, taken.path, into="Restored")
    assert (result.returned, result.present, result.found) == (1, 2, 3)
    (there,) = (house.maildir(folder="Restored") / "cur").iterdir()
    assert there.read_bytes() == b"Subject: 2\n\n"
    assert kept.exists()


def test_what_the_backup_has_not_or_has_damaged_is_refused(house: House) -> None:
    message = house.deliver()
    taken = house.back_up()
    assert returned(house, taken.path, message_ids=["other@x"]).found == 0
    with pytest.raises(FileNotFoundError):
        return_messages(
            taken.path, str(house.base), "bob@a.test", disk=Disk(), hostname="h", now=NOW
        )
    copy = Path(taken.path) / "base" / message.relative_to(house.base)
    message.unlink()
    copy.write_bytes(b"Subject: y\n\nx\n")
    with pytest.raises(BadBackup):
        returned(house, taken.path)
    assert list((house.maildir() / "new").iterdir()) == []


def test_one_damaged_mailbox_does_not_keep_the_others_away(house: House, tmp_path: Path) -> None:
    home = make_index(house)
    message = house.deliver(user="bob")
    (home / "uidvalidity").unlink()
    (home / "uidvalidity").mkdir()
    restore(house, house.back_up().path, tmp_path / "new")
    assert (tmp_path / "new" / message.relative_to(house.base)).exists()
    # and nobody goes on with uids of an index that is too old
    assert (tmp_path / "new/mail/a.test/ann/index.mark").read_bytes() == OLD_MARK
