"""Who goes first among the jobs of an account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mailframe.mailbox.index.lane import Lane, Queued


class OneAfterTheOther:
    """Workers whose calls end when the test says so."""

    name = "test"

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.calls.append((lambda: function(*args), done))
        return done

    def end_one(self) -> None:
        function, done = self.calls.pop(0)
        done.callback(function())


class House:
    def __init__(self, *, drops: bool = True) -> None:
        self.workers = OneAfterTheOther()
        self.batches: list[list[str]] = []
        self.lane = Lane("index.db", self.workers, self._work, drops=drops)

    def _work(self, batch: list[Queued]) -> list[str]:
        names = [queued.job(None) for queued in batch]  # type: ignore[arg-type]
        self.batches.append(names)
        return names

    def add(self, name: str, *, patient: bool = False) -> Deferred[str]:
        return self.lane.add(Queued(lambda _: name, Deferred(), patient=patient))

    def end_all(self) -> None:
        while self.workers.calls:
            self.workers.end_one()


def test_patient_jobs_take_turns_with_the_others() -> None:
    house = House()
    for number in range(3):
        house.add(f"search {number}", patient=True)
    house.add("fetch")
    house.workers.end_one()  # of the first search
    house.add("another")
    house.workers.end_one()
    house.add("third")
    house.end_all()
    quick = ["another", "third"]
    assert house.batches == [["search 0"], ["fetch"], ["search 1"], quick, ["search 2"]]
    assert not house.lane.is_busy


def test_neither_kind_keeps_the_other_waiting_for_ever() -> None:
    house = House()

    def again(_: object, patient: bool) -> None:
        if len(house.batches) < 20:
            house.add("p" if patient else "q", patient=patient).addCallback(again, patient)

    for patient in (True, False):
        house.add("p" if patient else "q", patient=patient).addCallback(again, patient)
    house.end_all()
    assert sorted(name for (name,) in house.batches[:20]) == ["p"] * 10 + ["q"] * 10


def test_what_nobody_waits_for_is_not_begun() -> None:
    house = House()
    house.add("first")
    gone = [house.add("gone", patient=patient) for patient in (True, False)]
    for waiting in gone:
        waiting.addErrback(lambda _: None)
        waiting.cancel()
    house.add("last")
    house.end_all()
    assert house.batches == [["first"], ["last"]]
    assert not house.lane.is_busy


def test_what_writes_is_done_whoever_waits() -> None:
    house = House(drops=False)
    house.add("first")
    waiting = house.add("gone")
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    house.end_all()
    assert house.batches == [["first"], ["gone"]]
