"""The queue end to end on doubles: due, leased, tried, settled, reported."""

from __future__ import annotations

import email
import email.policy
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Notify
from mailframe.core.events import RecipientFailed
from mailframe.core.reply import Reply
from mailframe.core.report import Outcome
from mailframe.core.resolution import Expanded, Local, Refused, Target
from mailframe.core.routing import Route
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import Arrival
from mailframe.message.dsn import build_dsn
from mailframe.queue import admin
from mailframe.queue.schema import Lease, State
from tests.unit.queue.world import BUSY, DOWN, EPOCH, OK, REFUSED, FakeCourier, World, to


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).start()


def reports(courier: FakeCourier) -> list[Any]:
    """What arrived that is a delivery report, parsed strictly."""
    return [
        email.message_from_bytes(content, policy=email.policy.strict)
        for queue_id, content in courier.contents.items()
        if queue_id.startswith("DSN")
    ]


def test_fresh_mail_goes_at_once_and_leaves_nothing(world: World) -> None:
    world.accept("A1", to("bob@far.example"))
    world.run()
    assert world.mx.addresses() == ["bob@far.example"]
    assert world.mx.contents["A1"] == b"Received: from x\r\nSubject: hello\r\n\r\nHello.\r\n"
    assert world.is_empty()
    assert world.journal.steps("A1") == ["attempt", "deliver", "remove"]


def test_recipients_that_share_a_way_travel_together(world: World) -> None:
    world.accept("A1", to("a@one.example", "b@two.example", "c@one.example", "d@here.example"))
    world.run()
    together = sorted(sorted(str(r.address) for r in b.recipients) for b in world.mx.batches)
    assert together == [["a@one.example", "c@one.example"], ["b@two.example"]]
    assert world.local.batches[0].next_hop == "d@here.example"
    assert world.is_empty()


def test_the_schedule_is_kept(world: World) -> None:
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example"))
    world.run(3 * 3600)
    start = world.mx.tried[0][0]
    waits = [round(time - start) for time, _, _ in world.mx.tried]
    assert waits == [0, 300, 1200, 4800, 8400]
    assert [batch.attempt for batch in world.mx.batches] == [1, 2, 3, 4, 5]
    assert not any(batch.repeats for batch in world.mx.batches)
    assert world.rows("reply_code, reply_status, reply_text, remote, attempts") == [
        (451, "7.1", "Come back later", "mx.example", 5)
    ]


