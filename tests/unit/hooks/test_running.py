"""One version of all applications: how it begins and ends, and what it tells."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mailframe.hooks.app import App
from mailframe.hooks.hook import AppError
from mailframe.hooks.verdicts import Defer
from mailframe.runtime.aio import as_deferred
from tests.unit.hooks.house import House, batch, logged, result_now, texts
from tests.unit.hooks.test_calling import Meter, Threads


def test_startup_and_shutdown_in_order() -> None:
    one, two = App("one"), App("two")
    done: list[str] = []
    for app in (one, two):
        app.startup(lambda app=app: done.append(f"start {app.name} {app.server is house.server}"))
        app.shutdown(lambda app=app: done.append(f"stop {app.name} {app.server is house.server}"))
    house: House = House([one, two])
    assert one.server is None
    house.start()
    result_now(house.running.stop())
    result_now(house.running.stop())
    assert done == ["start one True", "start two True", "stop two True", "stop one True"]
    assert one.server is None


@pytest.mark.parametrize("error", [ValueError("no database"), SystemExit(), Defer()])
def test_a_start_that_fails_leaves_nothing_behind(error: BaseException) -> None:
    one, two = App("one"), App("two")
    done: list[str] = []
    one.startup(lambda: done.append("start one"))
    one.shutdown(lambda: done.append("stop one"))

    @two.startup
    def connect() -> None:
        raise error

    one.schedule("every 1m")(lambda: done.append("ran"))
    house = House([one, two])
    with logged(), pytest.raises(AppError, match=r"two\.connect"):
        result_now(house.running.start())
    assert done == ["start one", "stop one"]
    assert (one.server, two.server) == (None, None)
    assert house.clock.getDelayedCalls() == []


def test_a_start_that_hangs() -> None:
    app = App("shop")

    @app.startup
    async def connect() -> None:
        await Deferred()

    house = House([app])
    task = as_deferred(house.running.start())
    with logged():
        house.clock.advance(30)
    with pytest.raises(AppError, match="took longer than 30 s"):
        result_now(task)


def test_selftest() -> None:
    app = App("shop")
    asked: list[Any] = []
    app.selftest(lambda: asked.append(app.server))
    house = House([app])
    result_now(house.running.selftest())
    assert asked == [None], "it needs no server"

    @app.selftest
    def broken() -> None:
        raise ValueError("the table is missing")

    with logged(), pytest.raises(AppError, match=r"shop\.broken.*the table is missing"):
        result_now(House([app]).running.selftest())


def test_a_shutdown_that_fails_or_hangs_keeps_nobody() -> None:
    app = App("shop")
    done: list[str] = []

    @app.shutdown
    def broken() -> None:
        raise SystemExit

    @app.shutdown
    async def hangs() -> None:
        await Deferred()

    app.shutdown(lambda: done.append("last"))
    house = House([app]).start()
    with logged() as events:
        task = as_deferred(house.running.stop())
        house.clock.advance(30)
    result_now(task)
    assert done == ["last"]
    assert "shop.broken" in texts(events)
    assert "shop.hangs" in texts(events)


def test_stopping_waits_for_what_is_under_way_for_a_while() -> None:
    app = App("shop")
    done: list[str] = []
    app.shutdown(lambda: done.append("shutdown"))

    @app.deliver("a@shop.test")
    async def slow() -> None:
        await deferLater(house.clock, 5)
        done.append("delivered")

    house = House([app]).start()
    delivery = house.deliver(batch("a@shop.test"))
    task = as_deferred(house.running.stop())
    assert done == []
    house.clock.advance(5)
    assert done == ["delivered", "shutdown"]
    result_now(delivery)
    result_now(task)


def test_stopping_does_not_wait_for_ever() -> None:
    app = App("shop")
    app.deliver("a@shop.test", limit="40m")(lambda: None)
    house = House([app], workers=Threads()).start()
    house.deliver(batch("a@shop.test"))
    task = as_deferred(house.running.stop())
    with logged() as events:
        house.clock.advance(20)
    result_now(task)
    assert "not waited for" in texts(events)


def test_no_delivery_outlasts_the_queues_attempts() -> None:
    app = App("shop")
    with pytest.raises(AppError, match="40m at most"):
        app.deliver("a@shop.test", limit="41m")
    app.schedule("every 1d", limit="2h")(lambda: None)


def test_an_application_that_another_version_has_taken_over() -> None:
    app = App("shop")
    old, new = House([app]).start(), House([app]).start()
    assert app.server is new.server
    result_now(old.running.stop())
    assert app.server is new.server


def test_names_tell_hooks_apart() -> None:
    unnamed, one, other = App(), App("shop"), App("shop")
    for app in (unnamed, one, other):
        app.policy("mail", name="same")(lambda: None)
    names = [each["hook"] for each in House([unnamed, one, other]).running.report()]
    assert names == ["test_running.same", "shop.same", "shop.same#2"]


def test_the_report() -> None:
    app = App("shop")
    meter = Meter()
    app.deliver("orders+{n:int}@shop.test", limit="10s")(lambda n: None)
    app.on("bounce")(lambda event: None)

    @app.schedule("every 10m")
    async def job() -> None:
        pass

    house = House([app], meter=meter).start()
    result_now(house.deliver(batch("orders+1@shop.test")))
    first, second, third = house.running.report()
    assert first | {"place": "", "seconds": 0, "longest": 0} == {
        "hook": "shop.<lambda>",
        "phase": "deliver",
        "order": 500,
        "place": "",
        "for": "orders+{n:int}@shop.test",
        "runs": "thread",
        "limit": 10.0,
        "calls": 1,
        "failures": 0,
        "timeouts": 0,
        "busy": 0,
        "blocked": 0,
        "hung": 0,
        "seconds": 0,
        "longest": 0,
    }
    assert "test_running.py:" in first["place"]
    assert (second["for"], third["for"], third["runs"]) == ("bounce", "every 10m", "reactor")
    assert meter.calls == [("shop.<lambda>", "deliver", "ok")]


# ---- sending


def test_sending_on_the_reactors_thread() -> None:
    app = App("shop")
    with pytest.raises(AppError, match="no server"):
        app.send(to="bob@far.test", text="hello")
    house = House([app]).start()
    assert result_now(app.send(to="bob@far.test", subject="Hi", text="hello")) == "Q1"
    ((_, to, content),) = house.outbox.posted
    assert [str(each) for each in to] == ["bob@far.test"]
    assert b"Subject: Hi\r\n" in content
    with pytest.raises(ValueError, match=r"line|CR|NUL|field|control"):
        app.send(to="bob@far.test", subject="a\r\nBcc: x@y.test", text="x")


def test_sending_on_another_thread_waits_for_the_spool() -> None:
    app = App("shop")
    house = House([app]).start()
    calls: list[Any] = []
    called = threading.Event()

    def from_thread(function: Any, *args: Any) -> None:
        calls.append((function, args))
        called.set()

    house.clock.callFromThread = from_thread
    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.append(app.send(to="bob@far.test", text="hello"))
    )
    thread.start()
    assert called.wait(10)
    assert found == []
    for function, args in calls:
        function(*args)
    thread.join(10)
    assert found == ["Q1"]
