"""Several workers on one spool: leases have holders, lanes have owners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.errors import TransientFailure
from mailframe.queue.ownership import Ownership, owner
from mailframe.queue.schema import Lease, State, micros
from mailframe.runtime.peers import Alone
from mailframe.testing.peers import Bus
from tests.unit.queue.world import BUSY, DOWN, EPOCH, OK, World, done, to


class Server:
    """Workers on one directory and one clock, which hear each other."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.clock = Clock()
        self.clock.advance(EPOCH)
        self.bus = Bus()

    def worker(self, name: str, **settings: Any) -> World:
        peers = self.bus.join(name)
        return World(
            self.base,
            self.clock,
            node=name,
            others_alive=lambda: frozenset(self.bus.workers) - {name},
            peers=peers,
            **settings,
        )

    def die(self, name: str) -> None:
        self.bus.leave(name)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def owned(server: Server, name: str, number: int = 1) -> list[str]:
    """Domains whose lanes are that worker's."""
    names = tuple(sorted(server.bus.workers))
    domains = (f"d{n}.example" for n in range(1000))
    return [domain for domain in domains if owner(domain, names) == name][:number]


# ---- ownership


def test_every_way_has_one_owner_and_all_have_some() -> None:
    names = ("w1", "w2", "w3")
    owners = [owner(f"d{n}.example", names) for n in range(3000)]
    assert all(900 < owners.count(name) < 1100 for name in names)


def test_who_leaves_takes_nothing_from_the_others() -> None:
    ways = [f"d{n}.example" for n in range(500)]
    before = [owner(way, ("w1", "w2", "w3")) for way in ways]
    after = [owner(way, ("w1", "w3")) for way in ways]
    moved = [was for was, now in zip(before, after, strict=True) if was != now]
    assert set(moved) == {"w2"}


def test_ownership_follows_who_is_there() -> None:
    bus = Bus()
    first = bus.join("w1")
    ownership = Ownership(first)
    ways = [f"d{n}.example" for n in range(100)]
    assert all(map(ownership.is_own, ways))
    bus.join("w2")
    own = [way for way in ways if ownership.is_own(way)]
    assert own == [way for way in ways if owner(way, ("w1", "w2")) == "w1"]
    assert 20 < len(own) < 80
    assert ownership.is_first
    bus.leave("w2")
    assert all(map(ownership.is_own, ways))
    assert Ownership(Alone("")).is_first


# ---- leases


def test_who_starts_leaves_the_leases_of_the_living_alone(server: Server) -> None:
    first = server.worker("w1").start()
    first.mx.gate = first.local.gate = Deferred()
    first.accept("A1", to("bob@far.example", "ann@here.example"))
    first.run()
    second = server.worker("w2").start()
    second.run(60)
    assert second.mx.batches == second.local.batches == []
    assert first.rows("lease, node") == [(Lease.TAKEN, "w1")] * 2
    first.mx.gate.callback(None)
    first.run()
    assert first.is_empty()


def test_who_starts_leaves_the_living_as_much_time_as_they_took(server: Server) -> None:
    """A lease may last longer than the longest wait between two attempts."""
    first = server.worker("w1", retry=(60, 120)).start()
    first.mx.gate = first.local.gate = Deferred()
    first.accept("A1", to("bob@far.example", "ann@here.example"))
    first.run()
    until = first.rows("next_at")
    second = server.worker("w2", retry=(60, 120)).start()
    assert first.rows("next_at") == until
    second.run(600)
    assert second.mx.batches == second.local.batches == []


def test_who_comes_while_another_starts_keeps_its_leases(server: Server) -> None:
    """Two start at once: the one is done while the other still looks at the body files."""
    first = server.worker("w1")
    scan = first.spool._scan

    def slow() -> dict[str, int]:
        sizes = scan()
        second = server.worker("w2").start()
        second.mx.gate = Deferred()
        second.accept("A1", to(f"bob@{owned(server, 'w2')[0]}"))
        second.run()
        return sizes

    first.spool._scan = slow  # type: ignore[method-assign]
    first.start()
    assert first.rows("lease, node") == [(Lease.TAKEN, "w2")]
    assert first.mx.batches == []


def test_who_comes_while_another_starts_keeps_what_it_receives(server: Server) -> None:
    first = server.worker("w1")
    scan = first.spool._scan
    receiving: list[Any] = []

    def slow() -> dict[str, int]:
        second = server.worker("w2").start()
        incoming = done(second.spool.begin("A1"))
        incoming.write(b"x" * 300_000)
        receiving.append((second, incoming))
        return scan()

    first.spool._scan = slow  # type: ignore[method-assign]
    assert done(first.queue.recover()).swept == 0
    assert first.bodies() == ["A1"]


def test_what_was_committed_while_another_started_is_no_orphan(server: Server) -> None:
    """By a worker that has ended since."""
    second = server.worker("w2").start()
    first = server.worker("w1")
    scan = first.spool._scan

    def slow() -> dict[str, int]:
        second.mx.gate = Deferred()
        second.accept("A1", to("bob@far.example"), b"x" * 100_000)
        server.die("w2")
        return scan()

    first.spool._scan = slow  # type: ignore[method-assign]
    assert done(first.queue.recover()).swept == 0
    assert first.bodies() == ["A1"]
    first.queue.start()
    first.run()
    assert first.is_empty()


