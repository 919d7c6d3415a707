"""Applications in a whole server, from MAIL to the mailbox."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import deferLater

from mailframe import App, Defer, Discard, Quarantine, Redirect, Reject
from mailframe.core.address import Address


def test_mail_for_a_hook_is_tried_until_it_succeeds(mailframe_app: Any, outbox: Any) -> None:
    app = App("shop")
    tries: list[str] = []

    @app.deliver("orders+{number:int}@shop.test")
    async def order(msg: Any, number: int) -> None:
        tries.append(msg.id)
        await msg.reply(f"Order {number}")
        if len(tries) < 3:
            raise Defer()

    mail = mailframe_app(app)
    reply = mail.send("bob@example.com", "orders+42@shop.test", "hello")
    assert reply.code == 250
    mail.run_deliveries()
    assert (tries, list(outbox)) == ([reply.id], [])
    mail.advance(3600)
    mail.run_deliveries()
    assert tries == [reply.id] * 3
    (sent,) = outbox
    assert (sent.to, sent.text.strip()) == (["bob@example.com"], "Order 42")


def test_each_verdict_where_mail_ends(mailframe_app: Any, outbox: Any) -> None:
    app = App("shop")
    answers = {
        "reject": Reject(550, "5.7.1", "no"),
        "redirect": Redirect("cy@far.test"),
        "discard": Discard("old"),
    }
    for before_ack in (False, True):
        places = "now" if before_ack else "later"

        @app.deliver(f"{places}-{{what}}@shop.test", before_ack=before_ack, name=places)
        def hook(what: str) -> Any:
            return answers[what]

    mail = mailframe_app(app)
    codes = {
        f"{when}-{what}": mail.send("bob@example.com", f"{when}-{what}@shop.test", "hello").code
        for when in ("later", "now")
        for what in answers
    }
    assert codes == dict.fromkeys(codes, 250) | {"now-reject": 550}
    mail.run_deliveries()
    assert sorted(each.to for each in outbox) == [
        ["bob@example.com"],  # the bounce
        ["cy@far.test"],
        ["cy@far.test"],
    ]
    assert list(mail.queue()) == []


def test_a_directory_in_one_function(mailframe_app: Any) -> None:
    app = App("shop")

    @app.recipient("{user}@shop.test")
    def lookup(user: str) -> Any:
        if user == "closed":
            raise Reject(550, "5.2.1", "closed last year")
        return {"mailbox": "ann"} if user in ("ann", "annie") else None

    mail = mailframe_app(app)
    assert mail.send("bob@example.com", "annie@shop.test", "hello").code == 250
    assert mail.send("bob@example.com", "ann+detail@shop.test", "hello").code == 250
    assert mail.send("bob@example.com", "zed@shop.test", "hello").status == "5.1.1"
    closed = mail.send("bob@example.com", "closed@shop.test", "hello")
    assert (closed.code, closed.status) == (550, "5.2.1")
    assert "closed last year" in closed.text
    mail.run_deliveries()
    assert len(mail.inbox("ann@shop.test")) == 2


def test_what_is_filed(mailframe_app: Any) -> None:
    app = App("shop")
    app.recipient("{user}@shop.test")(lambda user: True)

    @app.policy("recipient")
    def odd(address: Address) -> Any:
        return Quarantine("odd") if address.local_part == "bob" else None

    mail = mailframe_app(app)
    assert mail.send("x@example.com", "bob@shop.test", "hello").code == 250
    mail.run_deliveries()
    assert len(mail.inbox("bob@shop.test", "Junk")) == 1


def test_the_story_of_a_mistake(mailframe_app: Any) -> None:
    app = App("shop")

    @app.deliver("orders@shop.test")
    def broken() -> None:
        raise RuntimeError("no database")

    mail = mailframe_app(app)
    reply = mail.send("bob@example.com", "orders@shop.test", "hello")
    mail.run_deliveries()
    assert len(mail.flush_errors()) == 1
    assert "no database" in str(mail.trace(reply.id))
    assert len(list(mail.queue())) == 1


def test_events_and_schedules(mailframe_app: Any) -> None:
    app = App("shop")
    heard: list[str] = []
    runs: list[int] = []
    app.recipient("{user}@shop.test")(lambda user: True)
    app.on("deliver")(lambda event: heard.append(event.id))
    app.schedule("every 10m")(lambda: runs.append(1))
    mail = mailframe_app(app)
    reply = mail.send("bob@example.com", "ann@shop.test", "hello")
    mail.run_deliveries()
    mail.advance(1_805)
    assert heard == [reply.id]
    assert len(runs) == 3


def test_a_directory_of_many_domains_leaves_the_others_alone(mailframe_app: Any) -> None:
    app = App("shop")
    tenants = {"ann@one.test", "bob@two.test"}

    @app.recipient("{user}@{domain:any}")
    def lookup(user: str, domain: str) -> bool:
        return f"{user}@{domain}" in tenants

    mail = mailframe_app(app)
    assert mail.send("x@example.com", "ann@one.test", "hello").code == 250
    assert mail.send("x@example.com", "bob@two.test", "hello").code == 250
    strange = mail.send("x@example.com", "ann@far.test", "hello")
    assert (strange.code, strange.status) == (550, "5.7.1"), "elsewhere, and no open relay"
    mail.run_deliveries()
    assert len(mail.inbox("bob@two.test")) == 1


def test_a_part_of_a_domain_is_the_applications_own(mailframe_app: Any) -> None:
    app = App("shop")
    app.deliver("orders@{shop}.shops.test")(lambda shop: None)
    mail = mailframe_app(app)
    assert mail.send("x@example.com", "orders@a.shops.test", "hello").code == 250
    assert mail.send("x@example.com", "nobody@a.shops.test", "hello").status == "5.1.1"
    mail.run_deliveries()
    assert list(mail.queue()) == []


def test_a_crowd_before_a_slow_hook_is_not_in_the_way_of_others(mailframe_app: Any) -> None:
    app = App("shop")
    quick: list[int] = []
    slow: list[int] = []

    @app.deliver("slow+{number:int}@shop.test")
    async def takes_long(number: int) -> None:
        assert app.server is not None
        await deferLater(app.server.clock, 10.0, slow.append, number)

    @app.deliver("quick@shop.test")
    async def takes_no_time() -> None:
        quick.append(len(slow))

    mail = mailframe_app(app)
    crowd = [f"slow+{number}@shop.test" for number in range(300)]
    for begin in range(0, len(crowd), 50):
        assert mail.send("bob@example.com", crowd[begin : begin + 50], "hello").code == 250
    assert mail.send("bob@example.com", "quick@shop.test", "hello").code == 250
    mail.run_deliveries()
    assert (quick, len(slow)) == ([0], 300)


def test_an_application_that_sends_on_to_ever_new_addresses_is_stopped(
    mailframe_app: Any, outbox: Any
) -> None:
    app = App("shop")
    seen: list[int] = []

    @app.deliver("n+{number:int}@shop.test")
    def hook(number: int) -> Redirect:
        seen.append(number)
        return Redirect(f"n+{number + 1}@shop.test")

    mail = mailframe_app(app)
    assert mail.send("bob@example.com", "n+0@shop.test", "hello").code == 250
    mail.run_deliveries()
    assert seen == list(range(32))
    assert [each.to for each in outbox] == [["bob@example.com"]]


@pytest.mark.parametrize("folder", ["a\0b", "/etc/x", "x" * 300, "é" * 100, 5])
def test_a_folder_that_there_cannot_be_is_no_bounce(mailframe_app: Any, folder: Any) -> None:
    app = App("shop")

    @app.policy("message")
    def hook() -> Quarantine:
        return Quarantine("odd", folder=folder)

    mail = mailframe_app(app, users={"ann@local.test": "secret"})
    answer = mail.send("bob@example.com", "ann@local.test", "hello")
    assert (answer.code, answer.status) == (451, "4.3.0")
    mail.flush_errors(ValueError, TypeError)


def test_what_an_application_sends_on_and_nobody_takes_is_returned_to_its_sender(
    mailframe_app: Any, outbox: Any, remote_mx: Any
) -> None:
    app = App("shop")

    @app.deliver("{name}@shop.test")
    def hook(name: str) -> Redirect:
        return Redirect("gone@far.test" if name == "away" else f"{name}@shop.test")

    remote_mx("far.test", [550])
    mail = mailframe_app(app)
    for name in ("away", "round"):
        assert mail.send("bob@example.com", f"{name}@shop.test", "hello").code == 250
    mail.run_deliveries()
    assert [(each.sender, each.to) for each in outbox] == [("", ["bob@example.com"])] * 2
