"""A hook is called within its limits, and what it does wrong stays its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure as Traceback

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.hooks.app import App
from mailframe.hooks.calling import Caller
from mailframe.hooks.live import LiveHook
from mailframe.hooks.verdicts import Defer, Reject, decided
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.workers import InlineWorkers
from tests.dialogs.smtp_world import ListJournal
from tests.unit.hooks.house import logged, texts, tracebacks

ID = "7KQ2M4XD"


class Meter:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.steps: list[tuple[str, float]] = []

    def called(self, hook: str, phase: str, outcome: str, seconds: float) -> None:
        self.calls.append((hook, phase, outcome))

    def blocked(self, hook: str, seconds: float) -> None:
        self.steps.append((hook, seconds))


class Threads:
    """A pool whose calls end when the test says so."""

    name = "held"

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.calls.append((lambda: function(*args), result))
        return result

    def end(self) -> None:
        call, result = self.calls.pop(0)
        if not result.called:
            result.callback(call())


class Bench:
    """One hook, and what came of its calls."""

    def __init__(self, function: Any, workers: Any = None, limit: str = "30s") -> None:
        self.clock = Clock()
        self.journal = ListJournal()
        self.meter = Meter()
        app = App("shop")
        app.policy("mail", limit=limit)(function)
        self.hook = LiveHook(app.hooks[0], "shop.hook", app, self.clock, self.meter)
        self.caller = Caller(workers or InlineWorkers(), self.clock, self.journal)

    def call(self, **more: Any) -> list[Any]:
        """The answer, or its failure's value; empty while it is waited for."""
        given = {"session": "the session", "envelope": "the envelope"}
        return self._told(as_deferred(self.caller.call(self.hook, ID, given, **more)))

    def decide(self) -> list[Any]:
        given = {"session": "the session", "envelope": "the envelope"}
        return self._told(as_deferred(self.caller.decision(self.hook, ID, given)))

    def _told(self, task: Deferred[Any]) -> list[Any]:
        self.task = task
        found: list[Any] = []
        task.addBoth(lambda r: found.append(r.value if isinstance(r, Traceback) else r))
        return found


def raising(error: BaseException) -> Any:
    def hook() -> None:
        raise error

    return hook


def async_raising(error: BaseException) -> Any:
    async def hook() -> None:
        raise error

    return hook


# ---- parameters and answers


def test_parameters_go_by_name_and_only_those_that_are_wanted() -> None:
    def hook(envelope: str, missing: int = 3) -> tuple[str, int]:
        return envelope, missing

    assert Bench(hook).call() == [("the envelope", 3)]

    def everything(**all: Any) -> list[str]:
        return sorted(all)

    assert Bench(everything).call() == [["envelope", "session"]]


def test_answers_of_both_kinds_of_functions() -> None:
    async def waits() -> str:
        await deferLater(bench.clock, 5)
        return "late"

    bench = Bench(waits)
    found = bench.call()
    assert found == []
    bench.clock.advance(5)
    assert found == ["late"]
    assert Bench(lambda: "now").call() == ["now"]
    assert bench.hook.figures.seconds == 5.0
    assert bench.hook.figures.calls == 1
    assert bench.meter.calls == [("shop.hook", "mail", "ok")]


def test_a_decision_may_be_returned_or_raised() -> None:
    reject = Reject(550, "5.7.1", "no")
    for make in (raising, async_raising):
        assert Bench(make(reject)).decide() == [reject]
    assert Bench(lambda: reject).decide() == [reject]
    assert Bench(lambda: Defer).decide() == [Defer()]
    assert Bench(lambda: None).decide() == [None]


def test_a_raised_decision_keeps_no_frames() -> None:
    def hook() -> None:
        try:
            raise KeyError("x")
        except KeyError:
            raise Reject from None

    (found,) = Bench(hook).call()
    assert found.__traceback__ is None
    assert found.__context__ is None


def test_failures_of_ours_are_its_answer() -> None:
    failure = PermanentFailure(Reply(550, status.NOT_AUTHORIZED, "no"))
    bench = Bench(raising(failure))
    with logged() as events:
        assert bench.call() == [failure]
    assert events == []
    assert bench.meter.calls == [("shop.hook", "mail", "ok")]


