"""Several workers deliver to one account: together they keep to its quota."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.core.folders import QuotaUse
from mailframe.errors import TransientFailure
from mailframe.mailbox.quota import Quota
from mailframe.runtime.aio import as_deferred
from mailframe.testing.peers import Bus
from tests.unit.mailbox.house import ANN, House, done

MESSAGE = b"Subject: a\r\n\r\n" + 85 * b"x" + b"\r\n"  # 98 octets on disk


@pytest.fixture
def workers(tmp_path: Path) -> list[House]:
    bus = Bus()
    houses = [House(tmp_path, quota=lambda account: Quota(1000, 6)) for _ in range(3)]
    for number, house in enumerate(houses):
        house.store.quotas.share(bus.join(f"w{number}"))
    return houses


def use(house: House) -> QuotaUse:
    found: QuotaUse = done(as_deferred(house.store.quotas.use(ANN)))
    return found


def test_each_knows_what_the_others_added_and_removed(workers: list[House]) -> None:
    assert [use(house).messages for house in workers] == [0, 0, 0]
    infos = [
        house.deliver(MESSAGE, f"T{number}/ann@example.org") for number, house in enumerate(workers)
    ]
    assert {(use(house).octets, use(house).messages) for house in workers} == {(294, 3)}
    done(workers[1].inbox().remove([infos[0].uid]))
    assert {(use(house).octets, use(house).messages) for house in workers} == {(196, 2)}


def test_together_they_keep_to_it(workers: list[House]) -> None:
    delivered = refused = 0
    for number in range(12):
        try:
            workers[number % 3].deliver(MESSAGE, f"T{number}/ann@example.org")
            delivered += 1
        except TransientFailure:
            refused += 1
    assert (delivered, refused) == (6, 6)


def test_who_counts_meanwhile_does_not_forget(workers: list[House]) -> None:
    quotas = workers[0].store.quotas
    counts: list[Deferred[Any]] = []

    def count(account: str) -> Deferred[Any]:
        counts.append(Deferred())
        return counts[-1]

    quotas._count = count
    asked = as_deferred(quotas.use(ANN))
    workers[1].deliver(MESSAGE, "T1/ann@example.org")
    counts[0].callback((0, 0))
    assert done(asked).messages == 1


def test_nothing_drifts(workers: list[House]) -> None:
    for house in workers:
        use(house)
    infos = []
    for number in range(60):
        house = workers[number % 3]
        infos.append(house.deliver(MESSAGE, f"T{number}/ann@example.org"))
        if len(infos) > 3:
            done(workers[number * 7 % 3].inbox().remove([infos.pop(0).uid]))
    assert {(use(house).octets, use(house).messages) for house in workers} == {(294, 3)}
    assert len(workers[0].files("new/*")) == 3


def test_without_a_quota_nobody_is_told(tmp_path: Path) -> None:
    told: list[object] = []

    class Peers:
        def hear(self, topic: str, listener: Callable[..., None]) -> None:
            pass

        def tell(self, topic: str, note: object) -> None:
            told.append(note)

    house = House(tmp_path)
    house.store.quotas.share(Peers())  # type: ignore[arg-type]
    house.deliver(MESSAGE, "T1/ann@example.org")
    assert told == []
