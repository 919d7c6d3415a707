"""Recipients whom a program here takes: their lanes, their limits, and what is left of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Notify, Recipient
from mailframe.core.resolution import Local
from mailframe.errors import INTERNAL_ERROR, TransientFailure
from mailframe.interfaces import Arrival
from mailframe.interfaces.journal import STEPS
from mailframe.queue import admin, copied
from mailframe.queue.admin import Selection
from mailframe.queue.records import lane_of, probe_of
from mailframe.queue.schema import MIGRATIONS, Lease, State
from mailframe.testing.peers import Bus
from tests.unit.queue.world import (
    BUSY,
    DOWN,
    EPOCH,
    OK,
    REFUSED,
    FakeCourier,
    FakeGroupCourier,
    World,
    done,
    to,
)

ORDERS = "orders@app.example"
DAY = 86400.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).start()


def reports(world: World) -> list[str]:
    """Delivery reports that were made, by the message they are about."""
    return [id for id, step, result, _ in world.journal.records
            if step == "bounce" and result != "dropped"]  # fmt: skip


def states(world: World) -> list[State]:
    return [State(state) for (state,) in world.rows("state")]


def dead(tmp_path: Path, **settings: Any) -> World:
    """One dead letter."""
    world = World(tmp_path, **settings).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS))
    world.run(6 * DAY)
    assert states(world) == [State.DEAD]
    return world


def act(world: World, what: Callable[..., object], selection: Selection | None = None) -> None:
    what(world.database, selection or Selection(), world.clock.seconds())
    world.queue.wake()
    world.run()


# ---- on their way


def test_the_program_gets_it_and_the_mail_store_does_not(world: World) -> None:
    world.accept("A1", to(ORDERS))
    world.run()
    (batch,) = world.app.batches
    assert (batch.next_hop, batch.attempt, batch.repeats) == (ORDERS, 1, False)
    assert world.local.batches == world.mx.batches == []
    assert world.is_empty()


def test_who_takes_it_is_written_down(tmp_path: Path, world: World) -> None:
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS, "ann@here.example", "bob@far.example"))
    assert world.rows("address, account, courier") == [
        (ORDERS, ORDERS, "app"),
        ("ann@here.example", "ann@here.example", None),
        ("bob@far.example", None, None),
    ]
    world.run()
    later = world.crashed(tmp_path / "later").start()
    later.run(DAY)
    assert later.app.batches[0].recipients[0].mailbox == Local(ORDERS, courier="app")
    assert later.app.batches[0].attempt == 2


@pytest.mark.parametrize(
    "recipient",
    [
        Recipient(Address("ann", "here.example"), mailbox=Local("ann@here.example")),
        Recipient(Address("x", "app.example"), mailbox=Local(ORDERS, courier="app")),
        Recipient(Address("x", "app.example"), mailbox=Local('"a b"@app.example', courier="x y")),
        Recipient(Address("bob", "far.example")),
    ],
)
def test_a_lane_leads_where_its_recipients_go(recipient: Recipient) -> None:
    lane = lane_of(recipient)
    assert probe_of(lane).mailbox == recipient.mailbox
    assert lane_of(probe_of(lane)) == lane


def test_an_account_s_mailbox_and_its_program_wait_apart(world: World) -> None:
    """As after a change of the configuration: both kinds are in the queue."""
    address = Address.parse("ann@here.example")
    world.local.answer = world.app.answer = lambda address: BUSY
    for queue_id, courier in (("A1", ""), ("A2", "app")):
        recipient = Recipient(address, mailbox=Local(address.key, courier=courier))
        world.accept(queue_id, Envelope(Address.parse("ann@b.example"), (recipient,)))
    world.run()
    assert len(set(world.rows("lane"))) == 2
    world.local.answer = world.app.answer = lambda address: OK
    world.run(DAY)
    assert {id for _, id, _ in world.local.tried} == {"A1"}
    assert {id for _, id, _ in world.app.tried} == {"A2"}
    assert world.is_empty()


def test_a_domain_selects_what_is_for_its_programs(world: World) -> None:
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS))
    world.run()
    listed = admin.messages(world.database, Selection(domain="APP.example"))
    assert [(m.queue_id, m.recipients[0].courier) for m in listed] == [("A1", "app")]


def test_several_messages_for_a_program_may_go_together(tmp_path: Path) -> None:
    world = World(tmp_path, app=FakeGroupCourier).start()
    for number in range(3):
        world.accept(f"A{number}", to(ORDERS))
    world.run(1)
    assert sorted(id for group in world.app.groups for id in group) == ["A0", "A1", "A2"]
    assert world.is_empty()


def test_an_entry_whose_program_makes_no_sense_is_set_aside(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.queue.recover())
    world.accept("A1", to(ORDERS))
    world.accept("A2", to(ORDERS))
    change = "UPDATE recipient SET courier = x'ff' WHERE queue_id = 'A1'"
    done(world.database.write(lambda connection: connection.execute(change)))
    world.queue.start()
    world.run(10)
    assert world.rows() == [("A1", 0, State.CORRUPT)]
    assert [id for _, id, _ in world.app.tried] == ["A2"]


# ---- limits


def test_a_program_that_hangs_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    world = World(tmp_path, concurrency=2).start()
    world.app.gate = Deferred()
    for number in range(6):
        world.accept(f"A{number}", to(f"a{number}@app.example"))
    world.accept("B1", to("bob@far.example", "ann@here.example"))
    world.run()
    assert world.app.under_way == 2
    assert world.mx.addresses() == ["bob@far.example"]
    assert world.local.addresses() == ["ann@here.example"]
    world.app.gate.callback(None)
    world.run()
    assert world.is_empty()
    assert world.app.most_under_way == 2


def test_hosts_that_hang_keep_no_program_waiting(tmp_path: Path) -> None:
    world = World(tmp_path, concurrency=2).start()
    world.mx.gate = Deferred()
    for number in range(4):
        world.accept(f"A{number}", to(f"bob@far{number}.example"))
    world.accept("B1", to(ORDERS))
    world.run()
    assert world.app.addresses() == [ORDERS]


def test_one_program_that_hangs_keeps_no_other_waiting(tmp_path: Path) -> None:
    world = World(tmp_path, concurrency=1).start()
    other = world.couriers["shop"] = FakeCourier("shop", world.clock)
    world.app.gate = Deferred()
    world.accept("A1", to(ORDERS))
    address = Address.parse("a@shop.example")
    recipient = Recipient(address, mailbox=Local(address.key, courier="shop"))
    world.accept("A2", Envelope(Address.parse("ann@b.example"), (recipient,)))
    world.run()
    assert other.addresses() == ["a@shop.example"]


def test_one_account_does_not_take_every_place_of_its_program(tmp_path: Path) -> None:
    world = World(tmp_path, concurrency_per_destination=3).start()
    world.app.gate = Deferred()
    for number in range(8):
        world.accept(f"A{number}", to(ORDERS))
    world.run()
    assert world.app.under_way == 3
    world.app.gate.callback(None)
    world.run()
    assert world.is_empty()


def test_the_pace_for_hosts_is_not_that_of_programs(tmp_path: Path) -> None:
    world = World(tmp_path, rate_per_destination=1).start()
    for number in range(5):
        world.accept(f"A{number}", to(ORDERS))
    world.run()
    assert len(world.app.batches) == 5


@pytest.mark.parametrize("trouble", [INTERNAL_ERROR, TransientFailure(DOWN)])
def test_what_is_wrong_with_some_mail_puts_off_no_other(world: World, trouble: Any) -> None:
    """A host that fails so often is given a rest; a hook with a bug is asked about each."""
    world.app.answer = lambda address: trouble
    for number in range(6):
        world.accept(f"A{number}", to(ORDERS))
    world.run(1)
    assert len(world.app.tried) == 6
    world.app.answer = lambda address: OK
    world.accept("B1", to(ORDERS))
    world.run()
    assert world.app.tried[-1][1] == "B1"
    world.run(300)
    assert world.is_empty(), "each kept its own schedule"


# ---- a courier that is not there


def test_a_program_that_is_gone_defers_and_is_named(world: World) -> None:
    del world.couriers["app"]
    world.accept("A1", to(ORDERS))
    world.run()
    (message,) = admin.messages(world.database, Selection())
    assert message.queue_name == "deferred"
    assert message.recipients[0].delay_reason == (
        "451 4.4.4 No way to this destination at present"
        " (accepted for app: there is no courier app)"
    )
    (reason,) = (
        detail["reason"] for _, step, _, detail in world.journal.records if step == "defer"
    )
    assert reason == "accepted for app: there is no courier app"
    world.couriers["app"] = world.app
    world.run(DAY)
    assert world.app.addresses() == [ORDERS]
    assert world.is_empty()


def test_a_program_that_stays_away_leaves_dead_letters(world: World) -> None:
    del world.couriers["app"]
    world.accept("A1", to(ORDERS))
    world.run(6 * DAY)
    assert states(world) == [State.DEAD]
    world.couriers["app"] = world.app
    act(world, admin.replay)
    assert world.is_empty()
    assert reports(world) == []


def test_a_name_that_is_none_does_no_harm(world: World) -> None:
    address = Address.parse(ORDERS)
    recipient = Recipient(address, mailbox=Local(ORDERS, courier="\r\n\0\x1b" + "x" * 10_000))
    world.accept("A1", Envelope(Address.parse("ann@b.example"), (recipient,)))
    world.run()
    (message,) = admin.messages(world.database, Selection())
    assert len(message.recipients[0].delay_reason) < 600
    assert states(world) == [State.DEFERRED]


def test_why_a_program_failed_is_kept_for_the_administrator_alone(world: World) -> None:
    world.app.answer = lambda address: TransientFailure(DOWN, "line 7:\r\n\0 no\ttable \udcff")
    world.accept("A1", to(ORDERS, notify=frozenset({Notify.DELAY})))
    world.run(6 * DAY)
    (message,) = admin.messages(world.database, Selection(state="dead"))
    said = "451 4.4.1 Connection refused (line 7: no table \\udcff)"
    assert message.recipients[0].delay_reason == said
    assert b"Connection refused" in world.mx.contents["DSN1"]
    assert b"line 7" not in world.mx.contents["DSN1"]


# ---- dead letters


def test_what_was_not_taken_in_time_is_kept_and_nobody_is_told(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS))
    world.run(6 * DAY)
    last = world.app.tried[-1][0]
    assert last - EPOCH == pytest.approx(World.EXPIRE), "the last try is when time is over"
    assert world.rows("state, lease, courier") == [(State.DEAD, Lease.FREE, "app")]
    assert reports(world) == []
    tried = len(world.app.tried)
    world.run(60 * DAY)
    later = world.crashed(tmp_path / "later").start()
    later.run(60 * DAY)
    assert len(world.app.tried) == tried
    assert later.app.tried == []
    assert states(later) == [State.DEAD]


def test_the_story_says_so(tmp_path: Path) -> None:
    world = dead(tmp_path)
    _, _, result, detail = next(r for r in world.journal.records if r[1] == "dead")
    assert result == "kept"
    assert (detail["forward_path"], detail["courier"]) == (ORDERS, "app")
    assert detail["reply"] == str(BUSY)
    assert detail["delay"] == pytest.approx(World.EXPIRE)
    assert detail["next_at"] is None
    assert {step for _, step, _, _ in world.journal.records} <= set(STEPS)
    assert "fail" not in world.journal.steps("A1")
    assert "remove" not in world.journal.steps("A1")


def test_the_lists_say_so(tmp_path: Path) -> None:
    world = dead(tmp_path)
    (message,) = admin.messages(world.database, Selection(state="dead"))
    assert message.queue_name == "dead"
    (recipient,) = message.recipients
    assert recipient.next_at == pytest.approx(EPOCH + World.EXPIRE)
    assert recipient.delay_reason == "host mx.example said: 451 4.7.1 Come back later"
    assert (recipient.state, recipient.courier) == ("dead", "app")
    assert list(admin.messages(world.database, Selection(state="hold"))) == []


def test_replayed_it_is_tried_at_once_and_done(tmp_path: Path) -> None:
    world = dead(tmp_path)
    world.app.answer = lambda address: OK
    attempts = len(world.app.batches)
    assert admin.replay(world.database, Selection(to="x@y.example"), EPOCH) == []
    act(world, admin.replay)
    assert world.app.batches[-1].attempt == attempts + 1
    assert world.is_empty()
    assert world.journal.steps("A1")[-2:] == ["deliver", "remove"]


def test_what_fails_again_is_dead_again(tmp_path: Path) -> None:
    world = dead(tmp_path)
    attempts = len(world.app.batches)
    world.app.answer = lambda address: DOWN
    act(world, admin.replay)
    world.run(10 * DAY)
    assert len(world.app.batches) == attempts + 1
    assert states(world) == [State.DEAD]
    (message,) = admin.messages(world.database, Selection(state="dead"))
    assert message.recipients[0].delay_reason.endswith("Connection refused")
    assert message.recipients[0].next_at == pytest.approx(EPOCH + 6 * DAY)
    assert reports(world) == []


def test_only_dead_letters_are_replayed(world: World) -> None:
    world.app.answer = world.mx.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS, "bob@far.example"))
    world.run()
    admin.hold(world.database, Selection(domain="app.example"), world.clock.seconds())
    assert admin.replay(world.database, Selection(), world.clock.seconds()) == []
    assert states(world) == [State.HELD, State.DEFERRED]


def test_flush_and_release_pass_it_by(tmp_path: Path) -> None:
    world = dead(tmp_path)
    row = world.rows("state, next_at, token")
    assert admin.flush(world.database, Selection(), world.clock.seconds()) == []
    assert admin.release(world.database, Selection(), world.clock.seconds()) == []
    world.queue.wake()
    world.run(DAY)
    assert world.rows("state, next_at, token") == row


def test_the_administrator_may_return_it(tmp_path: Path) -> None:
    world = dead(tmp_path)
    tried = len(world.app.tried)
    act(world, admin.bounce)
    assert reports(world) == ["A1"]
    assert b"Returned by the administrator" in world.mx.contents["DSN1"]
    assert len(world.app.tried) == tried
    assert world.is_empty()


def test_the_administrator_may_return_it_when_its_program_is_gone(tmp_path: Path) -> None:
    world = dead(tmp_path)
    del world.couriers["app"]
    act(world, admin.bounce)
    assert reports(world) == ["A1"]


def test_the_administrator_may_remove_it(tmp_path: Path) -> None:
    world = dead(tmp_path)
    admin.remove(world.database, Selection(state="dead"))
    assert world.is_empty()
    assert reports(world) == []


def test_on_hold_it_waits_for_its_release(tmp_path: Path) -> None:
    world = dead(tmp_path)
    tried = len(world.app.tried)
    act(world, admin.hold)
    act(world, admin.replay)
    assert states(world) == [State.HELD]
    assert len(world.app.tried) == tried
    act(world, admin.release)
    assert len(world.app.tried) == tried + 1
    assert states(world) == [State.DEAD]


def test_a_frozen_account_s_dead_letters_are_held_with_the_rest(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS), arrival=Arrival(account="eve@here.example"))
    world.run(6 * DAY)
    chosen = Selection(account="eve@here.example")
    assert done(admin.holding(world.database, chosen, world.clock.seconds())) == ["A1"]
    act(world, admin.replay)
    assert states(world) == [State.HELD]


@pytest.mark.parametrize(("meanwhile", "left"), [(admin.hold, [State.HELD]), (admin.bounce, [])])
def test_what_the_administrator_says_during_the_last_attempt_holds(
    tmp_path: Path, meanwhile: Callable[..., object], left: list[State]
) -> None:
    world = World(tmp_path).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS))
    world.run(World.EXPIRE - 1)
    world.app.gate = Deferred()
    world.run(2)
    assert world.app.under_way == 1
    meanwhile(world.database, Selection(), world.clock.seconds())
    world.app.gate.callback(None)
    world.run(DAY)
    assert states(world) == left
    assert reports(world) == ([] if left else ["A1"])


def test_removed_during_the_last_attempt_it_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS))
    world.run(World.EXPIRE - 1)
    world.app.gate = Deferred()
    world.run(2)
    admin.remove(world.database, Selection())
    world.app.gate.callback(None)
    world.run(DAY)
    assert world.is_empty()


def test_its_own_refusal_is_the_sender_s(world: World) -> None:
    world.app.answer = lambda address: REFUSED
    world.accept("A1", to(ORDERS))
    world.run()
    assert reports(world) == ["A1"]
    assert b"No such user" in world.mx.contents["DSN1"]
    assert world.is_empty()


def test_a_report_that_a_program_does_not_take_is_dead_too(world: World) -> None:
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS, sender=None))
    world.run(6 * DAY)
    assert states(world) == [State.DEAD]


def test_others_of_the_message_bounce_as_ever(world: World) -> None:
    world.app.answer = lambda address: BUSY
    world.mx.answer = lambda address: OK if address == "ann@sender.example" else BUSY
    world.accept("A1", to(ORDERS, "bob@far.example", "ann@here.example"))
    world.run(6 * DAY)
    assert world.rows("address, state") == [(ORDERS, State.DEAD)]
    report = world.mx.contents[list(world.mx.contents)[-1]]
    assert b"bob@far.example" in report
    assert ORDERS.encode() not in report
    assert "remove" not in world.journal.steps("A1")


def test_what_is_late_already_is_tried_once(tmp_path: Path) -> None:
    """The server was off for a long time."""
    world = World(tmp_path)
    done(world.queue.recover())
    world.accept("A1", to(ORDERS))
    world.clock.advance(30 * DAY)
    later = world.crashed(tmp_path / "later")
    later.app.answer = lambda address: BUSY
    later.start()
    later.run(DAY)
    assert len(later.app.tried) == 1
    assert states(later) == [State.DEAD]


def test_a_large_one_keeps_its_body(tmp_path: Path) -> None:
    world = World(tmp_path, inline_limit=100).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS), b"Subject: large\r\n\r\n" + b"x" * 5000 + b"\r\n")
    world.run(6 * DAY)
    later = world.crashed(tmp_path / "later").start()
    assert later.bodies() == ["A1"]
    assert states(later) == [State.DEAD]
    act(later, admin.replay)
    assert b"x" * 5000 in later.app.contents["A1"]
    assert later.bodies() == []


# ---- words of delay


def test_nobody_is_warned_of_a_delay_in_this_house(world: World) -> None:
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS))
    world.run(2 * DAY)
    assert world.mx.batches == []
    assert world.rows("warned") == [(0,)]


def test_who_asked_to_be_told_of_delay_is_told_once(world: World) -> None:
    world.app.answer = lambda address: BUSY
    notify = frozenset({Notify.DELAY, Notify.FAILURE})
    world.accept("A1", to(ORDERS, notify=notify))
    world.run(6 * DAY)
    assert [r[2] for r in world.journal.records if r[1] == "bounce"] == ["delayed"]
    assert states(world) == [State.DEAD]


# ---- crashes


def test_a_start_does_not_wait_for_a_program(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    world.app.gate = Deferred()
    world.accept("A1", to(ORDERS))
    world.run()
    later = world.crashed(tmp_path / "later")
    later.app.gate = Deferred()
    found = done(later.queue.recover())
    assert found.in_doubt == ()
    assert later.app.batches == []
    later.queue.start()
    later.run()
    (batch,) = later.app.batches
    assert batch.repeats, "it may have been taken, and the program is told"
    later.app.gate.callback(None)
    later.run()
    assert later.is_empty()


def test_a_mailbox_that_is_in_doubt_still_comes_first(tmp_path: Path) -> None:
    world = World(tmp_path).start()
    world.app.gate = world.local.gate = Deferred()
    world.accept("A1", to(ORDERS, "ann@here.example"))
    world.run()
    later = world.crashed(tmp_path / "later")
    assert done(later.queue.recover()).in_doubt == ("ann@here.example",)
    assert later.local.addresses() == ["ann@here.example"]


def test_a_start_does_not_hasten_what_a_program_put_off(tmp_path: Path) -> None:
    world = World(tmp_path, attempt_seconds=60).start()
    world.app.gate = Deferred()
    world.accept("A1", to(ORDERS))
    world.run(120)
    assert world.rows("state, lease") == [(State.DEFERRED, Lease.UNKNOWN)]
    later = world.crashed(tmp_path / "later").start()
    later.run(60)
    assert later.app.batches == []
    later.run(600)
    assert later.app.batches[0].repeats


def test_doubt_about_the_last_attempt_outlives_death(tmp_path: Path) -> None:
    world = World(tmp_path, attempt_seconds=60).start()
    world.app.answer = lambda address: BUSY
    world.accept("A1", to(ORDERS))
    world.run(World.EXPIRE - 1)
    world.app.gate = Deferred()
    world.run(120)
    assert world.rows("state, lease") == [(State.DEAD, Lease.UNKNOWN)]
    later = world.crashed(tmp_path / "later").start()
    assert states(later) == [State.DEAD]
    act(later, admin.replay)
    assert later.app.batches[0].repeats


# ---- several workers


@pytest.fixture
def pair(tmp_path: Path, world: World) -> tuple[World, World]:
    bus = Bus()
    base = tmp_path / "shared"
    base.mkdir()

    def worker(name: str) -> World:
        alive = lambda: frozenset(bus.workers) - {name}
        made = World(base, world.clock, node=name, others_alive=alive, peers=bus.join(name))
        made.settings["bus"] = bus
        return made

    first, second = worker("w1"), worker("w2")
    return first.start(), second.start()


def test_an_account_s_owner_asks_its_program_whoever_accepted_it(
    pair: tuple[World, World],
) -> None:
    first, second = pair
    names = [f"a{number}@app.example" for number in range(20)]
    for number, name in enumerate(names):
        first.accept(f"A{number:02}", to(name))
        second.accept(f"B{number:02}", to(name))
    first.run(10)
    by_first, by_second = set(first.app.addresses()), set(second.app.addresses())
    assert by_first | by_second == set(names)
    assert not by_first & by_second
    assert by_first
    assert by_second
    assert first.is_empty()


def test_of_a_worker_that_died_the_other_takes_them_over(pair: tuple[World, World]) -> None:
    first, second = pair
    first.app.gate = second.app.gate = Deferred()
    for number in range(10):
        first.accept(f"A{number}", to(f"a{number}@app.example"))
    first.run(10)
    mine = len(second.app.batches)
    assert 0 < mine < 10
    first.queue._running = False  # as one that is dead
    first.settings["bus"].leave("w1")
    second.run(10)
    assert len(second.app.batches) == 10
    assert all(batch.repeats for batch in second.app.batches[mine:])


def test_any_worker_may_replay(pair: tuple[World, World]) -> None:
    first, second = pair
    first.app.answer = second.app.answer = lambda address: BUSY
    first.accept("A1", to(ORDERS))
    first.run(6 * DAY)
    assert states(first) == [State.DEAD]
    first.app.answer = second.app.answer = lambda address: OK
    for each in pair:
        act(each, admin.replay)
        first.run(1)
    assert first.is_empty()


# ---- copies


def columns(world: World, what: Callable[[sqlite3.Connection], Any]) -> Any:
    return done(world.database.write(what))


def test_a_copy_of_the_queue_looks_for_no_program_s_mail_in_mailboxes(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.queue.recover())
    world.accept("A1", to(ORDERS, "ann@here.example", "bob@far.example"))
    found = columns(world, copied.local_rows)
    assert [str(row.recipient.address) for row in found] == ["ann@here.example"]
    columns(world, copied.mark_in_doubt)
    assert columns(world, copied.hold_relayed) == 1
    world.queue.start()
    world.run()
    (batch,) = world.app.batches
    assert batch.repeats
    assert world.rows("address, state") == [("bob@far.example", State.HELD)]


def test_a_queue_of_an_older_mailframe_can_be_copied(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.executescript(";".join(MIGRATIONS[:3]))
    connection.execute(
        "INSERT INTO recipient (queue_id, number, lane, state, next_at, token, lease, attempts,"
        " warned, address, account, folder) VALUES ('A1', 0, 'ann@here.example', 1, 0, 0, 0, 0, 0,"
        " 'ann@here.example', 'ann@here.example', '')"
    )
    (row,) = copied.local_rows(connection)
    connection.close()
    assert row.recipient.mailbox == Local("ann@here.example")
