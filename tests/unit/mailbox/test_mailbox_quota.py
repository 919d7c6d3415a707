from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from mailframe.core.folders import QuotaUse
from mailframe.errors import TransientFailure
from mailframe.mailbox.quota import Quota, Quotas, limit_in_maildirsize
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.house import ANN, House, done

MESSAGE = b"x" * 98 + b"\r\n"  # 99 octets on disk


def fits(house: House, octets: int) -> bool:
    return bool(done(house.store.room(ANN, octets)))


def test_no_quota_counts_nothing(house: House) -> None:
    assert fits(house, 10**15)
    assert list(house.base.iterdir()) == []


@pytest.mark.parametrize("quota", [None, Quota(), succeed(Quota())])
def test_no_limit(make_house: Callable[..., House], quota: object) -> None:
    assert fits(make_house(quota=lambda account: quota), 10**15)


def test_octets(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(octets=300))
    assert fits(house, 300)
    assert not fits(house, 301)
    house.deliver(MESSAGE, "T1")
    house.deliver(MESSAGE, "T2", folder="Sub")
    assert fits(house, 300 - 2 * 99)
    assert not fits(house, 300 - 2 * 99 + 1)
    house.deliver(MESSAGE, "T3")
    with pytest.raises(TransientFailure) as caught:
        house.deliver(MESSAGE, "T4")
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (452, "4.2.2")
    assert len(house.contents()) == 2


def test_messages(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(messages=2))
    first = house.deliver(MESSAGE, "T1")
    house.deliver(MESSAGE, "T2")
    assert not fits(house, 0)
    assert done(house.inbox().remove([first.uid])) == frozenset()
    assert fits(house, 0)
    assert fits(house, 10**15)


def test_what_a_restart_finds_is_counted(make_house: Callable[..., House]) -> None:
    make_house().deliver(MESSAGE)
    foreign = make_house().maildir / "cur" / "1700000001.1.host:2,S"
    foreign.write_bytes(b"y" * 100)
    house = make_house(quota=lambda account: Quota(octets=200))
    assert fits(house, 1)
    assert not fits(house, 2)


def test_what_others_remove_is_noticed_before_anything_is_refused(
    make_house: Callable[..., House],
) -> None:
    house = make_house(quota=lambda account: Quota(octets=100))
    house.deliver(MESSAGE)
    for path in (house.maildir / "new").iterdir():
        path.unlink()
    assert not fits(house, 100)  # counted a moment ago
    house.clock.advance(30)
    assert fits(house, 100)


def test_what_others_add_is_noticed_in_time(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(octets=100))
    assert fits(house, 100)
    (house.maildir / "cur").mkdir(parents=True)
    (house.maildir / "cur" / "1.1.host,S=50:2,").write_bytes(b"z" * 50)
    assert fits(house, 100)
    house.clock.advance(15 * 60)
    assert not fits(house, 100)


def test_a_failed_delivery_gives_its_room_back(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(octets=150))
    house.deliver(MESSAGE, "T")
    house.clock.advance(3600)
    for path in (house.maildir / "new").iterdir():
        path.rename(house.maildir / "cur" / (path.name + ":2,S"))
    (house.maildir / "new").rmdir()
    (house.maildir / "new").write_bytes(b"in the way")
    for _ in range(3):
        with pytest.raises(TransientFailure) as caught:
            house.deliver(b"x" * 48 + b"\r\n", "T2")
        assert caught.value.reply.code == 451
    assert fits(house, 51)


def test_maildirsize_of_other_programs_is_kept_up(house: House) -> None:
    house.deliver(MESSAGE, "T1")
    assert not (house.maildir / "maildirsize").exists()
    (house.maildir / "maildirsize").write_bytes(b"1000S,10C\n99 1\n")
    house.clock.advance(1)
    second = house.deliver(MESSAGE, "T2", folder="Sub")
    done(house.inbox("Sub").remove([second.uid]))
    assert (house.maildir / "maildirsize").read_bytes() == b"1000S,10C\n99 1\n99 1\n-99 -1\n"


