from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.events import RecipientFailed
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere
from mailframe.core.session import Role, Session
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IMailPolicy, IMessagePolicy, IRecipientPolicy, IRefusedPolicy
from mailframe.policy.brake import DAY, HOUR, LEARNING, LEARNING_TIMES, BrakePolicy
from mailframe.policy.frozen import FrozenAccounts, read_frozen, remove_frozen
from mailframe.policy.known_recipients import KnownRecipients
from mailframe.policy.notices import FreezeNotices
from mailframe.policy.rate_store import WindowStore
from mailframe.policy.schema import MIGRATIONS
from mailframe.runtime.aio import as_deferred, fired, result_of
from mailframe.runtime.database import Database
from tests.dialogs.smtp_world import World

ANN = "ann@one.example"
NOW = 1_750_000_000.0
NO_USER = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user")


class Journal:
    def __init__(self) -> None:
        self.steps: list[tuple[str, str, str]] = []

    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        self.steps.append((id, step, detail.get("reason", "")))


class Outbox:
    def __init__(self) -> None:
        self.posted: list[tuple[Address | None, list[str], bytes]] = []
        self.failures: list[Exception] = []

    def post(self, reverse_path: Address | None, recipients: Any, message: bytes) -> Deferred[str]:
        if self.failures:
            return fail(self.failures.pop(0))
        self.posted.append((reverse_path, [str(each) for each in recipients], message))
        return succeed("Q1")


class Rig:
    def __init__(self, database: Database, **limits: Any) -> None:
        self.database = database
        self.clock = Clock()
        self.clock.advance(NOW)
        self.limits = limits
        self.journal, self.outbox = Journal(), Outbox()
        self.held: list[str] = []
        self.start()

    def start(self) -> None:
        self.store = WindowStore(self.database, self.clock)
        postmaster = Address.parse("postmaster@one.example")
        notices = FreezeNotices(
            self.outbox,  # type: ignore[arg-type]
            hostname="mx.one.example",
            postmaster=postmaster,
            clock=self.clock,
            next_id=lambda: "ID1",
        )
        self.brake = BrakePolicy(
            frozen=FrozenAccounts(self.database, self.clock),
            known=KnownRecipients(self.database, self.clock),
            store=self.store,
            clock=self.clock,
            journal=self.journal,  # type: ignore[arg-type]
            notify=notices.send,
            hold=self.hold,
            **self.limits,
        )
        fired(as_deferred(self.store.start()))
        fired(as_deferred(self.brake.start()))

    def stop(self) -> None:
        fired(as_deferred(self.brake.stop()))
        fired(as_deferred(self.store.stop()))

    def hold(self, account: str) -> Awaitable[list[str]]:
        self.held.append(account)
        return succeed(["Q7", "Q8"])

    def mail(self, account: str | None = ANN) -> str:
        return self._said(self.brake.mail(session(account), Envelope(None)))

    def rcpt(self, to: str, account: str | None = ANN) -> str:
        address = Address.parse(to)
        return self._said(
            self.brake.recipient(session(account), Envelope(None), Recipient(address), Elsewhere())
        )

    def meet(self, number: int, start: int = 0, account: str = ANN) -> int:
        """How many of so many strangers were let through."""
        return sum(
            not self.rcpt(f"p{n}@far.example", account) for n in range(start, start + number)
        )

    def fail(self, account: str = ANN, number: int = 1) -> None:
        for _ in range(number):
            event = RecipientFailed(account, Address.parse("x@far.example"), NO_USER, "Q9")
            self.brake.recipient_failed(event)

    def grown_up(self, account: str = ANN) -> None:
        assert not self.rcpt("friend@far.example", account)
        self.clock.advance(LEARNING)

    def frozen(self) -> list[str]:
        return [found.account for found in fired(self.database.read(read_frozen))]

    @staticmethod
    def _said(decision: Any) -> str:
        try:
            assert fired(as_deferred(result_of(decision))) is None
        except TransientFailure as failure:
            return str(failure.reply) if failure.detail else "no detail"
        return ""


