"""Fresh mail goes from the commit to its courier without a look at the tables, where there is
room for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from mailframe.interfaces import Arrival
from mailframe.queue import handover, ledger
from mailframe.queue.schema import Lease
from mailframe.queue.traffic import Way
from mailframe.runtime.aio import result_of
from mailframe.runtime.disk import STORAGE_FULL
from tests.unit.queue.world import DOWN, OK, World, done, to


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, node="w1").start()


def watch_leases(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lanes that are leased from."""
    lanes: list[str] = []
    lease = ledger.lease

    def noting(connection: Any, asks: Any, *args: Any) -> Any:
        lanes.extend(ask.lane for ask in asks)
        return lease(connection, asks, *args)

    monkeypatch.setattr(ledger, "lease", noting)
    return lanes


class HeldWrites:
    """Jobs wait until they are told to run, all in one go, as those of a busy writer."""

    def __init__(self, world: World) -> None:
        self.held: list[tuple[Any, Deferred[Any]]] = []
        self._write = world.database.write
        world.database.write = self.hold  # type: ignore[method-assign]

    def hold(self, job: Callable[..., Any]) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.held.append((job, result))
        return result

    def run(self) -> None:
        held, self.held = self.held, []
        for job, result in held:
            self._write(job).addBoth(result.callback)


def commit(world: World, queue_id: str, *addresses: str) -> Deferred[None]:
    incoming = done(result_of(world.spool.begin(queue_id)))
    incoming.write(b"Subject: hello\r\n\r\nHello.\r\n")
    committed: Deferred[None] = incoming.commit(to(*addresses), Arrival(), b"")
    return committed


def test_it_is_inserted_as_leased_and_never_looked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = watch_leases(monkeypatch)
    world.accept("A1", to("bob@far.example", "ann@here.example"))
    lease_end = world.clock.seconds() + 2 * 3600.0
    assert (
        world.rows("lease, token, node, next_at")
        == [(Lease.TAKEN, 1, "w1", int(lease_end * 1_000_000))] * 2
    )
    world.run()
    assert world.mx.addresses() == ["bob@far.example"]
    assert world.local.contents["A1"].endswith(b"Hello.\r\n")
    assert lanes == []
    assert world.is_empty()


def test_nothing_is_begun_before_it_is_durable(world: World) -> None:
    writes = HeldWrites(world)
    committed = commit(world, "A1", "bob@far.example")
    world.run()
    assert (committed.called, world.mx.batches) == (False, [])
    writes.run()
    assert committed.called
    world.run()
    assert world.mx.addresses() == ["bob@far.example"]


def test_what_cannot_be_written_gives_its_place_back(world: World) -> None:
    world.mx.gate = Deferred()
    write = world.database.write
    for number in range(20):
        world.database.write = lambda job: write(_broken)  # type: ignore[method-assign]
        failed = commit(world, f"A{number}", "bob@far.example")
        failures: list[Any] = []
        failed.addErrback(failures.append)
        assert failures[0].check(OSError)
    world.database.write = write  # type: ignore[method-assign]
    for number in range(5):
        world.accept(f"B{number}", to("bob@far.example"))
    world.run()
    assert world.mx.under_way == 5
    assert world.rows("lease") == [(Lease.TAKEN,)] * 5


