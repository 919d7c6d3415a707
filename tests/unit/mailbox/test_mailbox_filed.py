"""Delivery of a message that lies in a file: one call to a worker, and nothing half done."""

from __future__ import annotations

import errno
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.errors import MessageGone, TransientFailure
from mailframe.interfaces import FiledContent, IFiledMessage, MessageInfo
from mailframe.mailbox import committing, filed
from mailframe.mailbox.filed import Filed
from mailframe.mailbox.newlines import ToDisk, to_wire
from mailframe.mailbox.store import MaildirStore
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.house import ANN, FailingDisk, House, Message, done

TEXT = (b"0123456789" * 7 + b"\r\n") * 8_000
HEAD = b"Received: by mx.example.org\r\n"


@implementer(IFiledMessage)
class InFile(Message):
    """``content`` is a file; nobody may read it otherwise."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(HEAD + content)
        path.write_bytes(content)
        self.filed = FiledContent(HEAD, str(path), len(content))

    def open(self) -> Deferred[Any]:
        raise AssertionError("it is to be read by the worker that writes it")


def deliver(house: House, message: Message, prefix: bytes = b"P: 1\r\n") -> Deferred[MessageInfo]:
    return house.store.deliver(ANN, "", message, prefix, f"{message.queue_id}:{ANN}", False)


def know_its_quota(house: House) -> None:
    """The first delivery to an account looks for it."""
    house.deliver(b"first\r\n", "first")
    [path] = house.maildir.glob("new/*")
    path.unlink()
    house.rung.clear()


def on_disk(wire: bytes) -> bytes:
    return re.sub(rb"(?<!\r)\r\n", b"\n", wire)


def odd(random: random.Random, octets: int) -> bytes:
    """Lines, lone CRs, lone LFs, CR CR LF, and all of that at borders."""
    words = (b"a", b"line of text\r\n", b"\r\n", b"\r", b"\n", b"\r\r\n", b"\0", b"x" * 40)
    content = b"".join(random.choices(words, k=octets))
    return content[:octets]


def test_one_call_for_all_of_it(house: House, tmp_path: Path) -> None:
    know_its_quota(house)
    calls = []
    run = house.store._workers.run

    def counted(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        calls.append(function)
        return run(function, *args, **kwargs)

    house.store._workers.run = counted  # type: ignore[method-assign]
    info = done(deliver(house, InFile(tmp_path / "body", TEXT)))
    assert calls == [committing.commit_together]
    wire = b"P: 1\r\n" + HEAD + TEXT
    assert info.size == len(wire)
    assert house.contents() == [wire]
    [name] = house.files("new/*")
    assert (house.maildir / name).read_bytes() == on_disk(wire)
    assert f",S={len(on_disk(wire))},W={len(wire)}" in name


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64])
def test_content_of_any_kind_cut_anywhere(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(filed, "_PIECE", piece)
    chance = random.Random(piece)
    for number in range(40):
        content = odd(chance, chance.randrange(200))
        message = InFile(tmp_path / "body", content)
        message.queue_id = f"Q{number}"
        info = done(deliver(house, message))
        whole = b"P: 1\r\n" + HEAD + content
        whole += b"" if whole.endswith(b"\r\n") else b"\r\n"
        [path] = house.maildir.glob("new/*")
        assert path.read_bytes() == on_disk(whole)
        assert info.size == len(to_wire(whole))
        path.unlink()


def test_pieces_are_as_long_as_said(tmp_path: Path) -> None:
    message = InFile(tmp_path / "body", b"x" * (2 * filed._PIECE + 5))
    content = Filed(Disk(), b"P: 1\r\n", message.filed)
    pieces = list(content)
    first = len(b"P: 1\r\n" + HEAD) + filed._PIECE
    assert list(map(len, pieces)) == [first, filed._PIECE, 5, 2]
    assert content.octets + 2 == sum(map(len, pieces))


def gone(path: Path) -> None:
    path.unlink()


def shorter(path: Path) -> None:
    path.write_bytes(TEXT[:-1])


def unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("happens", [gone, shorter, unreadable])
def test_a_body_that_is_not_there_any_more(
    house: House, tmp_path: Path, happens: Callable[[Path], None]
) -> None:
    message = InFile(tmp_path / "body", TEXT)
    happens(tmp_path / "body")
    with pytest.raises(MessageGone):
        done(deliver(house, message))
    assert house.files() == []
    assert house.rung == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_every_call_to_the_disk_fails_in_turn(house: House, tmp_path: Path, code: int) -> None:
    message = InFile(tmp_path / "body", TEXT)
    rehearsal = house.use(FailingDisk())
    done(house.store.deliver("rehearsal@example.org", "", message, b"", "rehearsal", False))
    told, codes = set(), set()
    for failing in range(len(rehearsal.calls)):
        disk = house.use(FailingDisk(range(failing, failing + 1), code))
        account = f"a{failing}@example.org"
        maildir = house.base / "mail" / "example.org" / f"a{failing}" / "Maildir"
        house.rung.clear()
        try:
            done(house.store.deliver(account, "", message, b"", "token", False))
        except TransientFailure as failure:
            told.add(disk.calls[failing])
            codes.add(failure.reply.code)
        except MessageGone:
            assert disk.calls[failing] == "open"
            told.add("body")
        else:
            continue
        assert list(maildir.glob("*/*")) == [], disk.calls
        assert house.rung == []
        disk.failing = range(0)
        done(house.store.deliver(account, "", message, b"", "token", True))
        [path] = maildir.glob("*/*")
        assert path.read_bytes() == on_disk(HEAD + TEXT)
    assert told >= {"create", "write", "sync", "rename", "sync_directory", "body"}
    assert codes == {452 if code == errno.ENOSPC else 451}


class Held:
    """Workers that begin when they are told to."""

    name = "held"

    def __init__(self) -> None:
        self.is_holding = False
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.calls.append((function, args, result))
        if not self.is_holding:
            self.step()
        return result

    def step(self) -> None:
        function, args, result = self.calls.pop(0)
        result.callback(function(*args))


@pytest.fixture
def held(house: House) -> Iterator[Held]:
    workers = Held()
    house.store = MaildirStore(
        str(house.base),
        house.disk,
        workers,  # type: ignore[arg-type]
        events=house.store._events,
        clock=house.clock,
        hostname=house.hostname,
    )
    know_its_quota(house)
    workers.is_holding = True
    yield workers
    assert workers.calls == []


@dataclass
class Begun:
    delivery: Deferred[Any]
    heard: list[Any] = field(default_factory=list)
    """What becomes of it, as soon as that is known."""

    def cancel(self) -> None:
        self.delivery.cancel()
        assert isinstance(self.heard[0], Failure)
        assert self.heard[0].check(CancelledError)


def begin(house: House, path: Path, number: int = 1) -> Begun:
    message = InFile(path / f"body{number}", TEXT)
    message.queue_id = f"Q{number}"
    begun = Begun(deliver(house, message))
    begun.delivery.addBoth(begun.heard.append)
    return begun


@pytest.mark.parametrize("is_begun", [False, True])
def test_who_stops_waiting_for_what_a_worker_has_leaves_it_whole(
    house: House, held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_begun: bool
) -> None:
    begun = begin(house, tmp_path)
    read = Filed._read

    def reading(content: Filed, file: BinaryIO, octets: int) -> bytes:
        if house.files("tmp/*") and not begun.heard:
            begun.cancel()
        return read(content, file, octets)

    if is_begun:
        monkeypatch.setattr(Filed, "_read", reading)
    else:
        begun.cancel()
    assert len(held.calls) == 1
    held.is_holding = False  # nobody shall go between it and its file
    held.step()
    assert begun.heard
    [name] = house.files()
    assert name.startswith("new/")
    assert house.rung == []
    # A later attempt finds it.
    repeated = house.store.deliver(
        ANN, "", InFile(tmp_path / "body1", TEXT), b"", f"Q1:{ANN}", True
    )
    assert done(repeated).size == len(b"P: 1\r\n" + HEAD + TEXT)
    assert house.files() == [name]


def test_what_waits_for_a_worker_is_not_begun_when_nobody_wants_it(
    house: House, held: Held, tmp_path: Path
) -> None:
    begun = [begin(house, tmp_path, number) for number in range(committing._GROUPS + 2)]
    begun[-1].cancel()
    while held.calls:
        held.step()
    assert len(house.files("new/*")) == len(begun) - 1
    assert house.files("tmp/*") == []
    assert all(isinstance(each.heard[0], MessageInfo) for each in begun[:-1])


def test_a_group_of_large_ones_is_bounded(
    house: House, held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_OCTETS", 2 * len(TEXT))
    begun = [begin(house, tmp_path, number) for number in range(committing._GROUPS + 5)]
    sizes = []
    while held.calls:
        sizes.append(len(held.calls[0][1][0]))
        held.step()
    assert sizes == [1] * committing._GROUPS + [2, 2, 1]
    assert all(isinstance(each.heard[0], MessageInfo) for each in begun)


def test_the_converter_agrees_with_its_rule() -> None:
    chance = random.Random(1)
    for _ in range(200):
        whole = odd(chance, chance.randrange(3_000))
        cuts = sorted(chance.randrange(len(whole) + 1) for _ in range(4))
        writer = ToDisk()
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        disk = b"".join(map(writer.feed, pieces)) + writer.finish()
        assert disk == on_disk(whole)
        assert writer.disk_size == len(disk)
        assert writer.wire_size == len(to_wire(disk))
