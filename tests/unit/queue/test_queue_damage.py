"""Rows that a damaged disk left behind: they are set aside and shown, the others are served."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.queue import admin
from mailframe.queue.schema import Lease, State
from tests.unit.queue.world import BUSY, EPOCH, World, done, to

NONSENSE = ("x'fffe'", "CAST(x'fffe' AS TEXT)", "char(0) || 'nonsense'", "''", "77", "-1",
            "4611686018427387904", "1.5")  # fmt: skip
"""In SQL."""
RECIPIENT = (
    "number", "lane", "state", "next_at", "token", "lease", "attempts", "warned", "address",
    "notify", "orcpt", "original", "account", "folder", "last_at", "reply_code", "reply_status",
    "reply_text", "remote", "headers", "queue_id",
)  # fmt: skip
MESSAGE = ("arrived", "size", "prefix", "in_file", "reverse_path", "options", "arrival", "queue_id")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "first").mkdir()
    return tmp_path / "first"


DAMAGED = {f"A{number:02}": value for number, value in enumerate(NONSENSE)}
WHOLE = {"W1", "W2", "W3"}


def waiting(base: Path) -> World:
    """Messages that were tried and wait: those to be damaged, and others."""
    world = World(base).start()
    world.mx.answer = world.local.answer = lambda address: BUSY
    for queue_id in (*DAMAGED, *WHOLE):
        world.accept(queue_id, to("bob@far.example", "u@here.example"))
    world.run(1)
    return world


def change(base: Path, *queries: str) -> None:
    """As a broken disk would: no rule is asked."""
    with sqlite3.connect(base / "spool.db") as connection:
        for query in queries:
            connection.execute(query)
    connection.close()


@pytest.mark.parametrize("column", RECIPIENT)
def test_a_damaged_recipient_keeps_nobody_waiting(base: Path, column: str) -> None:
    world = waiting(base)
    update = (
        f"UPDATE OR IGNORE recipient SET {column} = {{1}} WHERE queue_id = '{{0}}' AND number = 0"
    )
    change(base, *(update.format(*item) for item in DAMAGED.items()))
    _others_are_served(world, base)


@pytest.mark.parametrize("column", MESSAGE)
def test_a_damaged_message_keeps_nobody_waiting(base: Path, column: str) -> None:
    world = waiting(base)
    update = f"UPDATE OR IGNORE message SET {column} = {{1}} WHERE queue_id = '{{0}}'"
    change(base, *(update.format(*item) for item in DAMAGED.items()))
    _others_are_served(world, base)


@pytest.mark.parametrize("table", ["message", "recipient", "body"])
def test_half_of_a_message(base: Path, table: str) -> None:
    world = waiting(base)
    change(base, f"DELETE FROM {table} WHERE queue_id = 'A02'")
    # the process that runs may still have its content in memory
    for call in world.clock.getDelayedCalls():
        call.cancel()
    _others_are_served(World(base, world.clock).start(), base)
    corrupt = admin.messages(World(base).database, admin.Selection(state="corrupt"))
    assert [each.queue_id for each in corrupt] == ["A02"]


def _others_are_served(world: World, base: Path) -> None:
    """By the process that runs, and after the next start; the lists can be shown."""
    world.mx.answer = world.local.answer = _taken
    world.run(4000)
    assert set(world.mx.contents) >= WHOLE
    again = World(base, world.clock)
    again.start()
    again.run(2 * 86400)
    left = list(admin.messages(again.database, admin.Selection()))
    assert {each.queue_id for each in left}.isdisjoint(WHOLE)
    states = {row[0] for row in again.rows("state")}
    assert states <= {State.CORRUPT}, "what remains is set aside, and waits for nothing"


def _taken(address: str) -> Any:
    from tests.unit.queue.world import OK

    return OK


def test_what_is_in_doubt_goes_before_what_is_older(base: Path, tmp_path: Path) -> None:
    """Also when more than a lease's worth of other mail is due for the same mailbox."""
    world = World(base, local_concurrency=2).start()
    world.local.gate = Deferred()
    for number in range(200):
        world.accept(f"A{number:03}", to("u@here.example"))
    world.run()
    world.clock.advance(10)
    doubtful = {row[0] for row in world.rows("queue_id", f"lease = {Lease.TAKEN:d}")}
    assert doubtful
    again = world.crashed(tmp_path / "second")
    done(again.queue.recover())
    assert {batch.message.queue_id for batch in again.local.batches} == doubtful


def test_a_delivery_in_doubt_does_not_wait_for_its_schedule(base: Path, tmp_path: Path) -> None:
    """Its owner could remove it meanwhile, and would get it again."""
    world = World(base, attempt_seconds=10.0).start()
    world.local.gate = Deferred()
    world.accept("A1", to("u@here.example"))
    world.run(11)
    assert world.rows("state, lease") == [(State.DEFERRED, Lease.UNKNOWN)]
    again = world.crashed(tmp_path / "second")
    done(again.queue.recover())
    assert [batch.repeats for batch in again.local.batches] == [True]
    assert again.is_empty()


def test_nothing_waits_longer_than_the_longest_wait(base: Path, tmp_path: Path) -> None:
    """What was scheduled while the clock was a day ahead."""
    world = World(base).start()
    world.mx.answer = lambda address: BUSY
    world.clock.advance(86400)
    for number in range(20):
        world.accept(f"A{number:02}", to("bob@far.example"))
        world.run(1)
    again = world.crashed(tmp_path / "second")
    again.clock = world.clock
    for call in world.clock.getDelayedCalls():
        call.cancel()
    world.clock.rightNow = EPOCH
    done(again.queue.recover())
    times = [row[0] / 1e6 - EPOCH for row in again.rows("next_at")]
    assert max(times) <= 3600 * 1.1
    assert len({round(time) for time in times}) > 5, "not all at the same instant"
