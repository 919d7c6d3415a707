"""Hooks that hear of steps in the journal."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from mailframe.hooks.app import EVENTS, App
from mailframe.interfaces import IEventSink, Step
from mailframe.interfaces.journal import STEPS
from tests.unit.hooks.house import House, logged, result_now, texts


def step(name: str, number: int = 1, **detail: Any) -> Step:
    return Step(1.0, f"ID{number}", name, "", "S1", detail)


def sink(house: House) -> Any:
    assert house.running.sink is not None
    return house.running.sink


def test_every_event_is_a_step_of_the_journal() -> None:
    assert set(STEPS) >= EVENTS


def test_each_hears_its_own_steps_in_order() -> None:
    app = App("shop")
    heard: list[tuple[str, str]] = []

    @app.on("bounce")
    def bounced(event: Step) -> None:
        heard.append(("bounced", event.id))

    @app.on("accept")
    async def accepted(event: Step) -> None:
        heard.append(("accepted", event.id))

    house = House([app]).start()
    verifyObject(IEventSink, sink(house))
    result_now(sink(house).hear((step("bounce", 1), step("check", 2), step("bounce", 3))))
    assert heard == [("bounced", "ID1"), ("bounced", "ID3")]
    assert sink(house).hear((step("check"), step("login"))) is None


def test_a_mistake_is_logged_and_the_next_step_told() -> None:
    app = App("shop")
    heard: list[str] = []

    @app.on("fail")
    def failed(event: Step) -> None:
        heard.append(event.id)
        raise SystemExit

    house = House([app]).start()
    with logged() as events:
        result_now(sink(house).hear((step("fail", 1), step("fail", 2))))
    assert heard == ["ID1", "ID2"]
    assert "did not take 2 of 2" in texts(events)


def test_one_that_is_slow_keeps_no_other_waiting_but_the_sink() -> None:
    app = App("shop")
    heard: list[str] = []
    late: Deferred[None] = Deferred()

    @app.on("fail", name="quick")
    async def quick(event: Step) -> None:
        heard.append(event.id)

    @app.on("fail")
    async def slow(event: Step) -> None:
        await late

    house = House([app]).start()
    task = sink(house).hear((step("fail", 1), step("fail", 2)))
    assert heard == ["ID1", "ID2"]
    assert not task.called
    late.callback(None)
    assert task.called


def test_what_it_answers_means_nothing() -> None:
    app = App("shop")
    app.on("fail")(lambda event: "anything")
    house = House([app]).start()
    with logged() as events:
        result_now(sink(house).hear((step("fail"),)))
    assert events == []