REFUSED = PermanentFailure(Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here"), "zoe")


@pytest.mark.parametrize("phase", ["schedule", "event", "startup", "shutdown"])
def test_where_nobody_waits_for_an_answer_a_failure_of_ours_is_a_mistake(phase: str) -> None:
    app, function = App("shop"), raising(REFUSED)
    {
        "schedule": app.schedule("every 1m"),
        "event": app.on("fail"),
        "startup": app.startup,
        "shutdown": app.shutdown,
    }[phase](function)
    bench = Bench(lambda: None)
    bench.hook = LiveHook(app.hooks[0], "shop.hook", app, bench.clock, bench.meter)
    with logged() as events:
        (found,) = bench.call()
    assert isinstance(found, TransientFailure)
    assert "550 5.1.1 No such user here (zoe)" in found.detail
    assert "shop.hook failed: PermanentFailure: 550 5.1.1 No such user here (zoe)" in texts(events)
    assert [event["log_failure"].value for event in events] == [REFUSED]
    assert bench.meter.calls == [("shop.hook", phase, "failed")]
    assert bench.hook.figures.failures == 1


def test_a_failure_with_a_positive_reply_is_a_mistake() -> None:
    bench = Bench(raising(TransientFailure(Reply(250, status.OTHER, "yes"))))
    with logged():
        (found,) = bench.call()
    assert (found.reply.code, found.reply.enhanced) == (451, "4.3.0")


# ---- mistakes


@pytest.mark.parametrize("make", [raising, async_raising])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        GeneratorExit(),
        SystemExit(1),
        KeyboardInterrupt(),
        StopIteration(),
        StopAsyncIteration(),
        CancelledError(),
        RecursionError(),
        AssertionError(),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_it_raises_is_451_and_logged_under_the_id(make: Any, error: Any) -> None:
    bench = Bench(make(error))
    with logged() as events:
        (found,) = bench.call()
    assert isinstance(found, TransientFailure)
    assert (found.reply.code, found.reply.enhanced) == (451, "4.3.0")
    assert "secret" not in found.reply.text
    assert ID in texts(events)
    assert "shop.hook" in texts(events)
    assert "in hook" in tracebacks(events), "the traceback leads into the hook"
    (step,) = bench.journal.steps("check")
    assert (step["id"], step["result"]) == (ID, "shop.hook")
    assert bench.hook.figures.failures == 1
    assert bench.meter.calls == [("shop.hook", "mail", "failed")]
    assert bench.hook.places.taken == 0


def test_endless_recursion() -> None:
    def hook() -> None:
        hook()

    with logged():
        (found,) = Bench(hook).call()
    assert found.reply.code == 451


def test_an_error_that_cannot_be_told() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with logged():
        (found,) = Bench(raising(Mute())).call()
    assert found.reply.code == 451


@pytest.mark.parametrize("is_async", [False, True])
def test_a_child_ends_where_the_hook_does(is_async: bool) -> None:
    server, children = os.getpid(), []

    def hook() -> None:
        children.append(os.fork())

    async def async_hook() -> None:
        hook()

    Bench(async_hook if is_async else hook).call()
    if os.getpid() != server:
        os._exit(3)
    assert [os.waitpid(child, 0)[1] for child in children] == [0]


class Nameless:
    def __repr__(self) -> str:
        raise SystemExit("no name")


@pytest.mark.parametrize(
    "answer",
    [True, 0, "550", Reply(550, None, "x"), Exception("x"), object, Nameless()],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_that_is_none_is_451(answer: Any) -> None:
    bench = Bench(lambda: answer)
    with logged() as events:
        (found,) = bench.decide()
    assert (found.reply.code, found.reply.enhanced) == (451, "4.3.0")
    assert "answered" in texts(events)
    assert bench.hook.figures.failures == 1


def test_a_verdict_that_cannot_be_made_of_nothing() -> None:
    from mailframe.hooks.verdicts import Redirect

    with pytest.raises((TypeError, ValueError)):
        decided(Redirect)
    with logged():
        (found,) = Bench(lambda: Redirect).decide()
    assert found.reply.code == 451


# ---- time


def test_an_async_hook_is_cancelled_when_its_time_is_over() -> None:
    ended: list[str] = []

    async def hook() -> None:
        try:
            await Deferred()
        finally:
            ended.append("cancelled")

    bench = Bench(hook, limit="10s")
    found = bench.call()
    bench.clock.advance(9)
    assert found == []
    with logged() as events:
        bench.clock.advance(1)
    (failure,) = found
    assert (failure.reply.code, failure.reply.enhanced) == (451, "4.3.2")
    assert "shop" not in failure.reply.text
    assert ended == ["cancelled"]
    assert ID in texts(events)
    assert bench.hook.figures.timeouts == 1
    assert bench.hook.figures.hung == 0
    assert bench.hook.places.taken == 0
    assert bench.clock.getDelayedCalls() == []


def test_one_that_will_not_be_cancelled_keeps_its_place_until_it_ends() -> None:
    last: Deferred[None] = Deferred()

    async def hook() -> str:
        try:
            await Deferred()
        except CancelledError:
            await last
        return "too late"

    bench = Bench(hook, limit="10s")
    found = bench.call()
    with logged():
        bench.clock.advance(10)
    assert len(found) == 1
    assert bench.hook.figures.hung == 1
    assert bench.hook.places.taken == 1
    last.callback(None)
    assert bench.hook.figures.hung == 0
    assert bench.hook.places.taken == 0


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_deferred_that_never_fires(kind: str) -> None:
    cancelled: list[Any] = []

    def plain() -> Any:
        return Deferred(cancelled.append)

    async def waits() -> Any:
        return Deferred(cancelled.append)

    bench = Bench(plain if kind == "plain" else waits, limit="10s")
    found = bench.call()
    with logged():
        bench.clock.advance(10)
    assert found[0].reply.enhanced == "4.3.2"
    assert len(cancelled) == 1
    assert bench.hook.places.taken == 0


def test_what_a_plain_function_returns_is_awaited() -> None:
    async def rest() -> str:
        await deferLater(bench.clock, 1)
        return "rest"

    bench = Bench(lambda: rest())
    found = bench.call()
    bench.clock.advance(1)
    assert found == ["rest"]


def test_whoever_asks_may_leave() -> None:
    ended: list[int] = []

    async def hook() -> None:
        try:
            await Deferred()
        finally:
            ended.append(1)

    bench = Bench(hook)
    found = bench.call()
    bench.task.cancel()
    assert isinstance(found[0], CancelledError)
    assert ended == [1]
    assert bench.hook.places.taken == 0
    assert bench.meter.calls == [("shop.hook", "mail", "cancelled")]


# ---- threads that hang


def test_a_hook_whose_threads_hang_is_not_called_any_more() -> None:
    threads = Threads()
    bench = Bench(lambda: "done", threads, limit="10s")
    found = [bench.call() for _ in range(4)]
    with logged():
        bench.clock.advance(10)
    assert [each[0].reply.enhanced for each in found] == ["4.3.2"] * 4
    assert bench.hook.figures.hung == 4
    assert len(threads.calls) == 4
    (refused,) = bench.call()
    assert (refused.reply.code, refused.reply.enhanced) == (451, "4.3.2")
    assert len(threads.calls) == 4, "it was not called"
    assert bench.hook.figures.busy == 1
    threads.end()
    assert bench.hook.figures.hung == 3
    again = bench.call()
    assert again == []
    for _ in range(4):
        threads.end()
    assert again == ["done"]
    assert (bench.hook.figures.hung, bench.hook.places.taken) == (0, 0)


def test_threads_that_hang_of_many_hooks_together() -> None:
    threads = Threads()
    benches = [Bench(lambda: "done", threads, limit="10s") for _ in range(5)]
    for bench in benches:
        bench.caller = benches[0].caller
        bench.caller._clock = bench.clock
    for bench in benches[:4]:
        bench.caller._clock = bench.clock
        for _ in range(2):
            bench.call()
        with logged():
            bench.clock.advance(10)
    assert benches[0].caller._hung == 8
    assert benches[0].call()[0].reply.enhanced == "4.3.2", "two hang: that is enough now"
    assert benches[4].call() == [], "none of its own hangs"


def test_places_are_given_in_turn_and_the_wait_is_bounded() -> None:
    threads = Threads()
    bench = Bench(lambda: "done", threads, limit="10s")
    found = [bench.call() for _ in range(10)]
    assert len(threads.calls) == 8
    threads.end()
    assert len(threads.calls) == 8, "the ninth has its place"
    assert found[0] == ["done"]
    with logged():
        bench.clock.advance(10)
    assert found[9][0].reply.enhanced == "4.3.2"
    assert "places" in found[9][0].detail


def test_values_are_made_when_there_is_a_place() -> None:
    threads = Threads()
    bench = Bench(lambda session: session, threads)
    made: list[int] = []

    async def values() -> dict[str, Any]:
        made.append(1)
        return {"session": len(made), "envelope": None}

    for _ in range(9):
        as_deferred(bench.caller.call(bench.hook, ID, values))
    assert len(made) == 8
    threads.end()
    assert len(made) == 9


def test_values_that_cannot_be_had_cost_no_place() -> None:
    async def values() -> dict[str, Any]:
        raise TransientFailure(Reply(451, status.SYSTEM_FULL, "no"))

    bench = Bench(lambda: None)
    task = as_deferred(bench.caller.call(bench.hook, ID, values))
    failed: list[Any] = []
    task.addErrback(failed.append)
    assert failed
    assert bench.hook.places.taken == 0


# ---- blocking the reactor


def test_a_step_that_blocks_is_named_and_counted() -> None:
    async def hook() -> None:
        time.sleep(0.12)  # noqa: ASYNC251 - that is what it is not to do

    bench = Bench(hook)
    with logged() as events:
        bench.call()
        bench.call()
    assert bench.hook.figures.blocked == 2
    assert len(events) == 1, "once a minute"
    assert "shop.hook" in texts(events)
    assert "test_calling.py" in texts(events)
    assert [name for name, _ in bench.meter.steps] == ["shop.hook", "shop.hook"]
    bench.clock.advance(60)
    with logged() as events:
        bench.call()
    assert len(events) == 1


def test_idle_waits_for_what_is_under_way() -> None:
    threads = Threads()
    bench = Bench(lambda: "done", threads)
    found: list[bool] = []
    as_deferred(bench.caller.idle(5)).addCallback(found.append)
    assert found == [True]
    bench.call()
    as_deferred(bench.caller.idle(5)).addCallback(found.append)
    bench.clock.advance(5)
    assert found == [True, False]
    as_deferred(bench.caller.idle(5)).addCallback(found.append)
    threads.end()
    assert found == [True, False, True]
    assert [call for call in bench.clock.getDelayedCalls() if call.active()] == []
