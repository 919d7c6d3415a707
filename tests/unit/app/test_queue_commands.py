"""``mailframe queue`` and ``trace`` about mail for programs here, and about dead letters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailframe.queue import admin
from mailframe.queue.admin import Selection
from mailframe.queue.schema import State
from tests.unit.queue.world import BUSY, World, to

ORDERS = "orders@app.example"
DAY = 86_400.0


@pytest.fixture
def queue(tmp_path: Path) -> World:
    """As a server that was stopped leaves it: a dead letter, of which a mailbox had its copy; one
    that is deferred; one on hold."""
    base = tmp_path / "state" / "queue"
    base.mkdir(parents=True)
    clock = Clock()
    clock.advance(time.time() - 8 * DAY)
    world = World(base, clock).start()
    world.app.answer = world.mx.answer = lambda address: BUSY
    world.accept("D1", to(ORDERS, "ann@here.example"))
    world.run(6 * DAY)
    world.accept("E1", to(ORDERS))
    world.accept("H1", to(ORDERS))
    world.run(1)
    admin.hold(world.database, Selection(ids=("H1",)), clock.seconds())
    return world


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def states(world: World) -> dict[str, State]:
    return {queue_id: State(state) for queue_id, _, state in world.rows()}


def test_dead_letters_are_listed(run: Any, queue: World) -> None:
    (dead,) = rows(run("queue", "list", "--state", "dead", "--json").out)
    assert (dead["queue_name"], dead["queue_id"]) == ("dead", "D1")
    (recipient,) = dead["recipients"]
    assert recipient["state"] == "dead"
    assert recipient["courier"] == "app"
    assert recipient["next_attempt"] is None
    assert recipient["dead_since"] == pytest.approx(time.time() - 3 * DAY, abs=100)
    assert "Come back later" in recipient["delay_reason"]
    names = {m["queue_id"]: m["queue_name"] for m in rows(run("queue", "--json").out)}
    assert names == {"D1": "dead", "E1": "deferred", "H1": "hold"}
    (line,) = (line for line in run("queue", "list").out.splitlines() if line.startswith("D1"))
    assert line.split()[5:7] == ["dead", "-"]


def test_show_says_why(run: Any, queue: World) -> None:
    shown = run("queue", "show", "D1").out
    (attempts,) = queue.rows("attempts", "queue_id = 'D1'")[0]
    assert f"dead, {attempts} attempts, for the program app, given up 3d00h ago and kept" in shown
    assert "queue replay" in shown
    assert "451 4.7.1 Come back later" in shown
    assert "next in" not in shown
    assert "next in" not in run("queue", "show", "H1").out
    assert "next in" in run("queue", "show", "E1").out


def test_replay_makes_them_due_and_leaves_the_others(run: Any, queue: World) -> None:
    assert run("queue", "replay", "E1", "H1").out == "due now: 0 messages\n"
    assert run("queue", "flush").out == "due now: 1 message\n"
    assert states(queue)["D1"] == State.DEAD
    assert run("queue", "replay").out == "due now: 1 message\n"
    assert states(queue) == {"D1": State.DEFERRED, "E1": State.DEFERRED, "H1": State.HELD}
    assert run("queue", "replay").out == "due now: 0 messages\n"
    steps = [(row["step"], row["result"]) for row in rows(run("trace", "D1", "--json").out)]
    assert steps == [("admin", "replay")]


def test_replay_takes_a_selection(run: Any, queue: World) -> None:
    assert run("queue", "replay", "--domain", "other.example").out == "due now: 0 messages\n"
    assert run("queue", "replay", "D1", "--to", ORDERS.upper()).out == "due now: 1 message\n"
    missing = run("queue", "replay", "nope")
    assert (missing.status, missing.err) == (66, "mailframe: not in the queue: nope\n")


@pytest.mark.parametrize(
    ("words", "printed", "left"),
    [
        (["hold", "D1"], "held 1 message", State.HELD),
        (["bounce", "--state", "dead", "--yes"], "returning 1 message", State.RETURNING),
        (["rm", "--state", "dead", "--yes"], "removed 1 message", None),
    ],
)
def test_the_other_verbs_take_them(
    run: Any, queue: World, words: list[str], printed: str, left: State | None
) -> None:
    assert run("queue", *words).out == f"{printed}\n"
    assert states(queue).get("D1") == left


def test_trace_tells_that_it_was_kept(run: Any, queue: World) -> None:
    from mailframe.journal.journal import MIGRATIONS, Journal
    from mailframe.runtime.aio import fired
    from mailframe.runtime.database import Database

    path = str(queue.base.parent / "journal.db")
    database = Database(path, MIGRATIONS, None, durable=False)
    database.open()
    journal = Journal(database, queue.clock, 100 * DAY, log_events=False)
    for id, step, result, detail in queue.journal.records:
        journal.record(id, step, result, **detail)
    fired(journal.stop())
    database.close()
    told = run("trace", "D1").out.splitlines()[-1]
    assert told.split()[1:3] == ["dead", "kept"]
    for word in (f"forward_path={ORDERS}", "courier=app", "reply=451 4.7.1 Come back later"):
        assert word in told


def test_check_warns_of_dead_letters(config_path: Path, queue: World) -> None:
    # A process of its own: the command runs a reactor, and ends it.
    program = [sys.executable, "-c", "from mailframe.app.cli import main; main()"]
    command = [*program, "--config", str(config_path), "check", "--no-network", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = {row["id"]: row for row in rows(done.stdout)}
    assert found["queue.dead"]["mark"] == "warn"
    assert found["queue.dead"]["fix"] == "mailframe queue list --state dead"