class Counting:
    """Quotas over a count that ends when the test says so."""

    def __init__(self, quota: Quota) -> None:
        self.clock = Clock()
        self.counts: list[Deferred[Any]] = []
        self.quotas = Quotas(lambda account: quota, self._count, self.clock)

    def _count(self, account: str) -> Deferred[Any]:
        self.counts.append(Deferred())
        return self.counts[-1]

    def reserve(self, octets: int) -> Deferred[Any]:
        return as_deferred(self.quotas.reserve(ANN, octets))

    def room(self, octets: int) -> Deferred[bool]:
        return as_deferred(self.quotas.has_room(ANN, octets))


def test_deliveries_at_once_cannot_overfill() -> None:
    counting = Counting(Quota(octets=100))
    asked = [counting.reserve(60), counting.reserve(60), counting.reserve(40)]
    assert len(counting.counts) == 1  # one count for all
    counting.counts[0].callback((0, 0))
    held = [reservation for reservation in map(done, asked) if reservation is not None]
    assert len(held) == 2  # one of 60 and the one of 40, whoever asked first
    for reservation in held:
        reservation.release()
    assert done(counting.room(100))
    last = done(counting.reserve(40))
    assert not done(counting.room(61))
    last.settle(10)
    assert done(counting.room(90))
    assert not done(counting.room(91))
    last.release()
    last.settle(50)  # ended already
    assert done(counting.room(90))


def test_what_ends_while_a_count_runs_is_not_forgotten() -> None:
    counting = Counting(Quota(octets=100))
    ready = counting.reserve(50)
    counting.counts[0].callback((0, 0))
    reservation = done(ready)
    counting.clock.advance(3600)
    asked = counting.room(51)
    reservation.settle(50)
    counting.quotas.removed(ANN, 50, 1)
    counting.counts[1].callback((0, 0))
    assert not done(asked)


def test_a_count_that_fails_is_tried_again() -> None:
    counting = Counting(Quota(octets=100))
    first, second = counting.room(1), counting.room(1)
    counting.counts[0].errback(OSError("planned"))
    with pytest.raises(OSError, match="planned"):
        done(first)
    counting.counts[1].callback((0, 0))
    assert done(second)


def test_the_figures_kept_are_bounded() -> None:
    counting = Counting(Quota(octets=100))
    for number in range(10_050):
        as_deferred(counting.quotas.has_room(f"a{number}", 1))
        counting.counts[-1].callback((0, 0))
    assert len(counting.quotas._usages) <= 10_000


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("10000000S,1000C", Quota(10_000_000, 1000)),
        ("1000C", Quota(0, 1000)),
        ("5S", Quota(5)),
        ("5S,junk,7C", Quota(5, 7)),
        ("0S,0C", None),
        ("", None),
        ("-5S", None),
        ("S", None),
        ("x" * 10_000, None),
        ("9" * 30 + "S", None),
    ],
)
def test_the_limit_in_maildirsize(house: House, line: str, limit: Quota | None) -> None:
    house.maildir.mkdir(parents=True)
    (house.maildir / "maildirsize").write_text(f"{line}\n100 1\n")
    assert limit_in_maildirsize(Disk(), str(house.maildir)) == limit


def test_another_programs_limit_holds_where_we_have_none(make_house: Callable[..., House]) -> None:
    house = make_house()
    house.maildir.mkdir(parents=True)
    (house.maildir / "maildirsize").write_text("200S,2C\n0 0\n")
    assert fits(house, 200)
    assert not fits(house, 201)
    house.deliver(MESSAGE, "T1")
    assert done(as_deferred(house.store.quotas.use(ANN))) == QuotaUse(99, 200, 1, 2)
    (house.maildir / "maildirsize").unlink()
    assert not fits(house, 201), "it is looked at every quarter of an hour"
    house.clock.advance(901)
    assert fits(house, 201)
    assert done(as_deferred(house.store.quotas.use(ANN))) is None


def test_our_own_limit_comes_first(make_house: Callable[..., House]) -> None:
    house = make_house(quota=lambda account: Quota(octets=1000))
    house.maildir.mkdir(parents=True)
    (house.maildir / "maildirsize").write_text("200S\n")
    assert fits(house, 1000)
    assert done(as_deferred(house.store.quotas.use(ANN))) == QuotaUse(0, 1000, 0, 0)
