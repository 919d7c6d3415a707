"""Coroutines of other people's on the reactor's thread: how long each of their steps takes.

Between two awaits a coroutine has the reactor to itself. ``stepped`` measures that, and has a
frame named as the caller wants under it, so that ``stalls`` finds the name on the stack.
"""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Coroutine, Generator
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred

from mailframe.runtime.futures import is_of_asyncio

T = TypeVar("T")
Step = Callable[[Callable[..., Any], Any], Any]


def step_named(
    name: str, told: Callable[[float], None], seconds: Callable[[], float] = time.perf_counter
) -> Step:
    """What calls a function with one argument, and tells how many seconds it took. In a stack its
    frame is called ``name``."""

    def step(function: Callable[..., Any], argument: Any) -> Any:
        began = seconds()
        try:
            return function(argument)
        finally:
            told(seconds() - began)

    code: CodeType = step.__code__.replace(co_name=name, co_qualname=name)
    return cast(Step, FunctionType(code, step.__globals__, name, None, step.__closure__))


@types.coroutine
def stepped(coroutine: Coroutine[Any, Any, T], step: Step) -> Generator[Deferred[Any], Any, T]:
    """``await stepped(coroutine, step)`` is ``await coroutine``, each step made by ``step``. What
    it awaits that is no Deferred is an error of its own, a RuntimeError."""
    try:
        awaited = step(coroutine.send, None)
        while True:
            if not isinstance(awaited, Deferred):
                awaited = step(coroutine.throw, RuntimeError(_not_for_us(awaited)))
                continue
            try:
                yield awaited
            except GeneratorExit:  # nobody will ever go on with it
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
                awaited = step(coroutine.throw, error)
            else:
                # What it awaits looks for its result itself.
                awaited = step(coroutine.send, None)
    except StopIteration as ended:
        result: T = ended.value
        return result


def _not_for_us(awaited: object) -> str:
    if is_of_asyncio(awaited):
        return "this is asyncio's: await mailframe.aio(...) of it"
    return f"a Deferred or a coroutine can be awaited here, {awaited!r:.100} cannot"