def session(account: str | None) -> Session:
    return Session("S1", Role.SUBMISSION, "in", "192.0.2.1", account=account)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "policy.db"), MIGRATIONS, None, durable=False)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def rig(database: Database) -> Rig:
    return Rig(database, new_recipients_per_day=20, failures_per_hour=5)


def test_it_provides_its_interfaces(rig: Rig) -> None:
    for stage in (IMailPolicy, IRecipientPolicy, IMessagePolicy, IRefusedPolicy):
        verifyObject(stage, rig.brake)


def test_a_frozen_account_cannot_send_without_a_login(rig: Rig) -> None:
    rig.brake.account_of = lambda _: ANN  # it fetched mail from there
    rig.fail(number=61)
    assert rig.frozen() == [ANN]
    assert "450" in rig.mail(None)
    assert "450" in rig.rcpt("bob@example.test", None)


def test_too_many_strangers_in_a_day_freeze(rig: Rig) -> None:
    rig.grown_up()
    assert rig.meet(50) == 20
    assert rig.mail().startswith("450 4.7.1 ")
    content: Any = None
    said = rig._said(rig.brake.message(session(ANN), Envelope(None), content))
    assert said.startswith("450 4.7.1 ")
    assert rig.frozen() == [ANN]
    assert rig.held == [ANN]
    id, step, reason = rig.journal.steps[0]
    assert (id, step) == ("S1", "freeze")
    assert "21 recipients in a day" in reason
    assert [step[:2] for step in rig.journal.steps[1:]] == [("Q7", "admin"), ("Q8", "admin")]
    # others are not concerned
    assert not rig.mail("bob@one.example")
    assert not rig.mail(None)
    assert not rig.rcpt("p1@far.example", None)


def test_owner_and_postmaster_are_told_once(rig: Rig) -> None:
    rig.grown_up()
    rig.meet(50)
    rig.fail(number=50)
    ((reverse_path, recipients, message),) = rig.outbox.posted
    assert reverse_path is None
    assert recipients == [ANN, "postmaster@one.example"]
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in message
    assert b"mailframe user release ann@one.example\r\n" in message
    assert b"21 recipients in a day" in message
    assert all(len(line) <= 998 for line in message.split(b"\r\n"))


def test_a_list_counts_once_however_often_it_is_written_to(rig: Rig) -> None:
    rig.grown_up()
    for _ in range(10):
        assert rig.meet(20) == 20
        rig.clock.advance(60)
    rig.clock.advance(DAY)
    assert rig.meet(40) == 40
    rig.clock.advance(30 * DAY)
    assert rig.meet(40) == 40
    assert rig.frozen() == []


def test_case_does_not_make_a_stranger(rig: Rig) -> None:
    rig.grown_up()
    for number in range(50):
        assert not rig.rcpt(f"{'BoB' if number % 2 else 'bob'}@FAR.example")


def test_a_new_account_has_everybody_to_meet(rig: Rig) -> None:
    assert rig.meet(20 * LEARNING_TIMES) == 20 * LEARNING_TIMES
    assert rig.frozen() == []
    assert rig.rcpt("one-too-many@far.example")
    assert rig.frozen() == [ANN]


def test_a_clock_that_steps_back_ends_the_learning(rig: Rig) -> None:
    assert not rig.rcpt("friend@far.example")
    rig.clock.rightNow -= DAY
    assert rig.meet(30, start=100) < 30


@pytest.mark.parametrize("account", ["sales@one.example", "old-uid", "ψ\udc80", "a\0b", "x" * 5000])
def test_any_account_of_any_realm(rig: Rig, account: str) -> None:
    rig.fail(account, number=6)
    assert rig.mail(account).startswith("450 ")
    assert rig.outbox.posted[0][1][-1] == "postmaster@one.example"


