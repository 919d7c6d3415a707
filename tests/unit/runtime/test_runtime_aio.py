from __future__ import annotations

import contextlib
from contextvars import ContextVar

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import globalLogPublisher

from mailframe.runtime.aio import Background, as_deferred, begun, fired, result_of


async def coroutine() -> int:
    return 3


@pytest.mark.parametrize("value", [3, succeed(3), coroutine], ids=["value", "deferred", "async"])
def test_result_of_any_of_the_three(value: object) -> None:
    found: list[object] = []
    given = value() if value is coroutine else value
    as_deferred(result_of(given)).addCallback(found.append)
    assert found == [3]


def test_result_of_passes_errors_on() -> None:
    failures: list[object] = []
    as_deferred(result_of(fail(KeyError("x")))).addErrback(failures.append)
    assert len(failures) == 1


def test_fired_takes_what_is_done_and_waits_for_nothing() -> None:
    assert fired(succeed(None)) is None
    with pytest.raises(KeyError):
        fired(fail(KeyError("x")))
    with pytest.raises(RuntimeError, match="not fired"):
        fired(Deferred())


def test_none_and_falsy_values_are_values() -> None:
    found: list[object] = []
    for value in (None, 0, "", False):
        as_deferred(result_of(value)).addCallback(found.append)
    assert found == [None, 0, "", False]


def test_a_background_task_that_fails_is_logged_under_its_name() -> None:
    async def broken() -> None:
        raise RuntimeError("planned")

    logged: list[dict[str, object]] = []
    globalLogPublisher.addObserver(logged.append)
    try:
        background, finished = Background(), list[object]()
        background.start(broken(), "the broken one").addCallback(finished.append)
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert finished == [None]
    assert len(background) == 0
    assert [event["what"] for event in logged] == ["the broken one"]


def test_stop_cancels_and_waits_for_the_end() -> None:
    cleaning: Deferred[None] = Deferred()
    ended: list[str] = []

    async def task() -> None:
        try:
            await Deferred()
        finally:
            await cleaning
            ended.append("task")

    background = Background()
    background.start(task(), "task")
    assert len(background) == 1
    background.stop().addCallback(lambda _: ended.append("stop"))
    assert ended == []
    cleaning.callback(None)
    assert ended == ["task", "stop"]
    assert len(background) == 0


def test_stop_with_nothing_running() -> None:
    done: list[None] = []
    Background().stop().addCallback(done.append)
    assert done == [None]


def test_what_outlives_its_waiter_goes_on_and_is_waited_for_at_the_end() -> None:
    background, gate = Background(), Deferred[int]()
    heard: list[object] = []
    waiting = background.outliving(awaited(gate), "reading")
    waiting.addErrback(lambda failure: heard.append(failure.type))
    waiting.cancel()
    assert heard == [CancelledError]
    ended = background.ended()
    assert len(background) == 1
    assert not ended.called
    gate.callback(3)
    assert ended.called
    assert len(background) == 0


def test_its_waiter_has_the_result_or_the_error() -> None:
    background = Background()
    assert fired(background.outliving(coroutine(), "reading")) == 3
    with pytest.raises(KeyError):
        fired(background.outliving(result_of(fail(KeyError("x"))), "reading"))


def test_an_error_of_which_nobody_hears_is_logged() -> None:
    events: list[dict[str, object]] = []
    gate: Deferred[int] = Deferred()
    waiting = Background().outliving(awaited(gate), "reading")
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    globalLogPublisher.addObserver(events.append)
    try:
        gate.errback(KeyError("x"))
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [event.get("what") for event in events] == ["reading"]


async def awaited(gate: Deferred[int]) -> int:
    return await gate


# --- begun ----------------------------------------------------------------------------------


def test_what_does_not_wait_is_done_at_once() -> None:
    async def outer() -> int:
        return await succeed(await coroutine()) + 1

    assert begun(outer()) == 4
    with pytest.raises(KeyError):
        begun(result_of(fail(KeyError("x"))))


def test_what_waits_goes_on_as_often_as_it_has_to() -> None:
    gates: list[Deferred[int]] = [Deferred(), Deferred(), Deferred()]

    async def three() -> list[int]:
        return [await gate for gate in gates]

    task = begun(three())
    assert isinstance(task, Deferred)
    for number, gate in enumerate(gates):
        assert not task.called
        gate.callback(number)
    assert fired(task) == [0, 1, 2]


def test_an_error_comes_where_it_was_awaited() -> None:
    gate: Deferred[int] = Deferred()
    second: Deferred[str] = Deferred()

    async def careful() -> str:
        try:
            await gate
        except KeyError:
            return await second
        return "not reached"

    task = begun(careful())
    assert isinstance(task, Deferred)
    gate.errback(KeyError("x"))
    second.callback("handled")
    assert fired(task) == "handled"


def test_an_error_that_nobody_handles_is_the_tasks() -> None:
    gate: Deferred[int] = Deferred()
    task = begun(awaited(gate))
    assert isinstance(task, Deferred)
    gate.errback(KeyError("x"))
    with pytest.raises(KeyError):
        fired(task)


def test_cancelling_reaches_what_is_awaited() -> None:
    cancelled: list[Deferred[int]] = []
    gates = [Deferred[int](cancelled.append), Deferred[int](cancelled.append)]

    async def stubborn() -> int:
        with contextlib.suppress(CancelledError):
            await gates[0]
        return await gates[1]

    task = begun(stubborn())
    assert isinstance(task, Deferred)
    ended: list[object] = []
    task.addErrback(lambda failure: ended.append(failure.type))
    task.cancel()
    assert (cancelled, ended) == (gates[:1], [])
    task.cancel()
    assert (cancelled, ended) == (gates, [CancelledError])


def test_each_coroutine_has_its_own_context_variables() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="outside")
    gate: Deferred[None] = Deferred()

    async def setting() -> str:
        variable.set("inside")
        await gate
        return variable.get()

    task = begun(setting())
    assert isinstance(task, Deferred)
    assert variable.get() == "outside"
    gate.callback(None)
    assert fired(task) == "inside"
    assert variable.get() == "outside"


def test_as_deferred_tells_all_that_is_done_at_once() -> None:
    assert fired(as_deferred(coroutine())) == 3
    with pytest.raises(KeyError):
        fired(as_deferred(result_of(fail(KeyError("x")))))
