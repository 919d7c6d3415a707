"""The administrator's hand in the queue, while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from mailframe.errors import TransientFailure
from mailframe.queue import admin
from mailframe.queue.admin import Selection
from mailframe.queue.schema import MIGRATIONS
from mailframe.runtime.database import Database
from tests.unit.queue.world import BUSY, DOWN, OK, World, done, to


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path).start()
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example", "carol@Near.example"))
    world.accept("A2", to("dave@far.example", sender=None))
    world.accept("A3", to("x_y@other.example", sender="Ann@B.example"))
    world.run(1)
    return world


def ids(world: World, selection: Selection) -> list[str]:
    return [message.queue_id for message in admin.messages(world.database, selection)]


def test_a_message_as_postqueue_shows_it(world: World) -> None:
    first = next(admin.messages(world.database, Selection()))
    assert (first.queue_name, first.queue_id, first.sender) == (
        "deferred",
        "A1",
        "ann@sender.example",
    )
    assert first.arrival_time == int(world.clock.seconds() - 1)
    assert first.message_size == len(b"Received: from x\r\nSubject: hello\r\n\r\nHello.\r\n")
    assert [each.address for each in first.recipients] == ["bob@far.example", "carol@near.example"]
    assert first.recipients[0].delay_reason == "host mx.example said: 451 4.7.1 Come back later"


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["A1", "A2", "A3"]),
        (Selection(ids=("A3", "A1", "nope")), ["A1", "A3"]),
        (Selection(to="BOB@far.example"), ["A1"]),
        (Selection(domain="FAR.example"), ["A1", "A2"]),
        (Selection(domain="f%"), []),
        (Selection(sender="<>"), ["A2"]),
        (Selection(sender="ann@b.example"), ["A3"]),
        (Selection(ids=("A1",), domain="other.example"), []),
        (Selection(state="deferred"), ["A1", "A2", "A3"]),
        (Selection(state="hold"), []),
        (Selection(state="nonsense"), []),
    ],
)
def test_selectors(world: World, selection: Selection, expected: list[str]) -> None:
    assert ids(world, selection) == expected


def test_only_the_recipients_that_are_meant_are_listed(world: World) -> None:
    (message,) = admin.messages(world.database, Selection(domain="near.example"))
    assert [each.address for each in message.recipients] == ["carol@near.example"]


def test_flush_tries_at_once(world: World) -> None:
    world.mx.answer = lambda address: OK
    assert admin.flush(world.database, Selection(ids=("A1",)), world.clock.seconds()) == ["A1"]
    world.queue.wake()
    world.run()
    assert ids(world, Selection()) == ["A2", "A3"]


def test_hold_and_release(world: World) -> None:
    world.mx.answer = lambda address: OK
    held = Selection(domain="far.example")
    assert admin.hold(world.database, held, world.clock.seconds()) == ["A1", "A2"]
    assert admin.hold(world.database, held, world.clock.seconds()) == []
    assert admin.flush(world.database, held, world.clock.seconds()) == []
    world.queue.wake()
    world.run(10 * 86400)
    assert ids(world, Selection(state="hold")) == ["A1", "A2"] == ids(world, Selection())
    assert admin.release(world.database, Selection(), world.clock.seconds()) == ["A1", "A2"]
    world.queue.wake()
    world.run()
    assert world.is_empty()


def test_bounce_tells_the_sender_without_an_attempt(world: World) -> None:
    tried = len(world.mx.tried)
    chosen = Selection(to="bob@far.example")
    assert admin.bounce(world.database, chosen, world.clock.seconds()) == ["A1"]
    world.queue.wake()
    world.run()
    report = [(at, who, address) for at, who, address in world.mx.tried if who.startswith("DSN")]
    assert [address for _, _, address in report] == ["ann@sender.example"]
    assert len(world.mx.tried) == tried + 1
    (left,) = (m for m in admin.messages(world.database, Selection(ids=("A1",))))
    assert [each.address for each in left.recipients] == ["carol@near.example"]


def test_remove_tells_nobody(world: World) -> None:
    world.accept("A4", to("z@far.example"), b"x" * 100_000)
    world.run(1)
    assert admin.remove(world.database, Selection(to="bob@far.example")) == []
    assert admin.remove(world.database, Selection(ids=("A1", "A4"))) == [
        ("A1", False),
        ("A4", True),
    ]
    done(world.spool.discard(["A4"]))
    assert world.bodies() == []
    admin.remove(world.database, Selection())
    assert world.is_empty()


Act = Callable[[Database, Selection, float], object]


@pytest.mark.parametrize(
    "act", [admin.hold, admin.flush, admin.bounce, lambda d, s, n: admin.remove(d, s)]
)
def test_acting_on_what_is_being_delivered_never_delivers_it_twice(
    tmp_path: Path, act: Act
) -> None:
    world = World(tmp_path).start()
    world.mx.gate = Deferred()
    world.accept("A1", to("bob@far.example"))
    world.run()
    assert [m.queue_name for m in admin.messages(world.database, Selection())] == ["active"]
    act(world.database, Selection(), world.clock.seconds())
    world.queue.wake()
    world.run(10)
    assert world.mx.under_way == 1
    world.mx.gate.callback(None)
    world.run()
    admin.release(world.database, Selection(), world.clock.seconds())
    world.queue.wake()
    world.run(86400)
    assert len(world.mx.tried) == 1
    assert world.is_empty()


def test_held_while_being_tried_stays_held_when_deferred(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    world.mx.gate = Deferred()
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example"))
    world.run()
    admin.hold(world.database, Selection(), world.clock.seconds())
    world.mx.gate.callback(None)
    world.run(86400)
    assert len(world.mx.tried) == 1
    assert ids(world, Selection(state="hold")) == ["A1"]


def test_flush_gives_a_dead_destination_another_try(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    world.mx.answer = lambda address: TransientFailure(DOWN)
    for number in range(10):
        world.accept(f"A{number}", to(f"u{number}@far.example"))
    world.run(1)
    world.mx.answer = lambda address: OK
    admin.flush(world.database, Selection(), world.clock.seconds())
    world.queue.wake()
    world.run(1)
    assert world.is_empty()


def test_another_process_may_act_on_the_file(world: World) -> None:
    other = Database(world.database.path, MIGRATIONS, None)
    other.open()
    assert len(list(admin.messages(other, Selection()))) == 3
    assert admin.hold(other, Selection(ids=("A2",)), world.clock.seconds()) == ["A2"]
    other.close()
    assert ids(world, Selection(state="hold")) == ["A2"]


def test_a_long_queue_comes_in_pages(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    for number in range(2500):
        world.accept(f"A{number:05}", to("a@b.example", "c@d.example"), b"x")
    listed = [m.queue_id for m in admin.messages(world.database, Selection())]
    assert listed == [f"A{number:05}" for number in range(2500)]


def test_details(world: World) -> None:
    found = admin.details(world.database, "A2")
    assert found is not None
    assert found.envelope.reverse_path is None
    assert found.rows[0].reply == BUSY
    assert found.rows[0].attempts == 1
    assert admin.details(world.database, "nope") is None