def test_failures_freeze(rig: Rig) -> None:
    rig.fail(number=3)
    for _ in range(2):
        rig.brake.refused(session(ANN), "rcpt", NO_USER)
    # not counted: what is no failed recipient, and strangers
    rig.brake.refused(session(ANN), "mail", NO_USER)
    rig.brake.refused(session(ANN), "rcpt", Reply(451, None, "later"))
    rig.brake.refused(session(None), "rcpt", NO_USER)
    assert not rig.mail()
    rig.fail()
    assert rig.mail().startswith("450 4.7.1 ")
    assert rig.journal.steps[0][:2] == ("Q9", "freeze")


def test_failures_of_long_ago_do_not_count(rig: Rig) -> None:
    for _ in range(20):
        rig.fail(number=2)
        rig.clock.advance(HOUR / 2)
    assert not rig.mail()


def test_without_limits_nothing_freezes(database: Database) -> None:
    rig = Rig(database, new_recipients_per_day=0, failures_per_hour=0)
    rig.fail(number=500)
    assert rig.meet(500) == 500


def test_the_queue_may_go_on(database: Database) -> None:
    rig = Rig(database, failures_per_hour=1, hold_queue=False)
    rig.fail(number=2)
    assert rig.frozen() == [ANN]
    assert rig.held == []


def test_a_restart_forgets_neither_counts_nor_freezes(rig: Rig) -> None:
    rig.grown_up()
    rig.meet(15)
    rig.fail(number=4)
    rig.fail("bob@one.example", number=9)
    rig.stop()
    rig.start()
    assert rig.mail("bob@one.example")
    assert not rig.mail()
    assert rig.meet(15) == 15
    assert rig.meet(50, start=100) == 5
    assert rig.mail()


def test_what_another_process_changes_counts_within_a_second(rig: Rig) -> None:
    rig.fail(number=6)
    assert rig.mail()
    fired(rig.database.write(lambda c: remove_frozen(c, ANN)))
    assert rig.mail()
    rig.clock.advance(1)
    assert not rig.mail()
    fired(rig.database.write(lambda c: c.execute("INSERT INTO frozen VALUES (?, 1, 'x')", (ANN,))))
    rig.clock.advance(1)
    assert rig.mail()


def test_who_was_released_is_not_frozen_again_at_once(rig: Rig) -> None:
    rig.grown_up()
    rig.meet(50)
    fired(rig.database.write(lambda c: remove_frozen(c, ANN)))
    rig.clock.advance(1)
    assert rig.meet(10, start=500) == 10
    assert rig.meet(50, start=600) == 10


class SlowReads:
    """What was read arrives late."""

    def __init__(self, database: Database) -> None:
        self.waiting: list[tuple[Deferred[Any], Any]] = []
        self._database = database
        self.write = database.write

    def read(self, job: Any) -> Deferred[Any]:
        late: Deferred[Any] = Deferred()
        self.waiting.append((late, fired(self._database.read(job))))
        return late


def test_what_was_read_before_the_freeze_does_not_undo_it(database: Database) -> None:
    clock = Clock()
    frozen = FrozenAccounts(database, clock)
    fired(as_deferred(frozen.start()))
    slow = SlowReads(database)
    frozen._database = slow  # type: ignore[assignment]
    clock.advance(2)
    finding = as_deferred(frozen.find("bob@one.example"))
    assert fired(as_deferred(frozen.freeze(ANN, "why")))
    ((late, rows),) = slow.waiting
    late.callback(rows)
    assert fired(finding) is None
    assert fired(as_deferred(frozen.find(ANN))) is not None


class Broken:
    def read(self, job: Any) -> Deferred[Any]:
        return fail(sqlite3.OperationalError("disk I/O error"))

    write = read


def test_a_broken_database_stops_no_mail_but_the_brake_holds(database: Database) -> None:
    rig = Rig(database, failures_per_hour=5)
    rig.brake._frozen._database = Broken()  # type: ignore[assignment]
    rig.brake._known._database = Broken()  # type: ignore[assignment]
    assert rig.meet(500) == 500
    rig.fail(number=6)
    assert rig.mail()
    rig.clock.advance(60)
    assert rig.mail()


