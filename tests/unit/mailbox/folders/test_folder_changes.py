"""CREATE, DELETE, RENAME: what is on disk afterwards, who is told, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from zope.interface.verify import verifyObject

from mailframe.core.folders import FolderInfo
from mailframe.errors import FolderRefused, PermanentFailure, TransientFailure
from mailframe.interfaces import IAccessControl, IAnnotations, IFolders, IQuotas, IStatuses
from mailframe.mailbox import folder_file
from mailframe.mailbox.folders import tree
from mailframe.mailbox.quota import Quota
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.folders.house import ANN, FolderHouse, now, refused
from tests.unit.mailbox.house import FailingDisk


def test_its_interfaces(house: FolderHouse) -> None:
    for interface in (IFolders, IStatuses, IQuotas, IAnnotations, IAccessControl):
        verifyObject(interface, house.of())


def test_a_new_account_has_an_inbox_and_nothing_on_disk(house: FolderHouse) -> None:
    assert now(house.of().all()) == [FolderInfo("INBOX")]
    assert list(house.base.iterdir()) == []


def test_create_makes_the_levels_above(house: FolderHouse) -> None:
    told = house.heard(ANN)
    mailbox_id = now(house.of().create("Work/Größe/a.b"))
    assert house.names() == ["INBOX", "Work", "Work/Größe", "Work/Größe/a.b"]
    assert told == ["Work", "Work/Größe", "Work/Größe/a.b"]
    directory = ".Work.Gr&APYA3w-e.a&AC4-b"
    assert house.truth(directory).mailbox_id == mailbox_id
    assert (house.maildir() / directory / "maildirfolder").exists()
    ids = {house.truth(name).mailbox_id for name in (".Work", ".Work.Gr&APYA3w-e", directory)}
    assert len(ids) == 3


@pytest.mark.parametrize("name", ["INBOX", "inbox", "Inbox/", "Work", "Work/"])
def test_create_what_is_there(house: FolderHouse, name: str) -> None:
    house.make("Work")
    with refused("ALREADYEXISTS"):
        house.make(name)


@pytest.mark.parametrize(
    "name",
    ["", "/", "//", "/Work", "Work//x", "Work//", "a\0b", "a\rb", "a\nb", "a\x7f", "a\x85b",
     "a\u2028b", "\ud800", "x\udfff/y"],
)  # fmt: skip
def test_names_that_cannot_be(house: FolderHouse, name: str) -> None:
    with refused("CANNOT"):
        house.make(name)
    house.make("Old")
    with refused("CANNOT"):
        now(house.of().rename("Old", name))
    for use in (house.of().folder, house.of().delete, house.of().my_rights, house.of().acl):
        with pytest.raises(FolderRefused):
            now(use(name))
    with refused("CANNOT"):
        now(house.of().subscribe(name, True))
    assert house.names() == ["INBOX", "Old"]


@pytest.mark.parametrize(
    "name",
    ["..", ".", "../../bob/Maildir", "../x", "x/../../y", "~root", "&AC8-", "&AC4AJg-", "a&b",
     "cur", "new", "tmp", "mailframe-folder", "ınbox", "INBOX/x", "100%", "*", "\\", "a b "],
)  # fmt: skip
def test_odd_names_are_folders_like_others(house: FolderHouse, name: str) -> None:
    now(house.of().create(name))
    assert name in house.names()
    assert name not in ("INBOX", "")
    created = {path.name for path in house.maildir().iterdir()}
    assert created >= {"cur", "new", "tmp"}
    assert all(entry.startswith(".") for entry in created - {"cur", "new", "tmp"})
    assert {path.name for path in house.base.iterdir()} == {"mail"}
    now(house.of().folder(name))
    now(house.of().delete(name))
    assert name not in house.names()


def test_long_names(house: FolderHouse) -> None:
    house.make("x" * 254)
    with refused("LIMIT"):
        house.make("x" * 255)
    with refused("LIMIT"):
        house.make("é" * 100)
    with refused("LIMIT"):
        house.make("x" * 10**6)
    assert house.names() == ["INBOX", "x" * 254]


def test_a_rename_that_would_make_a_child_too_long_does_nothing(house: FolderHouse) -> None:
    house.make("a/" + "x" * 250)
    with refused("LIMIT"):
        now(house.of().rename("a", "abcdef"))
    assert house.names() == ["INBOX", "a", "a/" + "x" * 250]


def test_names_are_composed_and_found_decomposed(house: FolderHouse) -> None:
    house.make("Cafe\u0301")
    assert house.names() == ["Caf\u00e9", "INBOX"]
    now(house.of().folder("Cafe\u0301"))
    assert house.live.calls[-1][2:4] == ("Caf\u00e9", "Caf\u00e9")
    with refused("ALREADYEXISTS"):
        house.make("Cafe\u0301")


def test_a_decomposed_name_of_another_program(house: FolderHouse) -> None:
    house.make("x")
    directory = house.maildir() / ".Cafe&AwE-"
    os.rename(house.maildir() / ".x", directory)
    assert "Cafe\u0301" in house.names()
    now(house.of().folder("Cafe\u0301"))
    now(house.of().delete("Cafe\u0301"))
    assert not directory.exists()


def test_too_many(house: FolderHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_FOLDERS", 4)
    house.make("a/b")
    with refused("LIMIT"):
        house.make("c/d")
    with refused("LIMIT"):
        now(house.of().rename("a/b", "x/y/z"))
    house.make("c")


def test_a_symbolic_link_is_no_folder(house: FolderHouse) -> None:
    house.make("Work")
    outside = house.base / "outside"
    (outside / "cur").mkdir(parents=True)
    (outside / "cur" / "precious").write_text("x")
    (house.maildir() / ".Link").symlink_to(outside)
    (house.maildir() / ".Half").mkdir()
    (house.maildir() / ".Half" / "cur").symlink_to(outside / "cur")
    (house.maildir() / ".Work" / "more").symlink_to(outside)
    assert "Link" not in house.names()
    with refused("NONEXISTENT"):
        now(house.of().delete("Link"))
    with refused("CANNOT"):
        house.make("Link")
    with refused("CANNOT"):
        now(house.of().rename("Work", "Link"))
    now(house.of().delete("Work"))
    assert (outside / "cur" / "precious").exists()
    assert not (outside / "new").exists()


def test_delete(house: FolderHouse) -> None:
    house.make("Work/Sub")
    house.mail.deliver(b"x" * 98 + b"\r\n", "T1", folder="Work")
    (house.maildir() / "maildirsize").write_text("1000S\n99 1\n")
    told = house.heard(ANN)
    now(house.of().delete("Work"))
    assert house.names() == ["INBOX", "(Work)", "Work/Sub"]
    assert told == ["Work"]
    assert house.live.calls == [("forget", ANN, "Work")]
    assert (house.maildir() / "maildirsize").read_text() == "1000S\n99 1\n-99 -1\n"
    assert list((house.maildir() / "tmp").iterdir()) == []
    with refused("HASCHILDREN"):
        now(house.of().delete("Work"))
    now(house.of().delete("Work/Sub"))
    with refused("NONEXISTENT"):
        now(house.of().delete("Work/Sub"))
    assert house.names() == ["INBOX"]


@pytest.mark.parametrize("name", ["INBOX", "inbox", "iNbOx"])
def test_the_inbox_stays(house: FolderHouse, name: str) -> None:
    house.make("x")
    with refused("CANNOT"):
        now(house.of().delete(name))
    assert (house.maildir() / "cur").exists()


def test_what_is_deleted_makes_room(make_house: Callable[..., FolderHouse]) -> None:
    house = make_house(quota=lambda account: Quota(octets=200))
    house.make("Work")
    house.mail.deliver(b"x" * 98 + b"\r\n", "T1", folder="Work")
    assert now(house.of().quota("INBOX")).octets == 99
    now(house.of().delete("Work"))
    assert now(house.of().quota("INBOX")).octets == 0


def test_a_name_that_comes_again_is_another_folder(house: FolderHouse) -> None:
    first = now(house.of().create("Work"))
    before = folder_file.highest_uid_validity(Disk(), str(house.maildir().parent))
    now(house.of().delete("Work"))
    assert now(house.of().create("Work")) != first
    assert folder_file.highest_uid_validity(Disk(), str(house.maildir().parent)) > before


def test_rename_takes_the_children(house: FolderHouse) -> None:
    house.make("a/b/c", "ab")
    house.mail.deliver(b"in b\r\n", "T1", folder="a/b")
    ids = [house.truth(name).mailbox_id for name in (".a", ".a.b", ".a.b.c")]
    told = house.heard(ANN)
    now(house.of().rename("a", "x/y"))
    assert house.names() == ["INBOX", "ab", "x", "x/y", "x/y/b", "x/y/b/c"]
    assert [house.truth(name).mailbox_id for name in (".x.y", ".x.y.b", ".x.y.b.c")] == ids
    assert house.mail.contents("x/y/b") == [b"in b\r\n"]
    assert set(told) == {"a", "a/b", "a/b/c", "x", "x/y", "x/y/b", "x/y/b/c"}
    assert house.live.calls == [
        ("renamed", ANN, "a", "x/y"),
        ("renamed", ANN, "a/b", "x/y/b"),
        ("renamed", ANN, "a/b/c", "x/y/b/c"),
    ]


def test_rename_a_level(house: FolderHouse) -> None:
    house.make("a/b")
    now(house.of().delete("a"))
    now(house.of().rename("a", "z"))
    assert house.names() == ["INBOX", "(z)", "z/b"]


def test_renames_that_cannot_be(house: FolderHouse) -> None:
    house.make("a/b", "c", "INBOX/x")
    for old, new, reason in [
        ("a", "c", "ALREADYEXISTS"),
        ("a", "a", "ALREADYEXISTS"),
        ("a", "INBOX", "ALREADYEXISTS"),
        ("a", "a/b", "CANNOT"),
        ("a", "a/d/e", "CANNOT"),
        ("nothing", "d", "NONEXISTENT"),
        ("c", "Other Users/bob/c", "NOPERM"),
        ("c", "Other Users", "NOPERM"),
    ]:
        with refused(reason):
            now(house.of().rename(old, new))
    assert house.names() == ["INBOX", "INBOX/x", "a", "a/b", "c"]


def test_a_child_in_the_way(house: FolderHouse) -> None:
    house.make("a/x", "b/x")
    now(house.of().delete("b"))
    with refused("ALREADYEXISTS"):
        now(house.of().rename("a", "b"))
    assert house.names() == ["INBOX", "a", "a/x", "(b)", "b/x"]


def test_one_account_never_reaches_another(house: FolderHouse) -> None:
    house.make("Secret", account="bob@example.org")
    for name in ("../bob/Maildir", "Other Users/bob/Secret", "Other Users/../bob", "/bob"):
        for ask in (house.of().folder, house.of().status, house.of().delete, house.of().acl):
            with refused("NONEXISTENT"):
                now(ask(name))


def test_an_account_that_no_directory_can_have(house: FolderHouse) -> None:
    with pytest.raises(PermanentFailure):
        house.of("x" * 300 + "@example.org")


@pytest.mark.parametrize("failing", range(40))
def test_the_disk_fails_while_a_folder_goes(house: FolderHouse, failing: int) -> None:
    house.make("Work", "Other")
    house.mail.deliver(b"mail\r\n", "T1", folder="Work")
    disk = FailingDisk(range(failing, 10_000))
    house.use(disk)
    try:
        now(house.of().delete("Work"))
        told = True
    except TransientFailure:
        told = False
    house.use(Disk())
    listed = house.names()
    if told:
        assert listed == ["INBOX", "Other"]
        assert list((house.maildir() / "tmp").iterdir()) == []
    elif "Work" in listed:
        assert house.mail.contents("Work") == [b"mail\r\n"]


@pytest.mark.parametrize("failing", range(30))
def test_the_disk_fails_during_a_rename(house: FolderHouse, failing: int) -> None:
    house.make("a/b")
    house.mail.deliver(b"in a\r\n", "T1", folder="a")
    house.mail.deliver(b"in b\r\n", "T2", folder="a/b")
    house.use(FailingDisk(range(failing, 10_000)))
    try:
        now(house.of().rename("a", "z"))
    except TransientFailure:
        pass
    else:
        assert house.mail.contents("z") == [b"in a\r\n"]
    renamed = [call[2:] for call in house.live.calls]
    house.use(Disk())
    found = [
        mail for name in house.names() if name[0] in "az" for mail in house.mail.contents(name)
    ]
    assert sorted(found) == [b"in a\r\n", b"in b\r\n"]
    assert all(old not in house.names() for old, _ in renamed)


def test_what_a_crash_left_over_goes_at_the_next_list(house: FolderHouse) -> None:
    house.make("Work")
    left = house.maildir() / "tmp" / "mailframe-leaving-1-0"
    os.rename(house.maildir() / ".Work", left)
    assert house.names() == ["INBOX"]
    assert not left.exists()
