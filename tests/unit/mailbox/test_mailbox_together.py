"""Many deliveries in one piece: each has its own outcome, each directory one sync."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from mailframe.errors import OutcomeUnknown, PermanentFailure, TransientFailure
from mailframe.interfaces import Delivery, IGroupStore, MessageInfo
from mailframe.mailbox.quota import Quota
from mailframe.runtime.workers import OVERLOADED
from tests.unit.mailbox.house import FailingDisk, House, Message, done

ANN, BOB = "ann@example.org", "bob@example.org"
CONTENT = b"Subject: x\r\n\r\nHello.\r\n"


def delivery(
    account: str, token: str, content: bytes = CONTENT, folder: str = "", repeats: bool = False
) -> Delivery:
    message = Message(content)
    message.octets = content
    return Delivery(account, folder, message, b"To: " + token.encode() + b"\r\n", token, repeats)


def deliver(house: House, *deliveries: Delivery) -> list[MessageInfo | Exception]:
    results: list[MessageInfo | Exception] = done(house.store.deliver_together(deliveries))
    assert len(results) == len(deliveries)
    return results


def tokens(house: House, account: str = ANN, where: str = "new") -> list[str]:
    """Of what is there, by what stands in the messages."""
    maildir = house.base / "mail" / "example.org" / account.partition("@")[0] / "Maildir"
    return sorted(
        path.read_bytes().split(b"\n")[0][4:].decode() for path in maildir.glob(f"{where}/*")
    )


def was_delivered(results: list[MessageInfo | Exception]) -> list[bool]:
    return [isinstance(result, MessageInfo) for result in results]


def prepare(house: House, *accounts: str) -> FailingDisk:
    """Their Maildirs are there; the disk counts from now on."""
    disk = house.use(FailingDisk())
    deliver(house, *(delivery(account, "first") for account in accounts))
    disk.calls.clear()
    house.rung.clear()
    return disk


def test_a_store_says_that_it_can(house: House) -> None:
    assert IGroupStore.providedBy(house.store)


def test_all_are_there_and_told_of(house: House) -> None:
    disk = prepare(house, ANN, BOB)
    results = deliver(
        house, delivery(ANN, "1"), delivery(BOB, "2"), delivery(ANN, "3", b"no line end")
    )
    assert tokens(house) == ["1", "3", "first"]
    assert tokens(house, BOB) == ["2", "first"]
    assert [event.uid for event in house.rung] == [result.uid for result in results]
    infos = {info.uid: info for info in done(house.inbox().messages())}
    assert infos[results[2].uid] == results[2]  # what a listing reads from the name
    assert results[2].size == len(b"To: 3\r\nno line end\r\n")
    calls = Counter(disk.calls)
    assert calls == {"create": 3, "write": 3, "sync": 3, "rename": 3, "sync_directory": 2,
                     "append": 2, "scan": calls["scan"]}  # fmt: skip
    kinds = [what for what in disk.calls if what in ("write", "sync", "rename", "sync_directory")]
    assert kinds == ["write"] * 3 + ["sync"] * 3 + ["rename"] * 3 + ["sync_directory"] * 2


def test_the_disk_begins_with_all_before_it_waits_for_one(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    from mailframe.runtime.disk import DiskFile

    order: list[str] = []
    for name in ("begin_sync", "sync"):
        real = getattr(DiskFile, name)

        def noting(self: Any, name: str = name, real: Any = real) -> None:
            order.append(name)
            real(self)

        monkeypatch.setattr(DiskFile, name, noting)
    deliver(house, delivery(ANN, "1"), delivery(ANN, "2"))
    assert order == ["begin_sync"] * 2 + ["sync"] * 2


@pytest.mark.parametrize("what", ["create", "write", "sync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_one_fails_alone(house: House, what: str, code: int) -> None:
    disk = prepare(house, ANN)
    rehearsal = deliver(house, *(delivery(ANN, f"r{n}") for n in range(3)))
    assert all(was_delivered(rehearsal))
    second = [number for number, call in enumerate(disk.calls) if call == what][1]
    disk.calls.clear()
    disk.failing, disk.code = range(second, second + 1), code
    results = deliver(house, *(delivery(ANN, f"t{n}") for n in range(3)))
    assert was_delivered(results) == [True, False, True]
    assert isinstance(results[1], TransientFailure)
    assert results[1].reply.code == (452 if code == errno.ENOSPC else 451)
    assert "planned failure" in results[1].detail
    assert tokens(house) == ["first", "r0", "r1", "r2", "t0", "t2"]
    assert house.files("tmp/*") == []
    disk.failing = range(0)
    assert was_delivered(deliver(house, delivery(ANN, "t1"))) == [True]


def test_the_disk_fills_up_in_the_middle(house: House) -> None:
    disk = prepare(house, ANN)
    disk.failing, disk.code = range(5, 10_000), errno.ENOSPC
    results = deliver(house, *(delivery(ANN, f"t{n}") for n in range(4)))
    assert was_delivered(results) == [False] * 4
    disk.failing = range(0)
    assert tokens(house) == ["first"]
    assert house.rung == []
    house.clock.advance(1)
    assert all(was_delivered(deliver(house, *(delivery(ANN, f"t{n}") for n in range(4)))))


def test_a_directory_that_cannot_be_synced_takes_its_own_with_it(house: House) -> None:
    disk = prepare(house, ANN, BOB)
    copies = [delivery(ANN, "1"), delivery(BOB, "2"), delivery(ANN, "3")]
    deliver(house, *copies)
    at = disk.calls.index("sync_directory")
    disk.calls.clear()
    disk.failing = range(at, at + 1)
    house.rung.clear()
    again = [delivery(ANN, "4"), delivery(BOB, "5"), delivery(ANN, "6")]
    assert was_delivered(deliver(house, *again)) == [False, True, False]
    assert tokens(house) == ["1", "3", "first"]
    assert tokens(house, BOB) == ["2", "5", "first"]
    assert len(house.rung) == 1


def test_what_cannot_be_withdrawn_is_found_the_next_time(house: House) -> None:
    disk = prepare(house, ANN)
    deliver(house, delivery(ANN, "1"), delivery(ANN, "2"))
    at = disk.calls.index("sync_directory")
    disk.calls.clear()
    disk.failing = range(at, at + 3)
    failed = deliver(house, delivery(ANN, "3"), delivery(ANN, "4"))
    assert [type(failure) for failure in failed] == [OutcomeUnknown, OutcomeUnknown]
    disk.failing = range(0)
    house.clock.advance(5)
    again = [delivery(ANN, token, repeats=True) for token in "34"]
    assert all(was_delivered(deliver(house, *again)))
    assert tokens(house) == ["1", "2", "3", "4", "first"]


def test_as_many_as_there_is_room_for(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(messages=3) if account == ANN else None)
    deliver(house, delivery(ANN, "first"))
    results = deliver(house, *(delivery(ANN, f"t{n}") for n in range(4)), delivery(BOB, "b"))
    assert was_delivered(results) == [True, True, False, False, True]
    assert isinstance(results[2], TransientFailure)
    assert results[2].reply.code == 452
    use = done(house.store.room(ANN, 10))
    assert use is False
    assert len(tokens(house)) == 3


def test_room_is_held_once_whatever_fails(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(messages=100))
    disk = prepare(house, ANN)
    disk.failing = range(1, 2)
    deliver(house, *(delivery(ANN, f"t{n}") for n in range(3)))
    usage = house.store.quotas._usages[ANN]
    assert (usage.reserved_messages, usage.reserved_octets) == (0, 0)
    assert usage.messages == len(tokens(house)) == 3
    assert usage.octets == sum(path.stat().st_size for path in house.maildir.glob("new/*"))


def test_accounts_and_folders_that_are_none(make_house: Callable[..., House]) -> None:
    asked: list[str] = []

    def exists(account: str) -> Deferred[bool]:
        asked.append(account)
        return fail(RuntimeError("down")) if account == BOB else succeed(account == ANN)

    house = make_house(exists=exists)
    results = deliver(
        house,
        delivery(ANN, "1"),
        delivery("cid@example.org", "2"),
        delivery(BOB, "3"),
        delivery(ANN, "4", folder="a//b"),
        delivery(ANN, "5", folder="Work"),
    )
    kinds = [type(result) for result in results]
    assert kinds == [MessageInfo, PermanentFailure, RuntimeError, PermanentFailure, MessageInfo]
    assert asked == [ANN, "cid@example.org", BOB]


def test_the_same_recipient_twice_gets_it_twice(house: House) -> None:
    assert all(was_delivered(deliver(house, delivery(ANN, "1"), delivery(ANN, "1"))))
    assert tokens(house) == ["1", "1"]


def test_repeated_ones_are_looked_for_once(house: House) -> None:
    first = deliver(house, delivery(ANN, "1"), delivery(ANN, "2"))
    disk = house.use(FailingDisk())
    copies = [delivery(ANN, token, repeats=True) for token in ("1", "2", "3")]
    house.clock.advance(60)
    results = deliver(house, *copies)
    assert results[:2] == first
    assert tokens(house) == ["1", "2", "3"]
    assert disk.calls.count("scan") == 2  # new and cur
    assert disk.calls.count("sync_directory") == 2  # for what was found, and for what is new


def test_overloaded_workers_put_all_off(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(messages=9))
    deliver(house, delivery(ANN, "first"))

    class Overloaded:
        name = "overloaded"

        def run(self, function: Callable[..., object], *args: object) -> object:
            return fail(TransientFailure(OVERLOADED))

    workers, house.store._workers = house.store._workers, Overloaded()  # type: ignore[assignment]
    results = deliver(house, delivery(ANN, "1"), delivery(ANN, "2"))
    assert [result.reply.code for result in results] == [451, 451]
    house.store._workers = workers
    assert house.files("tmp/*") == []
    assert house.store.quotas._usages[ANN].reserved_messages == 0
    assert all(was_delivered(deliver(house, delivery(ANN, "1"), delivery(ANN, "2"))))


def test_cancelled_is_not_undone_and_not_done_twice(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(messages=9))
    deliver(house, delivery(ANN, "first"))
    workers = house.store._workers
    held: list[tuple[Any, Deferred[Any]]] = []

    class Slow:
        name = "slow"

        def run(self, function: Any, *args: Any) -> Deferred[Any]:
            result: Deferred[Any] = Deferred()
            held.append((lambda: function(*args), result))
            return result

    house.store._workers = Slow()  # type: ignore[assignment]
    heard: list[Any] = []
    delivering = house.store.deliver_together([delivery(ANN, "1"), delivery(ANN, "2")])
    delivering.addErrback(heard.append)
    delivering.cancel()
    assert heard[0].check(CancelledError)
    held[0][0]()  # the thread does it nevertheless
    house.store._workers = workers
    assert house.store.quotas._usages[ANN].reserved_messages == 0
    house.clock.advance(300)
    again = [delivery(ANN, token, repeats=True) for token in "12"]
    assert all(was_delivered(deliver(house, *again)))
    assert tokens(house) == ["1", "2", "first"]


def test_nothing_is_no_work(house: House) -> None:
    disk = house.use(FailingDisk())
    assert deliver(house) == []
    assert disk.calls == []