def test_who_starts_releases_the_leases_of_the_dead(server: Server) -> None:
    first = server.worker("w1").start()
    first.mx.gate = first.local.gate = Deferred()
    first.accept("A1", to("bob@far.example", "ann@here.example"))
    first.run()
    server.die("w1")
    second = server.worker("w2")
    done(second.queue.recover())
    assert [batch.repeats for batch in second.local.batches] == [True]
    second.queue.start()
    second.run()
    assert [batch.repeats for batch in second.mx.batches] == [True]
    assert second.is_empty()


def test_leases_of_a_release_that_knew_no_nodes_are_released(server: Server) -> None:
    first = server.worker("w1")
    done(first.queue.recover())
    first.accept("A1", to("bob@far.example"))
    taken = f"UPDATE recipient SET lease = {Lease.TAKEN:d}, next_at = next_at + 3600000000"
    done(first.database.write(lambda c: c.execute(taken)))
    assert first.rows("node") == [(None,)]
    second = server.worker("w2").start()
    second.run()
    first.queue.start()
    first.run()
    assert [b.repeats for b in second.mx.batches + first.mx.batches] == [True]


def test_the_living_inherit_at_once(server: Server) -> None:
    workers = {name: server.worker(name).start() for name in ("w1", "w2", "w3")}
    dying = workers["w1"]
    dying.mx.gate = dying.local.gate = Deferred()
    domain = owned(server, "w1")[0]
    dying.accept("A1", to(f"bob@{domain}", "ann@here.example"))
    workers["w2"].run()
    assert dying.rows("lease, node") == [(Lease.TAKEN, "w1")] * 2
    server.die("w1")
    workers["w2"].run()
    living = [workers["w2"], workers["w3"]]
    assert [b.repeats for world in living for b in world.local.batches] == [True]
    assert [b.repeats for world in living for b in world.mx.batches] == [True]
    # The dead one is only slow, and comes too late.
    dying.mx.gate.callback(None)
    assert living[0].is_empty()


def test_what_a_worker_held_that_dies_unheard_is_inherited_by_and_by(server: Server) -> None:
    """It was of a supervisor that died before it."""
    first = server.worker("w1").start()
    first.mx.gate = first.local.gate = Deferred()
    first.accept("A1", to("bob@far.example", "ann@here.example"))
    first.run()
    second = server.worker("w2").start()
    del server.bus.workers["w1"]
    second.run(301)
    assert [batch.repeats for batch in second.local.batches] == [True]
    assert [batch.repeats for batch in second.mx.batches] == [True]
    assert second.is_empty()


def test_a_late_settlement_of_a_released_lease_changes_nothing(server: Server) -> None:
    first, second = server.worker("w1").start(), server.worker("w2").start()
    first.mx.gate = Deferred()
    second.mx.answer = lambda address: BUSY
    domain = owned(server, "w1")[0]
    first.accept("A1", to(f"bob@{domain}"))
    first.run()
    server.die("w1")
    second.run()
    assert second.rows("state, lease, attempts") == [(State.DEFERRED, Lease.FREE, 1)]
    first.mx.gate.callback(None)
    first.run()
    assert second.rows("state, lease, attempts") == [(State.DEFERRED, Lease.FREE, 1)]


def test_a_held_recipient_of_a_dead_node_is_in_doubt_and_stays_held(server: Server) -> None:
    first, second = server.worker("w1").start(), server.worker("w2").start()
    first.local.gate = Deferred()
    first.accept("A1", to("ann@here.example"))
    first.run()
    held = f"UPDATE recipient SET state = {State.HELD:d}"
    done(first.database.write(lambda c: c.execute(held)))
    server.die("w1")
    second.run(60)
    assert second.rows("state, lease") == [(State.HELD, Lease.UNKNOWN)]
    assert second.local.batches == []


def test_bodies_that_others_are_receiving_are_no_orphans(server: Server) -> None:
    first = server.worker("w1").start()
    incoming = first.spool.begin("A1")
    incoming = done(incoming)
    incoming.write(b"x" * 300_000)
    second = server.worker("w2")
    assert done(second.queue.recover()).swept == 0
    assert first.bodies() == ["A1"]
    server.die("w1")
    server.die("w2")
    third = server.worker("w3")
    assert done(third.queue.recover()).swept == 1


def test_a_body_that_is_lost_is_set_aside_beside_others_too(server: Server) -> None:
    first = server.worker("w1")
    done(first.queue.recover())
    first.accept("A1", to("bob@far.example"), b"x" * 100_000)
    (server.base / "bodies" / "A1").unlink()
    second = server.worker("w2")
    assert done(second.queue.recover()).corrupt == ("A1",)
    assert first.rows("state") == [(State.CORRUPT,)]


# ---- lanes


