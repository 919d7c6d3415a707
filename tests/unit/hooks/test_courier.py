"""Mail that is safely on disk, brought to the hooks."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.errors import MessageGone, PermanentFailure, TransientFailure
from mailframe.hooks.answered import field_of
from mailframe.hooks.app import App
from mailframe.hooks.verdicts import Accept, Defer, Discard, Quarantine, Redirect, Reject
from mailframe.interfaces import Batch, ICourier, IPartedCourier
from tests.dialogs.smtp_world import EPOCH
from tests.unit.hooks.house import House, Source, batch, logged, result_now, texts
from tests.unit.hooks.mailbag import PLAIN
from tests.unit.hooks.test_calling import Threads

ORDERS = "orders+42@shop.test"


def says(answer: Any, pattern: str = "orders+{n:int}@shop.test") -> House:
    app = App("shop")

    @app.deliver(pattern)
    def hook() -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return House([app]).start()


def deliver(house: House, given: Batch) -> list[DeliveryReport]:
    reports: list[DeliveryReport] = result_now(house.deliver(given))
    return reports


def one(house: House, given: Batch | None = None) -> DeliveryReport:
    (report,) = deliver(house, given or batch(ORDERS))
    return report


# ---- whose turn it is


def test_each_hook_is_a_part_of_its_own() -> None:
    app = App("shop")
    app.deliver("orders+{n:int}@shop.test", name="slow")(lambda n: None)
    app.deliver("ann@shop.test", name="quick")(lambda: None)
    courier = IPartedCourier(House([app]).running.courier)
    accounts = ("orders+1@shop.test", "orders+2@shop.test", "ann@shop.test", "gone@shop.test")
    assert [courier.part_of(each) for each in accounts] == [
        "shop.slow",
        "shop.slow",
        "shop.quick",
        "",
    ]


# ---- what hooks get


def test_it_gets_the_message_and_what_stands_in_the_places() -> None:
    app = App("shop")
    seen: list[Any] = []

    @app.deliver("orders+{n:int}@shop.test")
    async def order(msg: Any, n: int, address: Address, envelope: Any) -> None:
        seen.append((n, str(address), msg.id, msg.text.strip(), msg.sender, msg.recipients))
        seen.append((msg.headers["X-Spam"], msg.session.peer_ip, msg.received_at))
        seen.append(msg.auth.spf)

    house = House([app]).start()
    verifyObject(ICourier, house.running.courier)
    raw = f"Authentication-Results: mail.shop.test; spf=pass smtp.mailfrom=b@x.test\r\n{PLAIN}"
    report = one(house, batch("Orders+42@shop.test", raw=raw, headers=(("X-Spam", "no"),)))
    assert (report.outcome, report.detail) == (Outcome.DELIVERED, "shop.order")
    assert seen[0] == (
        42,
        "Orders+42@shop.test",
        "7KQ2M4XD",
        "Two, please.",
        "bob@example.org",
        ["Orders+42@shop.test"],
    )
    assert seen[1] == ("no", "192.0.2.9", EPOCH)
    assert seen[2]


def test_authentication_is_believed_of_us_only() -> None:
    app = App("shop")
    seen: list[Any] = []
    app.deliver("orders+{n:int}@shop.test")(lambda msg, n: seen.append(msg.auth.spf))
    raw = f"Authentication-Results: evil.test; spf=pass smtp.mailfrom=b@x.test\r\n{PLAIN}"
    one(House([app]).start(), batch(ORDERS, raw=raw))
    assert seen == [None]


def test_without_its_detail_where_only_that_was_known() -> None:
    app = App("shop")
    seen: list[str] = []
    app.deliver("orders@shop.test")(lambda address: seen.append(str(address)))
    report = one(House([app]).start(), batch("orders+new@shop.test", account="orders@shop.test"))
    assert report.outcome is Outcome.DELIVERED
    assert seen == ["orders+new@shop.test"]


def test_the_most_exact_hook_takes_it() -> None:
    app = App("shop")
    taken: list[str] = []
    app.deliver("{all:any}@shop.test", name="all")(lambda all: taken.append("all"))
    app.deliver("orders+{n:int}@shop.test", name="int")(lambda n: taken.append("int"))
    app.deliver("orders+42@shop.test", name="one")(lambda: taken.append("one"))
    house = House([app]).start()
    for address in (ORDERS, "orders+7@shop.test", "x@shop.test"):
        one(house, batch(address))
    assert taken == ["one", "int", "all"]


def test_mail_that_no_hook_takes_any_more_waits() -> None:
    report = one(says(None), batch("gone@shop.test"))
    assert report.outcome is Outcome.DEFERRED
    assert report.reply.code == 451
    assert "no hook" in report.detail
    report = one(House([]).start(), batch("gone@shop.test"))
    assert report.outcome is Outcome.DEFERRED


def test_the_message_is_read_once_for_a_batch_and_let_go() -> None:
    app = App("shop")
    seen: list[int] = []
    app.deliver("{n}@shop.test")(lambda n: seen.append(house.running._room.taken))
    house: House = House([app]).start()
    given = batch("a@shop.test", "b@shop.test")
    message: Any = given.message
    octets, message.octets = message.octets, None

    async def opened() -> Source:
        message.opened += 1
        return Source(octets)

    message.open = opened
    assert [r.outcome for r in deliver(house, given)] == [Outcome.DELIVERED] * 2
    assert message.opened == 1
    assert seen == [len(octets)] * 2
    assert house.running._room.taken == 0


def test_who_waits_for_a_slow_hook_has_read_nothing() -> None:
    app = App("shop")
    threads = Threads()
    app.deliver("{n}@shop.test")(lambda n: None)
    house = House([app], workers=threads).start()
    tasks = [house.deliver(batch("a@shop.test")) for _ in range(20)]
    assert len(threads.calls) == 8
    size = batch("a@shop.test").message.size
    assert house.running._room.taken == 8 * size
    for _ in range(20):
        threads.end()
    assert all(task.called for task in tasks)
    assert house.running._room.taken == 0


# ---- what they answer


@pytest.mark.parametrize("answer", [None, Accept(), Accept])
def test_success(answer: Any) -> None:
    report = one(says(answer))
    assert (report.outcome, report.reply.code) == (Outcome.DELIVERED, 250)


def test_reject_is_the_senders_bounce() -> None:
    report = one(says(Reject(550, "5.7.26", "orders must be authenticated")))
    assert report.outcome is Outcome.FAILED
    assert str(report.reply) == "550 5.7.26 orders must be authenticated"


def test_defer_comes_again() -> None:
    report = one(says(Defer(451, "4.2.1", "closed on Sundays")))
    assert report.outcome is Outcome.DEFERRED
    assert str(report.reply) == "451 4.2.1 closed on Sundays"


def test_discard_is_done() -> None:
    report = one(says(Discard("old")))
    assert (report.outcome, report.detail) == (Outcome.DELIVERED, "shop.hook: old")


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(), StopIteration(), GeneratorExit()])
def test_a_mistake_defers(error: BaseException) -> None:
    with logged() as events:
        report = one(says(error))
    assert report.outcome is Outcome.DEFERRED
    assert report.reply.code == 451
    assert "7KQ2M4XD" in texts(events)


def test_an_answer_that_nobody_understands_defers() -> None:
    with logged():
        report = one(says(42))
    assert report.outcome is Outcome.DEFERRED
    assert "answered 42" in report.detail


def test_its_own_failures_count_as_what_they_are() -> None:
    from mailframe.core import status
    from mailframe.core.reply import Reply

    permanent = PermanentFailure(Reply(550, status.NOT_AUTHORIZED, "no"), "why")
    assert one(says(permanent)).outcome is Outcome.FAILED
    transient = TransientFailure(Reply(451, status.NOT_AUTHORIZED, "no"), "why")
    assert one(says(transient)).outcome is Outcome.DEFERRED


def test_each_recipient_has_an_answer_of_its_own() -> None:
    app = App("shop")
    answers: dict[str, Any] = {"a": None, "b": Reject(), "c": Defer(), "d": Discard()}
    app.deliver("{n}@shop.test")(lambda n: answers[n])
    house = House([app]).start()
    found = deliver(house, batch(*(f"{n}@shop.test" for n in answers)))
    assert [report.outcome.value for report in found] == [
        "delivered",
        "failed",
        "deferred",
        "delivered",
    ]


def test_redirect_goes_on_from_the_same_sender() -> None:
    house = says(Redirect("bob@far.test", "cy@far.test"))
    report = one(house)
    assert report.outcome is Outcome.DELIVERED
    ((sender, to, content),) = house.outbox.posted
    assert (str(sender), [str(each) for each in to]) == (
        "bob@example.org",
        ["bob@far.test", "cy@far.test"],
    )
    assert content == f"Delivered-To: {ORDERS}\r\n{PLAIN}".encode()


def test_a_redirect_that_comes_back_is_a_loop() -> None:
    house = says(Redirect("bob@far.test"))
    report = one(house, batch(ORDERS, raw=f"Delivered-To: Orders+42@shop.test\r\n{PLAIN}"))
    assert report.outcome is Outcome.FAILED
    assert report.reply.enhanced == "5.4.6"
    assert house.outbox.posted == []


def test_a_redirect_that_leads_nowhere_is_not_the_senders_fault() -> None:
    from mailframe.core import status
    from mailframe.core.reply import Reply

    house = says(Redirect("nobody@far.test"))
    house.outbox.failures = [PermanentFailure(Reply(550, status.NOT_AUTHORIZED, "nobody"))]
    report = one(house)
    assert report.outcome is Outcome.DEFERRED
    assert "nobody" in report.detail


def test_quarantine_in_the_recipients_own_mailbox() -> None:
    app = App("shop")
    app.deliver("ann@local.test")(lambda: Quarantine("odd"))
    house = House([app]).start()
    report = one(house, batch("Ann@local.test"))
    assert report.outcome is Outcome.DELIVERED
    assert report.detail == "shop.<lambda>: odd, in Junk of ann@local.test"
    ((account, folder, content, token),) = house.store.kept
    assert (account, folder, token) == ("ann@local.test", "Junk", "7KQ2M4XD:ann@local.test")
    head = b"Return-Path: <bob@example.org>\r\nDelivered-To: Ann@local.test\r\n"
    assert content == head + PLAIN.encode()


def test_quarantine_in_the_postmasters_where_there_is_none() -> None:
    house = says(Quarantine("odd", folder="Odd"))
    assert one(house).outcome is Outcome.DELIVERED
    assert [kept[:2] for kept in house.store.kept] == [("postmaster@shop.test", "Odd")]


def test_quarantine_without_any_mailbox_waits() -> None:
    house = says(Quarantine("odd"))
    house.store.accounts = ()
    report = one(house)
    assert report.outcome is Outcome.DEFERRED
    app = App("shop")
    app.deliver("orders+{n:int}@shop.test")(lambda n: Quarantine())
    report = one(House([app], server_more={"store": None}).start())
    assert report.outcome is Outcome.DEFERRED


# ---- what they send


def test_what_it_writes_goes_out_when_it_has_succeeded() -> None:
    app = App("shop")
    answers: list[Any] = [ValueError(), Defer(), Reject(), None]

    @app.deliver("orders+{n:int}@shop.test")
    def order(msg: Any, n: int) -> Any:
        msg.reply(f"order {n}")
        msg.forward("boss@shop.test")
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    house = House([app]).start()
    outcomes = []
    with logged():
        for _ in range(4):
            outcomes.append(one(house).outcome.value)
            assert len(house.outbox.posted) == (2 if len(outcomes) == 4 else 0)
    assert outcomes == ["deferred", "deferred", "failed", "delivered"]


def test_what_it_wrote_last_may_be_its_answer() -> None:
    app = App("shop")
    app.deliver("orders+{n:int}@shop.test")(lambda msg, n: msg.reply("thank you"))
    house = House([app]).start()
    assert one(house).outcome is Outcome.DELIVERED
    assert len(house.outbox.posted) == 1


def test_what_cannot_be_spooled_comes_again_with_the_same_ids() -> None:
    app = App("shop")

    @app.deliver("orders+{n:int}@shop.test")
    async def order(msg: Any, n: int) -> None:
        await msg.reply("one")
        await msg.forward("boss@shop.test")

    house = House([app]).start()
    house.outbox.failures = [None, OSError("disk")]
    report = one(house)
    assert report.outcome is Outcome.DEFERRED
    assert "disk" in report.detail
    assert one(house).outcome is Outcome.DELIVERED
    ids = [
        content.split(b"Message-ID: ")[1].split(b"\r\n")[0] for _, _, content in house.outbox.posted
    ]
    assert len(ids) == 3
    assert ids[0] == ids[1]


# ---- what was decided before the 250


@pytest.mark.parametrize(
    ("decision", "detail"),
    [
        (None, "answered before the 250"),
        (Accept(), "answered before the 250"),
        (Discard("old"), "answered before the 250: old"),
    ],
)
def test_it_is_not_asked_again(decision: Any, detail: str) -> None:
    house = says(ValueError("asked again"))
    report = one(house, batch(ORDERS, headers=(field_of(decision),)))
    assert (report.outcome, report.detail) == (Outcome.DELIVERED, detail)


def test_what_is_left_to_do_is_done() -> None:
    house = says(ValueError("asked again"))
    one(house, batch(ORDERS, headers=(field_of(Redirect("bob@far.test")),)))
    assert [str(each) for each in house.outbox.posted[0][1]] == ["bob@far.test"]
    one(house, batch(ORDERS, headers=(("X-A", "b"), field_of(Quarantine(folder="Odd")))))
    assert house.store.kept[0][1] == "Odd"
    assert b"X-A: b\r\n" in house.store.kept[0][2]
    assert b"Answered" not in house.store.kept[0][2]


def test_a_decision_that_cannot_be_read_waits() -> None:
    with logged() as events:
        report = one(says(None), batch(ORDERS, headers=(("X-Mailframe-Answered", "{"),)))
    assert report.outcome is Outcome.DEFERRED
    assert "7KQ2M4XD" in texts(events)


# ---- trouble


def test_a_message_that_is_gone() -> None:
    given = batch(ORDERS)
    message: Any = given.message
    message.octets = None

    async def gone() -> Any:
        raise MessageGone("7KQ2M4XD")

    message.open = gone
    house = says(None)
    with logged() as events:
        report = one(house, given)
    assert (report.outcome, report.detail) == (Outcome.DEFERRED, "7KQ2M4XD")
    assert events == [], "no bug of ours"
    assert house.running._room.taken == 0


def test_a_hook_that_takes_too_long_defers() -> None:
    app = App("shop")

    @app.deliver("orders+{n:int}@shop.test", limit="10s")
    async def order(n: int) -> None:
        await Deferred()

    house = House([app]).start()
    task = house.deliver(batch(ORDERS))
    with logged():
        house.clock.advance(10)
    ((report,),) = [result_now(task)]
    assert report.outcome is Outcome.DEFERRED
    assert report.reply.enhanced == "4.3.2"


def test_an_attempt_that_is_cancelled_cancels_the_hook() -> None:
    app = App("shop")
    ended: list[int] = []

    @app.deliver("orders+{n:int}@shop.test")
    async def order(n: int) -> None:
        try:
            await Deferred()
        finally:
            ended.append(n)

    house = House([app]).start()
    task = house.deliver(batch(ORDERS))
    task.addErrback(lambda failure: None)
    task.cancel()
    assert ended == [42]
    assert house.running._room.taken == 0
