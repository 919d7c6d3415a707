"""Recipient hooks, and the addresses that deliver hooks take, as a source of accounts."""

from __future__ import annotations

import os
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.hooks.app import App
from mailframe.hooks.hook import AppError
from mailframe.hooks.verdicts import Accept, Defer, Discard, Quarantine, Redirect, Reject
from mailframe.interfaces import Entry, IAccountSource, IAnyDomain
from mailframe.interfaces.accounts import IDomainSource
from mailframe.mailbox.paths import account_directory
from tests.unit.hooks.house import House, logged, result_now, texts

ANN = Address.parse("ann@shop.test")


def source(*apps: App) -> Any:
    (found,) = House(apps).running.sources
    return found


def found(answer: Any, address: Address = ANN) -> Entry | None:
    app = App("shop")

    @app.recipient("{user}@{d:any}")
    def lookup(user: str) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    entry: Entry | None = result_now(source(app).find(address))
    return entry


def mailbox(account: str = "ann@shop.test", **more: Any) -> Entry:
    return Entry(account=account, addresses=(ANN,), **more)


@pytest.mark.parametrize(
    ("answer", "entry"),
    [
        (None, None),
        (False, None),
        (True, mailbox()),
        ("bob", mailbox("bob@shop.test")),
        ("Bob@Else.test", mailbox("bob@else.test")),
        (Address.parse("bob@else.test"), mailbox("bob@else.test")),
        ({}, mailbox()),
        ({"mailbox": "bob"}, mailbox("bob@shop.test")),
        ({"mailbox": True, "quota": "2G"}, mailbox(quota=2 << 30)),
        ({"quota": 0}, mailbox(quota=0)),
        ({"folder": "Orders"}, mailbox(folder="Orders")),
        (
            {"forward": "x@far.test"},
            mailbox(forward=(Address.parse("x@far.test"),), has_mailbox=False),
        ),
        (
            {"mailbox": "ann", "forward": ["x@far.test", "bob", "X@far.test"], "keep_copy": True},
            mailbox(
                forward=(Address.parse("X@far.test"), Address.parse("bob@shop.test")),
                keeps_copy=True,
            ),
        ),
        (Accept(), mailbox()),
        (Quarantine(), mailbox(folder="Junk")),
        (
            Redirect("x@far.test"),
            Entry(
                account="ann@shop.test", forward=(Address.parse("x@far.test"),), has_mailbox=False
            ),
        ),
    ],
    ids=str,
)
def test_what_answers_mean(answer: Any, entry: Entry | None) -> None:
    assert found(answer) == entry


def test_refusals_are_its_own_words() -> None:
    with pytest.raises(PermanentFailure, match=r"550 5\.2\.1 closed"):
        found(Reject(550, "5.2.1", "closed"))
    with pytest.raises(TransientFailure, match=r"451 4\.2\.1 soon"):
        found(Defer(451, "4.2.1", "soon"))


@pytest.mark.parametrize(
    "answer",
    [
        0,
        1.5,
        "",
        "a b@c d",
        "x" * 65,
        "a\0b",
        b"ann",
        ["ann"],
        {"mailbox": 5},
        {"mailbox": "a@b@c"},
        {"quota": -1},
        {"quota": True},
        {"quota": "much"},
        {"quota": 1 << 64},
        {"folder": "a\r\nb"},
        {"folder": "x" * 300},
        {"folder": 5},
        {"folder": "/etc/x"},
        {"folder": "é" * 200},
        {"forward": 5},
        {"forward": [5]},
        {"forward": "no address at all"},
        {"forward": ["x@far.test"] * 1_001},
        {"keep_copy": "yes"},
        {"mailbx": "ann"},
        {5: 5},
        Discard(),
        Redirect,
        Ellipsis,
    ],
    ids=lambda answer: f"{answer!r:.40}",
)
def test_answers_that_mean_nothing_put_the_mail_off(answer: Any) -> None:
    with logged() as events, pytest.raises(TransientFailure, match=r"451 4\.3\.0"):
        found(answer)
    assert "shop.lookup answered" in texts(events)