def test_what_goes_to_anothers_host_is_left_to_it(server: Server) -> None:
    first, second = server.worker("w1").start(), server.worker("w2").start()
    own, others = owned(server, "w1")[0], owned(server, "w2")[0]
    first.accept("A1", to(f"a@{own}", f"b@{others}", "ann@here.example"))
    assert first.rows("address, lease", "account IS NULL") == [
        (f"a@{own}", Lease.TAKEN),
        (f"b@{others}", Lease.FREE),
    ]
    first.run()
    assert first.mx.addresses() == [f"a@{own}"]
    assert first.local.addresses() == ["ann@here.example"]
    assert second.mx.addresses() == [f"b@{others}"]
    assert first.is_empty()


def test_limits_hold_whoever_accepts(server: Server) -> None:
    workers = [server.worker(name).start() for name in ("w1", "w2", "w3")]
    gate: Deferred[None] = Deferred()
    for world in workers:
        world.mx.gate = gate
    for number in range(30):
        workers[number % 3].accept(f"A{number:02}", to(f"u{number}@far.example"))
    workers[0].run()
    assert sorted(world.mx.under_way for world in workers) == [0, 0, 5]
    gate.callback(None)
    workers[0].run()
    assert sum(len(world.mx.tried) for world in workers) == 30
    assert max(world.mx.most_under_way for world in workers) <= 20
    assert workers[0].is_empty()


def test_retries_are_the_owners(server: Server) -> None:
    workers = {name: server.worker(name).start() for name in ("w1", "w2")}
    for world in workers.values():
        world.local.answer = lambda address: BUSY
    names = [f"u{n}@here.example" for n in range(20)]
    for number, name in enumerate(names):
        workers["w1"].accept(f"A{number:02}", to(name))
    workers["w1"].run(1)
    assert len(workers["w1"].local.tried) == 20
    for world in workers.values():
        world.local.answer = lambda address: OK
    workers["w1"].run(400)
    again = {name: world.local.addresses()[-20:] for name, world in workers.items()}
    for name in names:
        expected = owner(name, ("w1", "w2"))
        assert name in workers[expected].local.addresses()[20 if expected == "w1" else 0 :], again
    assert workers["w1"].is_empty()


def test_a_newcomer_takes_over_its_share(server: Server) -> None:
    first = server.worker("w1").start()
    first.mx.answer = lambda address: BUSY
    for number in range(20):
        first.accept(f"A{number:02}", to(f"u@d{number}.example"))
    first.run(1)
    first.mx.answer = lambda address: OK
    second = server.worker("w2").start()
    server.bus.welcome("w2")
    first.run(400)
    share = {address.partition("@")[2] for address in second.mx.addresses()}
    assert share == {f"d{n}.example" for n in range(20)} & set(owned(server, "w2", 1000))
    assert share
    assert first.is_empty()


def test_what_a_dead_owner_had_waiting_is_the_others(server: Server) -> None:
    first, second = server.worker("w1").start(), server.worker("w2").start()
    first.mx.answer = lambda address: BUSY
    domain = owned(server, "w1")[0]
    second.accept("A1", to(f"bob@{domain}"))
    second.run(1)
    assert first.mx.addresses() == [f"bob@{domain}"]
    server.die("w1")
    for timer in first.clock.getDelayedCalls():
        if timer is first.queue._timer:
            timer.cancel()
    second.run(400)
    assert second.mx.addresses() == [f"bob@{domain}"]
    assert second.is_empty()


def test_a_lane_that_comes_to_the_wrong_one_is_passed_on_without_haste(server: Server) -> None:
    """Two that differ about who is there do not throw a lane at each other for ever."""
    first, second = server.worker("w1").start(), server.worker("w2").start()
    domain = owned(server, "w2")[0]
    told: list[Any] = []
    second.queue._peers.hear("due", lambda lanes, worker: told.append(lanes))
    for _ in range(3):
        first.queue._heard_due([domain], "w2")
    first.run(0)
    assert told == []
    first.run(2)
    assert told == [[domain]]


def test_waking_one_wakes_all(server: Server) -> None:
    first, second = server.worker("w1").start(), server.worker("w2").start()
    domain = owned(server, "w2")[0]
    second.mx.answer = lambda address: TransientFailure(DOWN)
    for number in range(5):
        second.accept(f"A{number}", to(f"u{number}@{domain}"))
    second.run(1)
    second.mx.answer = lambda address: OK
    due = f"UPDATE recipient SET next_at = {micros(first.clock.seconds())}"
    done(first.database.write(lambda c: c.execute(due)))
    first.queue.wake()
    first.run(1)
    assert first.is_empty()


def test_the_clock_moves_the_rows_once(server: Server) -> None:
    workers = [server.worker(name).start() for name in ("w1", "w2", "w3")]
    for world in workers:
        world.mx.answer = lambda address: BUSY
    workers[0].accept("A1", to("bob@far.example"))
    workers[0].run(1)
    ((before,),) = workers[0].rows("next_at")
    for world in workers:
        world.queue.clock_jumped(1000.0)
    ((after,),) = workers[0].rows("next_at")
    assert after - before == 1000 * 1_000_000