def test_a_retry_is_not_late_when_the_disk_is_slower_than_the_queue(tmp_path: Path) -> None:
    """The attempt is settled after the queue has looked for what comes next."""
    world = World(tmp_path, retry=(60,)).start()
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example"))
    write = world.database.write

    def slow(function: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        written: Deferred[Any] = Deferred()
        write(function).addCallback(lambda r: world.clock.callLater(0.1, written.callback, r))
        return written

    world.database.write = slow  # type: ignore[method-assign]
    world.run(150)
    waits = [round(time - world.mx.tried[0][0]) for time, _, _ in world.mx.tried]
    assert waits == [0, 60, 120]


def test_a_failure_is_reported_in_the_transaction_that_removes_the_recipient(
    world: World, tmp_path: Path
) -> None:
    world.mx.answer = lambda address: REFUSED if "nobody" in address else OK
    world.accept("A1", to("nobody@far.example", sender="ann@here.example"))
    world.run()
    (report,) = reports(world.local)
    assert world.local.batches[0].message.envelope.reverse_path is None
    assert report["To"] == "ann@here.example"
    text, delivery, original = report.get_payload()
    assert "nobody@far.example" in text.get_content()
    assert delivery.get_payload()[1]["Status"] == "5.1.1"
    assert delivery.get_payload()[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user"
    assert original.get_payload()[0]["Subject"] == "hello"
    assert world.is_empty()
    assert world.journal.steps("A1") == ["attempt", "fail", "bounce", "remove"]


def test_a_report_is_written_by_a_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand recipients, each refused with a page of text, it is a second of work."""
    run, by_workers = world.spool.workers.run, []

    def noting(function: Any, *arguments: Any) -> Any:
        by_workers.append(function)
        return run(function, *arguments)

    monkeypatch.setattr(world.spool.workers, "run", noting)
    world.mx.answer = lambda address: REFUSED
    world.accept("A1", to("bob@far.example", sender="ann@here.example"))
    world.run()
    assert len(reports(world.local)) == 1
    assert by_workers.count(build_dsn) == 1


def test_expiry_fails_with_4_4_7_and_the_last_words(world: World) -> None:
    world.mx.answer = lambda address: BUSY
    notify = frozenset({Notify.FAILURE})
    world.accept("A1", to("bob@far.example", sender="ann@here.example", notify=notify))
    world.run(World.EXPIRE - 1)
    assert not reports(world.local)
    world.run(1)
    (report,) = reports(world.local)
    fields = report.get_payload()[1].get_payload()[1]
    assert (fields["Action"], fields["Status"]) == ("failed", "4.4.7")
    assert fields["Diagnostic-Code"] == "smtp; 451 4.7.1 Come back later"
    assert world.is_empty()


def test_one_warning_after_a_while(world: World) -> None:
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example", sender="ann@here.example"))
    world.run(World.WARN_AFTER - 1)
    assert not reports(world.local)
    world.run(2 * 86400)
    (report,) = reports(world.local)
    fields = report.get_payload()[1].get_payload()[1]
    assert (fields["Action"], fields["Status"]) == ("delayed", "4.7.1")
    assert fields["Will-Retry-Until"]
    assert report.get_payload()[2].get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize(
    ("notify", "answer", "action"),
    [
        (frozenset({Notify.NEVER}), REFUSED, None),
        (frozenset({Notify.SUCCESS}), REFUSED, None),
        (frozenset({Notify.FAILURE}), REFUSED, "failed"),
        (frozenset({Notify.FAILURE}), OK, None),
        (frozenset({Notify.SUCCESS}), OK, "relayed"),
        (frozenset({Notify.SUCCESS}), Outcome.DELIVERED, "delivered"),
        (frozenset({Notify.SUCCESS}), Outcome.PASSED_ON, None),
        (None, OK, None),
        (None, REFUSED, "failed"),
    ],
)
def test_who_asked_is_told(world: World, notify: Any, answer: Any, action: str | None) -> None:
    world.mx.answer = lambda address: answer
    world.accept("A1", to("bob@far.example", sender="ann@here.example", notify=notify))
    world.run()
    found = [r.get_payload()[1].get_payload()[1]["Action"] for r in reports(world.local)]
    assert found == ([action] if action else [])
    assert world.is_empty()


def test_never_a_bounce_for_a_bounce(world: World) -> None:
    world.mx.answer = lambda address: REFUSED
    world.local.answer = lambda address: REFUSED
    world.accept("A1", to("bob@far.example", sender=None))
    world.accept("A2", to("bob@far.example", sender="ann@here.example"))
    world.run()
    assert world.is_empty()
    assert len(world.local.batches) == 1  # the one report about A2, itself refused
    assert world.journal.steps("A1") == ["attempt", "fail", "bounce", "remove"]
    assert [result for _, step, result, _ in world.journal.records if step == "bounce"] == [
        "dropped", "failed", "dropped",
    ]  # fmt: skip


def test_a_sender_that_is_not_here_any_more_gets_nothing(world: World) -> None:
    world.mx.answer = lambda address: REFUSED
    world.resolver.special["gone@here.example"] = Refused(REFUSED)
    world.resolver.special["list@here.example"] = Expanded(
        (
            Target(Address.parse("x@here.example"), Local("x@here.example")),
            Target(Address.parse("y@far.example"), None),
        )
    )
    world.accept("A1", to("bob@far.example", sender="gone@here.example"))
    world.accept("A2", to("bob@far.example", sender="list@here.example"))
    world.run()
    assert world.is_empty()
    assert [b.next_hop for b in world.local.batches] == ["x@here.example"]
    assert world.mx.addresses() == ["bob@far.example"] * 2 + ["y@far.example"]


def test_a_sender_that_cannot_be_looked_up_now_is_told_later(world: World) -> None:
    world.mx.answer = lambda address: REFUSED
    down = TransientFailure(Reply(451, status.DIRECTORY_FAILURE, "down"))
    world.resolver.special["ann@here.example"] = down
    world.accept("A1", to("bob@far.example", sender="ann@here.example"))
    world.run(10)
    assert len(world.rows()) == 1
    del world.resolver.special["ann@here.example"]
    world.run(60)
    assert len(reports(world.local)) == 1
    assert len(world.mx.tried) == 1
    assert world.is_empty()


@pytest.mark.parametrize(
    "trouble", [RuntimeError("bug"), KeyError("x"), AssertionError("no")], ids=repr
)
def test_our_bug_is_never_a_bounce(world: World, trouble: Exception) -> None:
    logged: list[Any] = []
    globalLogPublisher.addObserver(logged.append)
    world.mx.answer = lambda address: trouble
    world.accept("A1", to("bob@far.example"))
    world.run()
    globalLogPublisher.removeObserver(logged.append)
    assert world.rows("state, reply_code, reply_status, lease") == [
        (State.DEFERRED, 451, "3.0", Lease.UNKNOWN)
    ]
    assert any(e.get("queue_id") == "A1" and "log_failure" in e for e in logged)
    world.mx.answer = lambda address: OK
    world.run(300)
    assert world.mx.batches[-1].repeats
    assert world.is_empty()


def test_a_recipient_that_the_courier_forgot_stays(world: World) -> None:
    original = world.mx.deliver

    async def forgetful(batch: Any) -> Any:
        return list(await original(batch))[:1]

    world.mx.deliver = forgetful  # type: ignore[method-assign]
    world.accept("A1", to("a@far.example", "b@far.example"))
    world.run()
    assert world.rows("address") == [("b@far.example",)]


def test_a_courier_that_never_answers_is_given_up(tmp_path: Path) -> None:
    world = World(tmp_path, attempt_seconds=600.0).start()
    world.mx.gate = Deferred()
    world.accept("A1", to("bob@far.example"))
    world.run(599)
    assert world.rows("lease") == [(Lease.TAKEN,)]
    world.run(1)
    assert world.rows("lease, reply_code, reply_status") == [(Lease.UNKNOWN, 451, "4.2")]
    world.mx.gate = None
    world.run(300)
    assert world.mx.batches[-1].repeats
    assert world.is_empty()


def test_failure_of_the_attempt_counts_for_everybody(world: World) -> None:
    world.mx.answer = lambda address: PermanentFailure(REFUSED)
    world.accept("A1", to("a@far.example", "b@far.example", sender="ann@here.example"))
    world.run()
    (report,) = reports(world.local)
    groups = report.get_payload()[1].get_payload()
    assert [group["Final-Recipient"] for group in groups[1:]] == [
        "rfc822; a@far.example",
        "rfc822; b@far.example",
    ]


def test_no_way_is_no_bounce(world: World) -> None:
    world.router.special["odd.example"] = Route("pigeon", "coop")
    world.router.special["bug.example"] = ZeroDivisionError()
    world.router.special["null.example"] = PermanentFailure(REFUSED)
    world.accept("A1", to("a@odd.example", "b@bug.example", "c@null.example", sender=None))
    world.run()
    assert world.rows("address, reply_code") == [("a@odd.example", 451), ("b@bug.example", 451)]


def test_a_dead_destination_is_left_alone_and_costs_no_attempts(world: World) -> None:
    world.mx.answer = lambda address: TransientFailure(DOWN)
    for number in range(60):
        world.accept(f"A{number:03}", to(f"u{number}@down.example"))
    world.run(200)
    assert len(world.mx.tried) <= 10
    texts = {text for (text,) in world.rows("reply_text")}
    assert texts == {
        "Connection refused",
        "Not tried, the destination failed lately: Connection refused",
    }
    before = len(world.mx.tried)
    world.mx.answer = lambda address: OK
    world.run(400)
    assert world.is_empty()
    assert len(world.mx.tried) == before + 60


def test_one_dead_destination_does_not_hold_up_another(world: World) -> None:
    world.mx.gate = Deferred()
    for number in range(50):
        world.accept(f"A{number:03}", to(f"u{number}@slow.example"))
    world.run()
    assert world.mx.under_way == 5
    world.accept("B1", to("bob@other.example"))
    world.run()
    assert "bob@other.example" in world.mx.addresses()
    world.mx.gate.callback(None)
    world.run()
    assert world.is_empty()
    assert 5 < world.mx.most_under_way <= 20


def test_the_limit_of_a_smarthost_counts_for_all_domains_behind_it(tmp_path: Path) -> None:
    world = World(tmp_path, concurrency_per_destination=3).start()
    for number in range(40):
        domain = f"d{number}.example"
        world.router.special[domain] = Route("mx", "smarthost")
    world.mx.gate = Deferred()
    for number in range(40):
        world.accept(f"A{number:03}", to(f"u@d{number}.example"))
    world.run()
    assert world.mx.under_way == 3
    world.mx.gate.callback(None)
    world.run()
    assert world.mx.most_under_way == 3
    assert world.is_empty()


def test_a_destination_gets_no_more_a_minute_than_it_is_allowed(tmp_path: Path) -> None:
    world = World(tmp_path, rate_per_destination=6).start()
    for number in range(4):
        world.accept(f"A{number}", to("u@slow.example", "bea@here.example"))
    world.accept("B1", to("u@other.example"))
    world.run(60)
    times = [round(when - EPOCH) for when, _, who in world.mx.tried if "slow" in who]
    assert times == [0, 10, 20, 30]
    assert [when for when, _, who in world.mx.tried if "other" in who] == [EPOCH]
    assert {when for when, _, _ in world.local.tried} == {EPOCH}
    assert world.is_empty()


def test_retries_leave_room_for_fresh_mail(tmp_path: Path) -> None:
    world = World(tmp_path, concurrency=10).start()
    world.mx.answer = lambda address: BUSY
    for number in range(20):
        world.accept(f"A{number:03}", to(f"u@d{number}.example"))
    world.run(10)
    world.mx.gate = Deferred()
    world.mx.answer = lambda address: OK
    world.run(300)
    assert world.mx.under_way == 8
    world.accept("B1", to("bob@fresh.example"))
    world.run()
    assert world.mx.under_way == 9
    world.mx.gate.callback(None)
    world.run()
    assert world.is_empty()


def test_a_thousand_recipients_go_in_batches_of_a_hundred(world: World) -> None:
    world.accept("A1", to(*(f"u{n}@far.example" for n in range(1000))))
    world.run()
    assert sorted(len(batch.recipients) for batch in world.mx.batches) == [100] * 10
    assert len(set(world.mx.addresses())) == 1000
    assert world.is_empty()


def test_the_same_recipient_twice(world: World) -> None:
    world.accept("A1", to("bob@far.example", "bob@far.example"))
    world.run()
    assert world.mx.addresses() == ["bob@far.example"] * 2
    assert world.is_empty()


def test_who_counts_failures_hears_of_those_that_are_somebodys(tmp_path: Path) -> None:
    heard: list[RecipientFailed] = []
    world = World(tmp_path, recipient_failed=heard.append).start()
    answers = {"gone@far.example": REFUSED, "late@far.example": BUSY}
    world.mx.answer = lambda address: answers.get(address, OK)
    ann = Arrival(account="ann@sender.example")
    everybody = to("gone@far.example", "late@far.example", "fine@far.example")
    world.accept("A1", everybody, arrival=ann)
    world.accept("A2", to("gone@far.example"), arrival=Arrival())
    world.run(world.EXPIRE + 86_400)
    assert world.is_empty()
    gone = Address.parse("gone@far.example")
    assert heard == [RecipientFailed("ann@sender.example", gone, REFUSED, "A1")]


def test_what_an_administrator_gives_up_is_nobodys_failure(tmp_path: Path) -> None:
    heard: list[RecipientFailed] = []
    world = World(tmp_path, recipient_failed=heard.append).start()
    world.mx.answer = lambda address: BUSY
    world.accept("A1", to("bob@far.example"), arrival=Arrival(account="ann@sender.example"))
    world.run()
    admin.bounce(world.database, admin.Selection(account="ann@sender.example"), EPOCH)
    world.queue.wake()
    world.run()
    assert world.journal.steps("A1")[-2:] == ["bounce", "remove"]
    assert heard == []
