from __future__ import annotations

import os
import stat
from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred, succeed

from mailframe.core.events import MessageArrived
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.mailbox.names import key_of
from mailframe.mailbox.quota import Quota
from tests.unit.mailbox.house import ANN, START, House, Message, done

MESSAGE = b"Subject: hello\r\n\r\n\r\ntext\r\n.\r\n"


def test_a_delivery_is_a_file_with_lf_and_its_sizes_in_the_name(house: House) -> None:
    info = house.deliver(MESSAGE, "T", prefix=b"Return-Path: <>\r\n")
    disk = b"Return-Path: <>\nSubject: hello\n\n\ntext\n.\n"
    [path] = (house.maildir / "new").iterdir()
    key = key_of("T")
    unique = f"{int(START)}.M250000R{key}.mx.example.org"
    assert path.name == f"{unique},S={len(disk)},W={info.size}"
    assert path.read_bytes() == disk
    assert info.uid == unique
    assert info.size == len(b"Return-Path: <>\r\n" + MESSAGE)
    assert info.received == int(START)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(house.maildir.stat().st_mode) == 0o700
    assert house.files("tmp/*") == []


def test_it_rings_once_it_is_there(house: House) -> None:
    seen: list[int] = []
    house.store._events.subscribe(lambda event: seen.append(len(house.files("new/*"))))
    info = house.deliver(MESSAGE, folder="Lists")
    event = MessageArrived(ANN, "Lists", info.uid, "0QUEUEID0001", info.size)
    assert house.rung == [event]
    assert house.files(".Lists/new/*")


def test_a_folder_is_made_on_demand_and_marked(house: House) -> None:
    house.deliver(MESSAGE, folder="Work/Reports")
    assert (house.maildir / ".Work.Reports" / "maildirfolder").exists()
    house.deliver(MESSAGE, "T2", folder="Work/Reports")
    assert len(house.contents("Work/Reports")) == 2
    assert done(house.store.account_folders(ANN)) == ("Work/Reports",)
    assert house.contents() == []


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", b"a", b"a\r\n", b"\r\r\n", b"a\rb\r\n", b"\0\xff\r\n", b"x" * 70_000 + b"\r\n"],
    ids=repr,
)
def test_what_went_in_comes_out(house: House, content: bytes, step: int) -> None:
    if step == 1:
        content = content[:100]
    info = house.deliver(content, step=step)
    lines = content if content.endswith(b"\r\n") else content + b"\r\n"
    assert house.contents() == [lines]
    assert info.size == len(lines)


def test_a_large_message_is_written_in_pieces(house: House) -> None:
    content = (b"0123456789" * 7 + b"\r\n") * 20_000
    house.deliver(content)
    assert house.contents() == [content]


def test_a_lone_lf_ends_a_line(house: House) -> None:
    house.deliver(b"a\nb\r\nc\n\r\n")
    assert house.contents() == [b"a\r\nb\r\nc\r\n\r\n"]


def test_the_source_is_closed_whatever_happens(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(messages=1))
    message = Message(MESSAGE)
    done(house.store.deliver(ANN, "", message, b"", "T", False))
    assert [source.closed for source in message.sources] == [True]


def test_a_repeated_delivery_finds_its_earlier_self(house: House) -> None:
    first = house.deliver(MESSAGE, "T")
    house.clock.advance(60)
    assert house.deliver(MESSAGE, "T", repeats=True) == first
    [path] = (house.maildir / "new").iterdir()
    read = house.maildir / "cur" / (path.name + ":2,RS")
    path.rename(read)
    assert house.deliver(MESSAGE, "T", repeats=True) == first
    assert house.deliver(MESSAGE, "other", repeats=True) != first
    read.unlink()  # read and removed meanwhile: nobody can know
    house.deliver(MESSAGE, "T", repeats=True)
    assert len(house.contents()) == 2


def test_the_same_name_never_replaces_a_message(house: House) -> None:
    house.deliver(MESSAGE, "T")
    with pytest.raises(TransientFailure) as caught:
        house.deliver(MESSAGE, "T")
    assert caught.value.reply.code == 451
    assert len(house.contents()) == 1
    assert house.files("tmp/*") == []


def test_the_name_in_tmp_is_respected(house: House) -> None:
    house.deliver(MESSAGE, "A")
    held = house.maildir / "tmp" / f"{int(START)}.M250000R{key_of('T')}.mx.example.org"
    held.write_bytes(b"another process is writing this")
    with pytest.raises(TransientFailure):
        house.deliver(MESSAGE, "T")
    assert held.read_bytes() == b"another process is writing this"
    assert len(house.contents()) == 1


@pytest.mark.parametrize("answer", [False, succeed(False)])
def test_an_unknown_account_is_refused(make_house: Callable[..., House], answer: object) -> None:
    house = make_house(exists=lambda account: answer)
    with pytest.raises(PermanentFailure) as caught:
        house.deliver(MESSAGE)
    assert caught.value.reply.code == 550
    assert list(house.base.iterdir()) == []


@pytest.mark.parametrize(("account", "folder"), [("x" * 300 + "@a", ""), (ANN, "a//b")])
def test_impossible_names_are_refused(house: House, account: str, folder: str) -> None:
    with pytest.raises(PermanentFailure):
        house.deliver(MESSAGE, account=account, folder=folder)


def test_a_question_about_the_account_that_fails_is_passed_on(
    make_house: Callable[..., House],
) -> None:
    def exists(account: str) -> Deferred[bool]:
        raise RuntimeError("planned")

    with pytest.raises(RuntimeError):
        make_house(exists=exists).deliver(MESSAGE)


def test_accounts_do_not_meet(house: House) -> None:
    for account in ("ann@example.org", "ann@example.net", "../ann@example.org", "Ann@example.org"):
        house.deliver(MESSAGE, account=account)
    assert len(list(house.base.glob("mail/*/*/Maildir/new/*"))) == 4
    assert {path.name for path in house.base.iterdir()} == {"mail"}


def test_sweep_removes_old_litter_only(house: House) -> None:
    house.deliver(MESSAGE, folder="Sub")
    house.deliver(MESSAGE, "T2")
    now = house.clock.seconds()
    litter = [house.maildir / "tmp", house.maildir / ".Sub" / "tmp"]
    for directory in litter:
        for name, age in (("old", 36 * 3600 + 1), ("young", 36 * 3600 - 60)):
            (directory / name).write_bytes(b"x")
            os.utime(directory / name, (now - age, now - age))
        (directory / "directory").mkdir()
        os.utime(directory / "directory", (0, 0))
    assert done(house.store.sweep()) == 2
    for directory in litter:
        assert sorted(path.name for path in directory.iterdir()) == ["directory", "young"]
    assert len(house.contents()) == 1


def test_sweep_with_nothing_there(house: House) -> None:
    assert done(house.store.sweep()) == 0
    (house.base / "mail" / "Foreign Name" / "x").mkdir(parents=True)
    (house.base / "mail" / "file").write_bytes(b"")
    assert done(house.store.sweep()) == 0
