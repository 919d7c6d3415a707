"""Every call to the disk fails in turn: a clear answer, and nothing partial to see."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from mailframe.errors import OutcomeUnknown, TransientFailure
from tests.unit.mailbox.house import FailingDisk, House, Message, done

LARGE = (b"0123456789" * 7 + b"\r\n") * 8_000  # several writes
CODES = {errno.ENOSPC: 452, errno.EDQUOT: 452, errno.EIO: 451, errno.EACCES: 451}


def calls_of_a_delivery(house: House, content: bytes) -> int:
    disk = house.use(FailingDisk())
    house.deliver(content, "rehearsal", account="rehearsal@example.org")
    return len(disk.calls)


def attempt(house: House, content: bytes, **how: Any) -> TransientFailure | None:
    try:
        house.deliver(content, **how)
    except TransientFailure as failure:
        return failure
    return None


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("content", [b"small\r\n", LARGE], ids=["small", "large"])
def test_one_call_fails(house: House, content: bytes, code: int) -> None:
    number = calls_of_a_delivery(house, content)
    assert number > 8
    told = 0
    for failing in range(number):
        disk = house.use(FailingDisk(range(failing, failing + 1), code))
        house.rung.clear()
        account = f"a{failing}@example.org"
        maildir = house.base / "mail" / "example.org" / f"a{failing}" / "Maildir"
        if failure := attempt(house, content, account=account):
            told += 1
            assert failure.reply.code == CODES[code]
            assert "planned failure" in failure.detail
            assert list(maildir.glob("*/*")) == [], disk.calls
            assert house.rung == []
        else:
            # maildirsize, read first and added to last, is no part of the promise
            assert failing == disk.calls.index("open") or disk.calls[failing:] in ([], ["append"])
        disk.failing = range(0)
        # Again, with the disk in order: one message, and it is whole.
        house.deliver(content, account=account, repeats=True)
        [path] = maildir.glob("*/*")
        assert path.parent.name == "new"
        assert path.read_bytes() == content.replace(b"\r\n", b"\n")
    assert told >= 6


@pytest.mark.parametrize("failing", range(14))
def test_the_disk_fails_from_some_point_on(house: House, failing: int) -> None:
    calls_of_a_delivery(house, b"x\r\n")
    house.deliver(b"first\r\n", "first")
    disk = house.use(FailingDisk(range(failing, 10_000)))
    failure = attempt(house, b"content\r\n")
    reported = failure is None
    assert reported == ("append" in disk.calls), "only a durable message is reported"
    # The disk is well again. What is in new is whole, and the retry makes no second copy.
    disk.failing = range(0)
    house.clock.advance(1)
    repeats = reported or isinstance(failure, OutcomeUnknown)
    house.deliver(b"content\r\n", repeats=repeats)
    assert house.contents() == [b"first\r\n", b"content\r\n"]


def test_a_directory_that_cannot_be_synced_and_a_file_that_cannot_be_unlinked(
    house: House,
) -> None:
    house.deliver(b"first\r\n", "first")
    disk = house.use(FailingDisk())
    house.deliver(b"before\r\n", "before")
    disk.calls.clear()
    house.deliver(b"second\r\n", "second")
    at = disk.calls.index("sync_directory")
    disk.calls.clear()
    disk.failing = range(at, at + 2)
    with pytest.raises(OutcomeUnknown):
        house.deliver(b"third\r\n", "third")
    assert len(house.contents()) == 4  # there, though it was not reported
    house.deliver(b"third\r\n", "third", repeats=True)
    assert len(house.contents()) == 4


def test_what_was_withdrawn_may_come_back_with_a_power_cut(house: House) -> None:
    house.deliver(b"first\r\n", "first")
    disk = house.use(FailingDisk())
    house.deliver(b"before\r\n", "before")
    disk.calls.clear()
    house.deliver(b"second\r\n", "second")
    at = disk.calls.index("sync_directory")
    disk.calls.clear()
    disk.failing = range(at, at + 1)
    with pytest.raises(OutcomeUnknown):
        house.deliver(b"third\r\n", "third")
    assert len(house.contents()) == 3


class BrokenSource:
    size = 400_000

    def __init__(self) -> None:
        self.closed = False
        self._chunks = [b"x" * 300_000]

    def read(self, octets: int) -> object:
        from twisted.internet.defer import fail, succeed

        return succeed(self._chunks.pop()) if self._chunks else fail(RuntimeError("planned"))

    def close(self) -> None:
        self.closed = True


def test_the_message_breaks_off(house: House) -> None:
    class Broken(Message):
        def open(self) -> object:
            self.source = BrokenSource()
            return done_with(self.source)

    message = Broken(b"")
    with pytest.raises(RuntimeError):
        done(house.store.deliver("ann@example.org", "", message, b"", "T", False))
    assert house.files("*/*") == []
    assert message.source.closed


def done_with(value: object) -> object:
    from twisted.internet.defer import succeed

    return succeed(value)


def test_overloaded_workers_leave_nothing_open(make_house: Callable[..., House]) -> None:
    house = make_house()
    real = house.store._workers
    calls = []

    class Overloaded:
        name = "overloaded"

        def run(self, function: Callable[..., object], *args: object) -> object:
            from twisted.internet.defer import fail

            from mailframe.runtime.workers import OVERLOADED

            calls.append(function)
            return (
                fail(TransientFailure(OVERLOADED)) if len(calls) > 1 else real.run(function, *args)
            )

    house.store._workers = Overloaded()  # type: ignore[assignment]
    with pytest.raises(TransientFailure) as caught:
        house.deliver(LARGE)
    assert caught.value.reply.code == 451
    assert house.files("*/*") == []
