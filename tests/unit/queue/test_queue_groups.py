"""Errands for a courier that takes many at once: gathered, delivered and settled together."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailframe.core.envelope import Notify
from mailframe.errors import MessageGone, TransientFailure
from mailframe.queue import gathering
from mailframe.queue.errand import Errand
from mailframe.queue.gathering import LULL, PATIENCE, Gathering, Intake
from mailframe.queue.schema import Lease
from tests.unit.queue.world import BUSY, DOWN, OK, REFUSED, FakeGroupCourier, World, done, to

NO_ERRAND: Any = SimpleNamespace(octets=0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, local=FakeGroupCourier).start()


def accept(world: World, *queue_ids: str) -> None:
    for queue_id in queue_ids:
        world.accept(queue_id, to(f"{queue_id.lower()}@here.example"))


def count_writes(world: World) -> list[Any]:
    write, jobs = world.database.write, []

    def counting(job: Callable[..., Any]) -> Any:
        jobs.append(job)
        return write(job)

    world.database.write = counting  # type: ignore[method-assign]
    return jobs


def quiet(world: World) -> None:
    """Nothing more comes in for a moment."""
    world.run(LULL)


def let_go(world: World) -> None:
    gate, world.local.gate = world.local.gate, None
    assert gate is not None
    gate.callback(None)
    quiet(world)


def test_a_message_goes_when_nothing_follows(world: World) -> None:
    accept(world, "A1")
    world.run(LULL * 0.9)
    assert world.local.groups == []
    quiet(world)
    assert world.local.groups == [["A1"]]
    assert world.is_empty()
    assert world.journal.steps("A1") == ["attempt", "deliver", "remove"]
    assert world.clock.getDelayedCalls() == timers_of_an_idle(world)


def timers_of_an_idle(world: World) -> list[Any]:
    """The next look into the tables, and the deadline of attempts."""
    calls = world.clock.getDelayedCalls()
    assert all(call.getTime() - world.clock.seconds() > 100 for call in calls)
    return calls


def test_while_mail_comes_in_deliveries_wait(world: World) -> None:
    for number in range(5):
        accept(world, f"A{number}")
        world.run(LULL * 0.9)
    assert world.local.groups == []
    quiet(world)
    assert world.local.groups == [["A0", "A1", "A2", "A3", "A4"]]


def test_but_not_for_ever(world: World) -> None:
    accept(world, "A0")
    began = world.clock.seconds()
    number = 0
    while not world.local.groups:
        world.run(LULL / 2)
        number += 1
        accept(world, f"B{number}")
    assert world.clock.seconds() - began <= PATIENCE + LULL
    assert world.local.groups[0][0] == "A0"
    quiet(world)
    assert world.is_empty()


def test_nor_when_many_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MANY", 4)
    monkeypatch.setattr(gathering, "GROUP", 3)
    accept(world, "A1", "A2", "A3", "A4")
    world.run()
    assert world.local.groups == [["A1", "A2", "A3"]]
    quiet(world)
    assert world.local.groups[1:] == [["A4"]]


def test_nor_when_they_fill_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_MANY_OCTETS", 1000)
    world.accept("A1", to("a@here.example"), b"x" * 2000)
    world.run()
    assert world.local.groups == [["A1"]]


def test_what_is_not_for_mailboxes_comes_in_as_well(world: World) -> None:
    accept(world, "A1")
    world.run(LULL * 0.9)
    world.accept("R1", to("bob@far.example"))
    world.run(LULL * 0.9)
    assert world.local.groups == []


def test_couriers_that_take_one_at_a_time_wait_for_nobody(world: World) -> None:
    world.accept("A1", to("ann@here.example", "bob@far.example"))
    world.run()
    assert world.mx.addresses() == ["bob@far.example"]
    assert world.local.groups == []
    quiet(world)
    assert world.local.groups == [["A1"]]


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_keeps_nobody_waiting(world: World, seconds: float) -> None:
    accept(world, "A1")
    world.run()
    for call in world.clock.getDelayedCalls():  # as ``SteadyTime`` moves them
        call.time += seconds
    world.clock.rightNow += seconds
    world.queue.clock_jumped(seconds)
    quiet(world)
    assert world.local.groups == [["A1"]]


def test_what_comes_meanwhile_goes_together_and_is_settled_at_once(world: World) -> None:
    world.local.gate = Deferred()
    accept(world, "A1")
    quiet(world)
    accept(world, "B1", "B2", "B3")
    quiet(world)
    assert world.local.groups == [["A1"]]
    jobs = count_writes(world)
    let_go(world)
    assert world.local.groups == [["A1"], ["B1", "B2", "B3"]]
    assert len(jobs) == 2
    assert world.is_empty()


def test_only_where_many_wait_a_group_goes_beside_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MANY", 3)
    monkeypatch.setattr(gathering, "GROUP", 3)
    world.local.gate = Deferred()
    accept(world, "A1")
    quiet(world)
    accept(world, "B1", "B2")
    world.run(PATIENCE)
    assert world.local.groups == [["A1"]]
    accept(world, "B3")
    quiet(world)
    assert world.local.groups == [["A1"], ["B1", "B2", "B3"]]
    accept(world, "C1", "C2", "C3")
    world.run(PATIENCE)
    assert len(world.local.groups) == 2  # two are enough
    let_go(world)
    assert world.local.groups[2:] == [["C1", "C2", "C3"]]
    assert world.is_empty()


def test_groups_that_end_at_once_follow_each_other_and_do_not_nest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "GROUP", 1)
    clock, depths = Clock(), []

    def begin(group: list[Errand]) -> None:
        depths.append(len(inspect.stack(0)))
        waiting.ended()
        waiting.go_on()

    waiting = Gathering(Intake(clock), clock, begin)
    for _ in range(50):
        waiting.add(NO_ERRAND)
    waiting.hurry()
    assert len(depths) == 50
    assert len(set(depths)) == 1


def test_a_group_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "GROUP", 3)
    monkeypatch.setattr(gathering, "_GROUP_OCTETS", 1000)
    world.local.gate = Deferred()
    accept(world, "A1")
    quiet(world)
    accept(world, "B1", "B2", "B3", "B4")
    world.accept("C1", to("c1@here.example"), b"x" * 2000)
    accept(world, "C2")
    let_go(world)
    assert world.local.groups == [["A1"], ["B1", "B2", "B3"], ["B4", "C1"], ["C2"]]
    assert world.is_empty()


def test_one_fails_alone(world: World) -> None:
    answers = {"b@here.example": REFUSED, "c@here.example": BUSY, "d@here.example": KeyError("x")}
    world.local.answer = lambda address: answers.get(address, OK)
    never = frozenset({Notify.NEVER})
    logged: list[Any] = []
    globalLogPublisher.addObserver(logged.append)
    for name in "abcde":
        world.accept(name, to(f"{name}@here.example", notify=never))
    quiet(world)
    globalLogPublisher.removeObserver(logged.append)
    assert world.local.groups == [list("abcde")]
    assert world.rows("queue_id, reply_code, lease") == [
        ("c", 451, Lease.FREE),
        ("d", 451, Lease.UNKNOWN),
    ]
    assert [e["queue_id"] for e in logged if "log_failure" in e] == ["d"]
    assert world.journal.steps("b") == ["attempt", "fail", "remove"]


@pytest.mark.parametrize(
    ("trouble", "lease"),
    [
        (TransientFailure(DOWN), Lease.FREE),
        (MessageGone("removed"), Lease.UNKNOWN),
        (RuntimeError("bug"), Lease.UNKNOWN),
    ],
)
def test_trouble_with_the_whole_group_is_everybodys(
    world: World, trouble: Exception, lease: Lease
) -> None:
    def fail(batches: Any) -> Any:
        raise trouble

    world.local.results = fail
    accept(world, "A1", "A2")
    quiet(world)
    assert world.rows("queue_id, lease") == [("A1", lease), ("A2", lease)]
    world.local.results = None
    world.run(300)
    assert world.is_empty()


def test_a_courier_that_forgets_one_has_failed_for_all(world: World) -> None:
    world.local.results = lambda batches: []
    accept(world, "A1", "A2")
    quiet(world)
    assert world.rows("lease") == [(Lease.UNKNOWN,)] * 2


def test_a_group_that_never_ends_is_given_up(tmp_path: Path) -> None:
    world = World(tmp_path, local=FakeGroupCourier, attempt_seconds=600.0).start()
    world.local.gate = Deferred()
    accept(world, "A1", "A2")
    world.run(10)
    accept(world, "B1")
    world.run(580)
    assert world.rows("lease") == [(Lease.TAKEN,)] * 3
    world.local.gate = None
    world.run(10 + LULL)
    assert world.local.groups[-1] == ["B1"]  # the next one has its turn
    assert world.rows("queue_id, lease") == [("A1", Lease.UNKNOWN), ("A2", Lease.UNKNOWN)]
    world.run(300)
    assert [batch.repeats for batch in world.local.batches[-2:]] == [True, True]
    assert world.is_empty()


def test_one_in_other_hands_does_not_keep_the_others(world: World) -> None:
    world.local.gate = Deferred()
    accept(world, "A1", "A2", "A3")
    quiet(world)
    raised = "UPDATE recipient SET token = token + 1 WHERE queue_id = 'A2'"
    done(world.database.write(lambda c: c.execute(raised)))
    let_go(world)
    assert world.rows("queue_id") == [("A2",)]
    bodies = done(world.database.read(lambda c: c.execute("SELECT queue_id FROM body").fetchall()))
    assert bodies == [("A2",)]


def test_what_an_administrator_removed_meanwhile_is_nothing_to_settle(world: World) -> None:
    world.local.gate = Deferred()
    accept(world, "A1", "A2")
    quiet(world)
    for table in ("recipient", "message", "body"):
        gone = f"DELETE FROM {table} WHERE queue_id = 'A1'"
        done(world.database.write(lambda c, gone=gone: c.execute(gone)))
    let_go(world)
    assert world.is_empty()


def test_a_body_file_is_delivered_by_itself_and_removed(world: World) -> None:
    world.accept("A1", to("ann@here.example"), b"x" * 100_000)
    accept(world, "A2")
    quiet(world)
    assert world.local.groups == [["A2"]]
    assert len(world.local.contents["A1"]) > 100_000
    assert world.is_empty()
    assert world.bodies() == []


def test_what_is_leased_comes_with_its_content(tmp_path: Path) -> None:
    world = World(tmp_path, local=FakeGroupCourier)
    done(world.queue.recover())
    accept(world, "A1", "A2")
    world.accept("A3", to("a3@here.example"), b"x" * 100_000)
    world.queue.start()
    quiet(world)
    assert sorted(world.local.groups[0]) == ["A1", "A2"]
    assert set(world.local.contents) == {"A1", "A2", "A3"}
    assert world.is_empty()


def test_what_was_in_flight_is_repeated_in_groups(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    world = World(tmp_path / "first", local=FakeGroupCourier).start()
    world.local.gate = Deferred()
    for number in range(30):
        world.accept(f"A{number:02}", to("ann@here.example"))
    quiet(world)
    again = world.crashed(tmp_path / "second", local=FakeGroupCourier)
    done(again.queue.recover())
    assert [len(group) for group in again.local.groups] == [30]
    assert all(batch.repeats for batch in again.local.batches)
    assert again.is_empty()


def test_stop_waits_for_no_lull(world: World) -> None:
    accept(world, "A1")
    stopped = world.queue.stop()
    assert stopped.called
    assert world.local.groups == [["A1"]]
    assert world.is_empty()


def test_stop_delivers_what_has_gathered(world: World) -> None:
    world.local.gate = Deferred()
    accept(world, "A1")
    quiet(world)
    accept(world, "A2", "A3")
    stopped = world.queue.stop()
    let_go(world)
    assert stopped.called
    assert world.is_empty()


def test_what_is_cut_off_stays_leased(tmp_path: Path) -> None:
    world = World(tmp_path, local=FakeGroupCourier, stop_seconds=5.0).start()
    world.local.gate = Deferred()
    accept(world, "A1")
    quiet(world)
    accept(world, "A2")
    quiet(world)
    stopped = world.queue.stop()
    world.run(5)
    assert stopped.called
    assert world.local.groups == [["A1"]]
    assert world.rows("queue_id, lease") == [("A1", Lease.TAKEN), ("A2", Lease.TAKEN)]
    assert world.clock.getDelayedCalls() == []