def test_an_odd_name_is_a_name_and_no_path(tmp_path: Any) -> None:
    entry = found("../../etc")
    assert entry is not None
    assert entry.account == "../../etc@shop.test"
    place = os.path.realpath(account_directory(str(tmp_path), entry.account))
    assert os.path.commonpath([place, os.path.realpath(tmp_path)]) == os.path.realpath(tmp_path)


def test_a_mistake_is_never_5yz() -> None:
    for error in (ValueError(), KeyError("x"), SystemExit(), StopIteration()):
        with logged(), pytest.raises(TransientFailure, match=r"451 4\.3\.0"):
            found(error)


def test_the_most_exact_pattern_is_asked_first_and_none_asks_the_next() -> None:
    one, two = App("one"), App("two")
    asked: list[str] = []

    @one.recipient("{user}@shop.test")
    def everybody(user: str) -> bool:
        asked.append(f"everybody {user}")
        return True

    @two.recipient("ann@shop.test")
    def only_ann(address: Address) -> None:
        asked.append(f"ann {address}")

    assert result_now(source(one, two).find(ANN)) == mailbox()
    assert asked == ["ann ann@shop.test", "everybody ann"]


def test_what_a_deliver_hook_takes() -> None:
    app = App("shop")
    app.deliver("orders+{n:int}@shop.test")(lambda n: None)
    app.recipient("{user:any}@shop.test")(lambda user: True)
    orders = Address.parse("Orders+5@Shop.test")
    taken = result_now(source(app).find(orders))
    assert taken == Entry(
        account="orders+5@shop.test", addresses=(orders,), has_mailbox=False, courier="app"
    )
    assert result_now(source(app).find(ANN)) == mailbox()


def test_of_two_alike_the_one_that_takes_the_mail() -> None:
    app = App("shop")
    app.recipient("ann@shop.test")(lambda: True)
    app.deliver("Ann@shop.test")(lambda: None)
    assert result_now(source(app).find(ANN)).courier == "app"


def test_two_applications_cannot_have_one_address() -> None:
    one, two = App("one"), App("two")
    one.deliver("ann@shop.test")(lambda: None)
    two.deliver("Ann@shop.test", name="b")(lambda: None)
    with pytest.raises(AppError, match=r"one\..* and two\.b are both for ann@shop.test"):
        House([one, two])


def test_domains() -> None:
    app = App("shop")
    app.deliver("a@shop.test")(lambda: None)
    app.recipient("{user}@Ελλάδα.test")(lambda user: True)
    plain = source(app)
    verifyObject(IAccountSource, plain)
    assert plain.domains == {"shop.test", "xn--hxakic4aa.test"}
    assert not IDomainSource.providedBy(plain)
    assert not IAnyDomain.providedBy(plain)

    app.recipient("{user}@{shop}.shops.test")(lambda user, shop: True)
    app.recipient("x-{user}@{domain:any}")(lambda user, domain: None)
    more = source(app)
    verifyObject(IDomainSource, more)
    verifyObject(IAnyDomain, more)
    assert [result_now(more.holds(d)) for d in ("a.shops.test", "shops.test", "far.test")] == [
        True,
        False,
        False,
    ]
    assert more.may_know("far.test")
    assert result_now(more.find(Address.parse("ann@a.shops.test"))).account == "ann@a.shops.test"


def test_a_peer_chooses_nobody_at_another_domain() -> None:
    asked = Address("victim@other.test", "shop.test")
    app = App("shop")

    @app.recipient("{user:any}@shop.test")
    def lookup(user: str) -> Any:
        return {"mailbox": user, "forward": user, "keep_copy": True}

    entry = result_now(source(app).find(asked))
    assert (entry.account, entry.forward) == (asked.key, (asked,))
