"""What is done leaves the tables together, and one that cannot leave keeps nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from mailframe.core import status
from mailframe.core.envelope import Notify
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure
from tests.unit.queue.world import World, done, to

ADDRESSES = ("ann@a.example", "bob@b.example", "cat@c.example")


class BusyDisk:
    """The writer's jobs wait for it."""

    def __init__(self, world: World) -> None:
        self._write: Callable[[Any], Deferred[Any]] = world.database.write
        self.waiting: list[tuple[Any, Deferred[Any]]] = []

    def write(self, job: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.waiting.append((job, result))
        return result

    def write_now(self, job: Any) -> Deferred[Any]:
        return self._write(job)

    def has_time(self) -> None:
        while self.waiting:
            job, result = self.waiting.pop(0)
            self._write(job).chainDeferred(result)


def let_go(world: World) -> None:
    """Their courier answers."""
    assert world.mx.gate is not None
    world.mx.gate.callback(None)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three attempts are under way."""
    world = World(tmp_path).start()
    world.mx.gate = Deferred()
    for number, address in enumerate(ADDRESSES):
        world.accept(f"A{number}", to(address))
    world.run()
    return world


def test_what_ends_while_the_disk_is_busy_leaves_in_one_job(world: World) -> None:
    disk = BusyDisk(world)
    world.database.write = disk.write  # type: ignore[method-assign]
    let_go(world)
    assert len(disk.waiting) == 1
    assert len(world.rows()) == 3
    disk.has_time()
    assert world.is_empty()


def test_one_in_other_hands_keeps_nobody(world: World) -> None:
    raised = "UPDATE recipient SET token = token + 1 WHERE queue_id = 'A1'"
    done(world.database.write(lambda connection: connection.execute(raised)))
    disk = BusyDisk(world)
    world.database.write = disk.write  # type: ignore[method-assign]
    let_go(world)
    disk.has_time()
    assert world.rows("queue_id") == [("A1",)]


def test_where_the_writer_takes_no_job_each_is_settled_for_itself(world: World) -> None:
    write = world.database.write
    overloaded = TransientFailure(Reply(451, status.SYSTEM_FULL, "behind"))
    refused: list[Any] = []

    def refusing_once(job: Any) -> Any:
        if refused:
            return write(job)
        refused.append(job)
        return fail(overloaded)

    world.database.write = refusing_once  # type: ignore[method-assign]
    let_go(world)
    world.run(5)
    assert len(refused) == 1
    assert world.is_empty()


def test_whoever_is_told_has_the_report_with_it(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    disk = BusyDisk(world)
    world.mx.gate = Deferred()
    envelope = to("bob@b.example", sender="ann@here.example", notify=frozenset({Notify.SUCCESS}))
    world.accept("A1", envelope)
    world.accept("A2", to("cat@c.example"))
    world.run()
    world.database.write = disk.write  # type: ignore[method-assign]
    let_go(world)
    assert len(disk.waiting) == 2
    disk.has_time()
    world.database.write = disk.write_now  # type: ignore[method-assign]
    world.run(1)
    assert len(world.local.batches) == 1
    assert world.is_empty()
