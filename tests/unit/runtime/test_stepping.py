"""Coroutines of other people's: each step is measured, and has a name in the stack."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mailframe.runtime.aio import as_deferred
from mailframe.runtime.stalls import place_of
from mailframe.runtime.stepping import step_named, stepped


class Steps:
    """Time passes by a second whenever somebody looks."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.now = 0.0

    def seconds(self) -> float:
        self.now += 1.0
        return self.now

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> list[Any]:
        step = step_named("hook shop.order", self.told.append, self.seconds)

        async def whole() -> Any:
            return await stepped(coroutine, step)

        self.task = as_deferred(whole())
        found: list[Any] = []
        self.task.addBoth(lambda r: found.append(r.value if isinstance(r, Failure) else r))
        return found


def test_each_step_is_told() -> None:
    steps = Steps()
    first: Deferred[str] = Deferred()

    async def coroutine() -> str:
        return await first + await Deferred.fromCoroutine(second())

    async def second() -> str:
        return "b"

    found = steps.run(coroutine())
    assert (found, steps.told) == ([], [1.0])
    first.callback("a")
    assert (found, steps.told) == (["ab"], [1.0, 1.0])


def test_failures_go_in_and_out() -> None:
    steps = Steps()
    first: Deferred[str] = Deferred()

    async def coroutine() -> str:
        with pytest.raises(KeyError):
            await first
        raise ValueError("x")

    found = steps.run(coroutine())
    first.errback(KeyError("k"))
    assert isinstance(found[0], ValueError)


def test_cancelling_goes_in() -> None:
    steps = Steps()
    seen: list[BaseException] = []

    async def coroutine() -> None:
        try:
            await Deferred()
        except BaseException as error:
            seen.append(error)
            raise

    found = steps.run(coroutine())
    steps.task.cancel()
    assert isinstance(found[0], CancelledError)
    assert seen == found


def test_what_is_not_for_this_loop_is_said() -> None:
    class Odd:
        def __await__(self) -> Any:
            yield self

    async def coroutine() -> None:
        await Odd()

    (found,) = Steps().run(coroutine())
    assert isinstance(found, RuntimeError)
    assert "cannot" in str(found)


def test_asyncios_own_are_said_to_be() -> None:
    loop = asyncio.new_event_loop()
    try:

        async def coroutine() -> None:
            await loop.create_future()

        (found,) = Steps().run(coroutine())
    finally:
        loop.close()
    assert "mailframe.aio" in str(found)


def test_it_may_await_something_else_then() -> None:
    async def coroutine() -> str:
        try:
            await asyncio.sleep(0)
        except RuntimeError:
            return "went on"
        return "waited"

    assert Steps().run(coroutine()) == ["went on"]


def test_the_name_is_in_the_stack() -> None:
    places: list[str] = []

    async def coroutine() -> None:
        places.append(place_of(sys._getframe()))

    Steps().run(coroutine())
    steps: Callable[..., Any] = step_named("hook shop.order", lambda seconds: None)
    assert steps(lambda argument: place_of(sys._getframe(1)), None).endswith("hook shop.order")
    assert places[0].startswith("mailframe.runtime.stepping:hook shop.order, ")