def test_a_notice_that_cannot_be_spooled_now_is_tried_again(rig: Rig) -> None:
    rig.outbox.failures = [TransientFailure(Reply(452, None, "full")), OSError("full")]
    rig.fail(number=6)
    assert rig.outbox.posted == []
    rig.clock.advance(5)
    rig.clock.advance(30)
    assert len(rig.outbox.posted) == 1


@pytest.mark.parametrize("posted", [Deferred, lambda: fail(OSError("full"))])
def test_a_notice_that_cannot_be_spooled_does_not_hold_up_the_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, posted: Callable[[], Deferred[str]]
) -> None:
    monkeypatch.setattr(rig.outbox, "post", lambda *args: posted())
    rig.fail(number=6)
    ended = as_deferred(rig.brake.stop())
    assert not ended.called
    rig.clock.advance(10)
    assert ended.called


def test_a_notice_that_nobody_takes(rig: Rig) -> None:
    rig.outbox.failures = [PermanentFailure(Reply(550, None, "nobody"))]
    rig.fail(number=6)
    rig.clock.advance(10_000)
    assert rig.outbox.posted == []


def test_known_recipients_are_bounded(database: Database) -> None:
    clock = Clock()
    clock.advance(NOW)
    known = KnownRecipients(database, clock, most_per_account=10, most=25, in_memory=5)
    for number in range(40):
        clock.advance(DAY)
        for account in ("a", "b", "c"):
            met = known.meet(account, Address.parse(f"p{number}@far.example"))
            assert fired(as_deferred(met))
    assert len(known._recent) == 5
    assert fired(as_deferred(known.purge())) == 95
    again = known.meet("a", Address.parse("p39@far.example"))
    assert not fired(as_deferred(again))
    again = known.meet("a", Address.parse("p3@far.example"))
    assert fired(as_deferred(again))


# --- in a server ----------------------------------------------------------------------------

LOGIN = b"AUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n"


def message(to: str) -> bytes:
    head = f"MAIL FROM:<ann@local.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n"
    return head.encode() + b"From: ann@local.test\r\n\r\nx\r\n.\r\n"


def test_a_session_that_is_sending_thousands_is_stopped(database: Database) -> None:
    rig = Rig(database, new_recipients_per_day=20, failures_per_hour=5)
    world = World(role=Role.SUBMISSION, policies=(rig.brake,))
    with world.greeted() as sender, world.greeted() as other:
        for peer in (sender, other):
            assert peer.ask(LOGIN).startswith(b"235 ")
        limit = 20 * LEARNING_TIMES
        for number in range(limit):
            said = sender.ask(message(f"p{number}@far.test"))
            assert said.splitlines()[-1].startswith(b"250 2.0.0 Ok: ")
        said = sender.ask(message("last@far.test")).splitlines()
        assert [line[:9] for line in said[:2]] == [b"250 2.0.0", b"450 4.7.1"]
        for peer in (sender, other):
            assert peer.ask(b"RSET\r\n" + message("p0@far.test")).splitlines()[1][:9] == (
                b"450 4.7.1"
            )
    assert len(world.spool.stored) == limit
    assert rig.held == ["ann@local.test"]
    braked = [step for step in world.journal.steps("refuse") if step["rule"] == "brake"]
    assert [step["result"] for step in braked] == ["rcpt", "mail", "mail"]
    assert "ann@local.test is frozen: 101 recipients in a day" in braked[-1]["reason"]


def test_unknown_recipients_of_ours_count_as_failures(database: Database) -> None:
    rig = Rig(database, new_recipients_per_day=20, failures_per_hour=5)
    world = World(role=Role.SUBMISSION, policies=(rig.brake,))
    with world.greeted() as peer:
        peer.ask(LOGIN)
        peer.ask(b"MAIL FROM:<ann@local.test>\r\n")
        for number in range(6):
            said = peer.ask(f"RCPT TO:<no{number}@local.test>\r\n".encode())
            assert said.startswith(b"550 5.1.1 ")
        assert peer.ask(b"RCPT TO:<bob@local.test>\r\n").startswith(b"450 4.7.1 ")
    assert rig.frozen() == ["ann@local.test"]
