"""The queue against a dict: whatever happens, in whatever order, nobody vanishes.

The model knows of every accepted recipient what must become of it: taken by its courier,
reported to its sender, removed by the administrator, or still in the queue. Couriers answer
at random, time passes, the process is killed and started again from its files.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.errors import TransientFailure
from mailframe.queue import admin
from mailframe.queue.admin import Selection
from tests.unit.queue.world import BUSY, DOWN, OK, REFUSED, World, to

ANSWERS = st.sampled_from([OK, OK, BUSY, REFUSED, "down", "bug"])
RARELY = st.sampled_from([False, False, False, True])
DOMAINS = ("a.example", "b.example", "here.example")


class QueueModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.generation = 0
        self.accepted: set[tuple[str, str]] = set()  # (queue id, address)
        self.messages = 0
        self.removed: set[tuple[str, str]] = set()
        self.hurried: set[str] = set()  # ids that the administrator flushed or released
        self.answers: dict[str, Any] = {}
        self.expired: set[tuple[str, str]] = set()
        self.told: list[str] = []  # reports of former processes
        self.earlier_tries: list[tuple[float, str, str]] = []

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @initialize()
    def begin(self) -> None:
        (self.root / "0").mkdir()
        self.world = World(self.root / "0", stop_seconds=1.0)
        self.wire()

    def wire(self) -> None:
        for courier in (self.world.mx, self.world.local):
            courier.answer = self.answer
        self.world.start()

    def answer(self, address: str) -> Any:
        reply = self.answers.get(address.partition("@")[2], OK)
        if reply == "down":
            raise TransientFailure(DOWN)
        if reply == "bug":
            raise RuntimeError("bug")
        return reply

    @rule(
        recipients=st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(DOMAINS)),
            min_size=1,
            max_size=5,
            unique=True,
        ),
        null=st.booleans(),
        large=st.booleans(),
        seconds=st.sampled_from([None, 0.0, 1.0]),
    )
    def accept(
        self, recipients: list[tuple[int, str]], null: bool, large: bool, seconds: float | None
    ) -> None:
        self.messages += 1
        queue_id = f"M{self.messages:05}"
        addresses = [f"u{number}@{domain}" for number, domain in recipients]
        sender = None if null else "ann@home.example"
        content = b"Subject: x\r\n\r\n" + b"x" * (70_000 if large else 10)
        self.world.accept(queue_id, to(*addresses, sender=sender), content)
        for address in addresses:
            self.accepted.add((queue_id, address))
        if seconds is not None:
            self.world.run(seconds)

    @rule(domain=st.sampled_from(DOMAINS), reply=ANSWERS)
    def change_answer(self, domain: str, reply: Any) -> None:
        self.answers[domain] = reply

    @rule(seconds=st.sampled_from([0.0, 1.0, 299.0, 301.0, 4000.0, 100_000.0, 500_000.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(really=RARELY)
    def block(self, really: bool) -> None:
        for courier in (self.world.mx, self.world.local):
            if really and courier.gate is None:
                courier.gate = Deferred()

    @rule()
    def unblock(self) -> None:
        for courier in (self.world.mx, self.world.local):
            gate, courier.gate = courier.gate, None
            if gate is not None:
                gate.callback(None)

    @rule(really=RARELY)
    def kill_and_restart(self, really: bool) -> None:
        if not really:
            return
        old = self.world
        self.collect()
        self.generation += 1
        where = self.root / str(self.generation)
        shutil.copytree(old.base, where)
        clock = Clock()
        clock.advance(old.clock.seconds())
        numbers = old.numbers
        old.database.close()
        self.world = World(where, clock, stop_seconds=1.0)
        self.world.numbers = numbers
        self.wire()

    @rule(what=st.sampled_from(["flush", "hold", "release"]), domain=st.sampled_from(DOMAINS))
    def administrate(self, what: str, domain: str) -> None:
        act = getattr(admin, what)
        changed = act(self.world.database, Selection(domain=domain), self.world.clock.seconds())
        if what != "hold":
            self.hurried.update(changed)
        self.world.queue.wake()

    @rule(domain=st.sampled_from(DOMAINS), really=RARELY)
    def remove(self, domain: str, really: bool) -> None:
        if not really:
            return
        for message in admin.messages(self.world.database, Selection(domain=domain)):
            for each in message.recipients:
                self.removed.add((message.queue_id, each.address))
        admin.remove(self.world.database, Selection(domain=domain))

    def collect(self) -> None:
        self.expired |= self.expirations()
        self.told += [record[3]["dsn"] for record in self.reports()]
        for courier in (self.world.mx, self.world.local):
            self.earlier_tries += courier.tried

    def tries(self) -> list[tuple[float, str, str]]:
        return [*self.earlier_tries, *self.world.mx.tried, *self.world.local.tried]

    @invariant()
    def nobody_vanishes(self) -> None:
        if not hasattr(self, "world"):
            return
        queued = {(row[0], row[1]) for row in self.world.rows("queue_id, address")}
        tried = {(queue_id, address) for _, queue_id, address in self.tries()}
        expired = self.expired | self.expirations()
        for key in self.accepted:
            if key in queued or key in self.removed:
                continue
            # It left: then somebody was asked, and either took it or refused it; or its time
            # ran out while its destination answered nobody.
            assert key in tried | expired, f"{key} vanished without a try"

    @invariant()
    def whoever_was_refused_is_told(self) -> None:
        """Each failure of mail with a sender made a report, in the queue or delivered."""
        if not hasattr(self, "world"):
            return
        told = [*self.told, *(record[3]["dsn"] for record in self.reports())]
        queued = {row[0] for row in self.world.rows("queue_id")}
        tried = {queue_id for _, queue_id, _ in self.tries()}
        gone = {queue_id for queue_id, _ in self.removed}
        for queue_id in told:
            assert queue_id in queued | tried | gone, f"the report {queue_id} vanished"

    def expirations(self) -> set[tuple[str, str]]:
        records = self.world.journal.records
        return {(id, detail["forward_path"]) for id, _, end, detail in records if end == "expired"}

    def reports(self) -> list[Any]:
        records = self.world.journal.records
        return [each for each in records if each[1] == "bounce" and "dsn" in each[3]]

    @invariant()
    def never_earlier_than_the_schedule(self) -> None:
        if not hasattr(self, "world"):
            return
        last: dict[tuple[str, str], float] = {}
        for time, queue_id, address in self.tries():
            key = (queue_id, address)
            before = last.get(key)
            if before is not None and queue_id not in self.hurried and not self.generation:
                assert time - before >= 299.999, f"{key} came back after {time - before} s"
            last[key] = time

    @invariant()
    def no_rows_without_a_message(self) -> None:
        if not hasattr(self, "world"):
            return
        orphans = self.world.rows("queue_id", "queue_id NOT IN (SELECT queue_id FROM message)")
        assert orphans == []


QueueModel.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, derandomize=True
)
TestQueueModel = QueueModel.TestCase
