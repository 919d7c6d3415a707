"""Stopped in the middle of everything: what the files say then is all that the next one has."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from mailframe.queue.schema import Lease, State
from tests.unit.queue.world import BUSY, REFUSED, World, done, to


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "first").mkdir()
    return tmp_path / "first"


def test_accepted_and_not_tried(base: Path, tmp_path: Path) -> None:
    world = World(base).start()
    world.accept("A1", to("bob@far.example"))
    world.accept("A2", to("bob@far.example"), b"x" * 100_000)
    again = world.crashed(tmp_path / "second").start()
    again.run()
    assert set(again.mx.contents) == {"A1", "A2"}
    # They were written down as leased: nobody can know how far it went.
    assert all(batch.repeats for batch in again.mx.batches)
    assert again.is_empty()
    assert again.bodies() == []


def test_accepted_while_the_queue_takes_nothing(base: Path, tmp_path: Path) -> None:
    world = World(base)
    done(world.queue.recover())
    world.accept("A1", to("bob@far.example"))
    again = world.crashed(tmp_path / "second").start()
    again.run()
    assert [batch.repeats for batch in again.mx.batches] == [False]
    assert again.is_empty()


def test_in_flight_is_repeated_and_says_so(base: Path, tmp_path: Path) -> None:
    world = World(base).start()
    world.mx.gate = Deferred()
    world.accept("A1", to("bob@far.example"))
    world.run()
    assert world.rows("lease") == [(Lease.TAKEN,)]
    again = world.crashed(tmp_path / "second").start()
    again.run()
    assert [batch.repeats for batch in again.mx.batches] == [True]
    assert again.is_empty()


def test_mailboxes_are_repeated_before_anybody_can_look(base: Path, tmp_path: Path) -> None:
    world = World(base).start()
    world.local.gate = Deferred()
    for number in range(30):
        world.accept(f"A{number:02}", to(f"u{number % 3}@here.example"))
    world.run()
    assert world.local.under_way == 30
    again = world.crashed(tmp_path / "second")
    done(again.queue.recover())
    repeated = {batch.message.queue_id for batch in again.local.batches if batch.repeats}
    assert len(repeated) == 30
    again.queue.start()
    again.run()
    assert len(again.local.contents) == 30
    assert again.is_empty()


def test_recovery_does_not_hurry_what_waits_by_its_schedule(base: Path, tmp_path: Path) -> None:
    world = World(base).start()
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example"))
    world.run(1)
    again = world.crashed(tmp_path / "second").start()
    again.run(290)
    assert again.mx.tried == []
    again.run(10)
    assert len(again.mx.tried) == 1


def test_either_the_recipient_or_its_report_is_on_disk(base: Path, tmp_path: Path) -> None:
    """Look at the files at every instant between two commits of a failing delivery."""
    world = World(base).start()
    world.mx.answer = lambda address: REFUSED
    snapshots: list[World] = []
    write = world.database.write

    def watched(job):  # type: ignore[no-untyped-def]
        result = write(job)
        snapshots.append(world.crashed(tmp_path / f"at{len(snapshots)}"))
        return result

    world.database.write = watched  # type: ignore[method-assign]
    world.accept("A1", to("bob@far.example", sender="ann@here.example"))
    world.run()
    assert len(snapshots) >= 4
    assert len(world.local.contents) == 1
    for snapshot in snapshots[:-1]:
        snapshot.mx.answer = lambda address: REFUSED
        snapshot.start()
        snapshot.run()
        assert len(snapshot.local.contents) == 1, "the sender heard exactly once"
        assert snapshot.is_empty()


def test_what_cannot_be_written_down_is_not_tried_again_meanwhile(base: Path) -> None:
    world = World(base).start()
    world.accept("A1", to("bob@far.example"))
    write = world.database.write
    calls = []

    def failing(job):  # type: ignore[no-untyped-def]
        calls.append(job)
        return write(_broken) if len(calls) in (1, 2, 3, 4) else write(job)

    world.database.write = failing  # type: ignore[method-assign]
    world.run(3)
    assert len(world.rows()) == 1
    world.run(10)
    assert world.is_empty()
    assert len(world.mx.tried) == 1


def test_a_lease_that_cannot_be_written_is_asked_for_again(base: Path) -> None:
    world = World(base)
    done(world.queue.recover())
    write = world.database.write
    world.accept("A1", to("bob@far.example"))
    world.queue.start()
    world.database.write = lambda job: write(_broken)  # type: ignore[method-assign]
    world.run(60)
    assert world.mx.tried == []
    world.database.write = write  # type: ignore[method-assign]
    world.run(10)
    assert world.is_empty()


def test_stop_waits_for_attempts_but_not_for_ever(base: Path, tmp_path: Path) -> None:
    world = World(base, stop_seconds=20.0).start()
    world.mx.gate = Deferred()
    world.accept("A1", to("bob@far.example"))
    world.run()
    stopped = world.queue.stop()
    world.accept("A2", to("bob@far.example"))
    world.run(19)
    assert not stopped.called
    world.run(1)
    assert stopped.called
    assert world.clock.getDelayedCalls() == []
    assert world.rows("queue_id, lease") == [("A1", Lease.TAKEN), ("A2", Lease.FREE)]
    again = world.crashed(tmp_path / "second").start()
    again.run()
    assert [b.repeats for b in again.mx.batches if b.message.queue_id == "A1"] == [True]
    assert again.is_empty()


def test_stop_lets_an_attempt_finish(base: Path) -> None:
    world = World(base).start()
    world.mx.gate = Deferred()
    world.accept("A1", to("bob@far.example"))
    world.run()
    stopped = world.queue.stop()
    world.mx.gate.callback(None)
    assert stopped.called
    assert world.is_empty()


def test_a_late_result_is_fenced(base: Path) -> None:
    """An attempt that outlives its lease finds the row in other hands and changes nothing."""
    world = World(base).start()
    world.mx.gate = Deferred()
    world.mx.answer = lambda address: REFUSED
    world.accept("A1", to("bob@far.example", sender="ann@here.example"))
    world.run()
    done(world.database.write(lambda c: c.execute("UPDATE recipient SET token = token + 1")))
    world.mx.gate.callback(None)
    world.run()
    assert world.rows("queue_id, state") == [("A1", State.FRESH)]
    assert world.local.batches == []


def _broken(connection: object) -> None:
    raise OSError("injected")