def test_a_writer_that_is_behind_takes_nothing(world: World) -> None:
    def behind(job: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        result.errback(TransientFailure(STORAGE_FULL))
        return result

    write = world.database.write
    world.database.write = behind  # type: ignore[method-assign]
    heard: list[Reply] = []
    commit(world, "A1", "bob@far.example").addErrback(lambda f: heard.append(f.value.reply))
    world.database.write = write  # type: ignore[method-assign]
    assert heard == [STORAGE_FULL]
    world.accept("A2", to("bob@far.example"))
    world.run()
    assert world.mx.tried == [(world.clock.seconds(), "A2", "bob@far.example")]


def test_messages_that_come_while_the_writer_is_busy_are_one_job(world: World) -> None:
    writes = HeldWrites(world)
    committed = [commit(world, f"A{n}", "bob@far.example", "ann@here.example") for n in range(3)]
    assert len(writes.held) == 1
    writes.run()
    assert [each.called for each in committed] == [True] * 3
    assert len(world.rows()) == 6


def test_one_that_cannot_be_inserted_fails_alone(world: World) -> None:
    world.mx.gate = Deferred()
    world.accept("A1", to("bob@far.example"))
    writes = HeldWrites(world)
    heard: list[Any] = []
    committed = [commit(world, name, "bob@far.example") for name in ("A0", "A1", "A2")]
    for each in committed:
        each.addBoth(heard.append)
    writes.run()
    assert heard == []  # nobody knows yet who is to blame
    writes.run()
    assert [result is None for result in heard] == [True, False, True]
    assert world.rows("queue_id") == [("A0",), ("A1",), ("A2",)]
    world.run()
    assert world.mx.under_way == 3
    assert world.queue._traffic.destination(Way("mx", "far.example")).running == 3


def test_whoever_stops_waiting_does_not_stop_it(world: World) -> None:
    writes = HeldWrites(world)
    committed = commit(world, "A1", "bob@far.example")
    committed.addErrback(lambda _: None)
    committed.cancel()
    writes.run()
    world.run()
    assert world.mx.addresses() == ["bob@far.example"]


def test_where_there_is_no_room_it_is_found_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = watch_leases(monkeypatch)
    world.mx.gate = Deferred()
    for number in range(8):
        world.accept(f"A{number}", to("bob@far.example"))
    assert [lease for (lease,) in world.rows("lease")] == [Lease.TAKEN] * 5 + [Lease.FREE] * 3
    world.run()
    assert world.mx.under_way == 5
    assert lanes == []  # it is parked
    world.mx.gate.callback(None)
    world.run()
    assert set(lanes) == {"far.example"}
    assert world.is_empty()


def test_nobody_overtakes_what_waits_for_room(world: World) -> None:
    world.mx.gate = Deferred()
    for number in range(6):
        world.accept(f"A{number}", to("bob@far.example"))
    world.run()
    destination = world.queue._traffic.destination(Way("mx", "far.example"))
    destination.limit = 20  # there would be room now
    world.accept("B1", to("bob@far.example"))
    assert world.rows("lease", "queue_id = 'B1'") == [(Lease.FREE,)]
    world.mx.gate.callback(None)
    world.run()
    assert world.is_empty()


def test_a_dead_destination_is_not_handed_anything(world: World) -> None:
    world.mx.answer = lambda address: TransientFailure(DOWN)
    for number in range(3):
        world.accept(f"A{number}", to("bob@down.example"))
    world.run(1)
    world.accept("B1", to("bob@down.example"))
    assert world.rows("lease", "queue_id = 'B1'") == [(Lease.FREE,)]
    world.run(1)
    assert len(world.mx.tried) == 3


def test_a_pace_holds_for_what_is_handed_over(tmp_path: Path) -> None:
    world = World(tmp_path, rate_per_destination=6).start()
    for number in range(3):
        world.accept(f"A{number}", to("bob@slow.example"))
    assert [lease for (lease,) in world.rows("lease")] == [Lease.TAKEN, Lease.FREE, Lease.FREE]
    world.run(30)
    assert [round(when - world.mx.tried[0][0]) for when, _, _ in world.mx.tried] == [0, 10, 20]


def test_more_than_a_hundred_on_one_way_are_leased(world: World) -> None:
    world.accept("A1", to(*(f"u{n}@far.example" for n in range(101)), "bob@other.example"))
    taken = world.rows("address", f"lease = {Lease.TAKEN:d}")
    assert taken == [("bob@other.example",)]
    world.run()
    assert sorted(len(batch.recipients) for batch in world.mx.batches) == [1, 1, 100]
    assert world.is_empty()


def test_who_has_no_way_is_judged_by_a_lease(world: World) -> None:
    world.router.special["bug.example"] = ZeroDivisionError()
    world.accept("A1", to("a@bug.example", "b@far.example"))
    world.run()
    assert world.mx.addresses() == ["b@far.example"]
    assert world.rows("address, reply_code") == [("a@bug.example", 451)]


def test_what_is_in_memory_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_OCTETS_IN_MEMORY", 100)
    world.mx.gate = Deferred()
    for number in range(4):
        world.accept(f"A{number}", to(f"bob@d{number}.example"), b"x" * 40, prefix=b"")
    assert [lease for (lease,) in world.rows("lease")] == [Lease.TAKEN] * 2 + [Lease.FREE] * 2
    world.run()
    world.mx.gate.callback(None)
    world.run()
    assert world.is_empty()
    world.accept("B1", to("bob@d.example"), b"x" * 40, prefix=b"")
    assert world.rows("lease") == [(Lease.TAKEN,)]


def test_a_queue_that_has_stopped_takes_nothing(world: World) -> None:
    world.accept("A1", to("bob@far.example"))
    stopped = world.queue.stop()  # what was handed over already is still delivered
    assert stopped.called
    assert world.mx.addresses() == ["bob@far.example"]
    world.accept("A2", to("bob@far.example"))
    assert world.rows("queue_id, lease") == [("A2", Lease.FREE)]
    assert world.clock.getDelayedCalls() == []


def test_a_message_that_only_seems_whole_stays_for_the_others(world: World) -> None:
    """Two ways of one message: the first that is done does not take the message with it."""
    world.mx.gate = Deferred()
    world.accept("A1", to("bob@far.example", "ann@here.example"))
    world.run()
    assert world.rows("address") == [("bob@far.example",)]
    assert done(world.database.read(lambda c: c.execute("SELECT 1 FROM message").fetchall()))
    world.mx.answer = lambda address: OK
    world.mx.gate.callback(None)
    world.run()
    assert world.is_empty()


def _broken(connection: object) -> None:
    raise OSError("injected")
