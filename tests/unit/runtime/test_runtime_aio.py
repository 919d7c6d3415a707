from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import globalLogPublisher

from mailframe.runtime.aio import Background, as_deferred, fired, result_of


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
