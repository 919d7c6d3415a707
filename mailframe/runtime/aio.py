"""Awaiting what extensions return, and coroutines that nobody awaits.

Extension points may return a value, a Deferred or a coroutine: ``result_of`` makes one of
the three; ``fired`` takes the result of what is done already. A bare coroutine never runs
and a lost Deferred swallows its error, hence ``Background``, which starts, names, logs and
stops what runs on its own.

Most coroutines of a mail server end without having waited for anything. ``begun`` takes the
result of such a one as it is: a Deferred, which costs more than most decisions do, is made
only for what is left of one that waits.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Coroutine, Generator
from contextvars import copy_context
from typing import Any, TypeGuard, TypeVar, cast, overload

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")


@overload
async def result_of(value: Awaitable[T]) -> T: ...


@overload
async def result_of(value: T | Awaitable[T]) -> T: ...


async def result_of(value: T | Awaitable[T]) -> T:
    """The value itself, or what the Deferred or coroutine yields."""
    if hasattr(value, "__await__"):
        return await cast(Awaitable[T], value)
    return value


def is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Whether ``value`` has to be awaited; for hot paths, where ``result_of`` is a step more."""
    return hasattr(value, "__await__")


def fired(deferred: Deferred[T]) -> T:
    """The result of a Deferred that has fired already, as those of a ``Database`` without a
    reactor have; raises its error. RuntimeError for one that has not."""
    results: list[T] = []
    failures: list[Failure] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    if not results:
        raise RuntimeError("the Deferred has not fired")
    return results[0]


def begun(coroutine: Coroutine[Any, Any, T]) -> T | Deferred[T]:
    """Start a coroutine: its result, or its error raised, if it ends without waiting; else a
    Deferred for what is left, which can be cancelled like any other. (It is just that and no
    subclass: ``isinstance`` takes long for a class that is an ``Awaitable``.)"""
    # A coroutine has its own context variables, as a task of asyncio has.
    context = copy_context()
    try:
        awaited = context.run(coroutine.send, None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    return context.run(Deferred.fromCoroutine, _rest(coroutine, awaited))


@types.coroutine
def _rest(
    coroutine: Coroutine[Any, Any, T], awaited: Deferred[Any]
) -> Generator[Deferred[Any], Any, T]:
    """What is left of a coroutine that waits for ``awaited``."""
    try:
        while True:
            try:
                yield awaited
            except GeneratorExit:  # nobody will ever go on with it
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
                awaited = coroutine.throw(error)
            else:
                # What it awaits looks for its result itself.
                awaited = coroutine.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result


def as_deferred(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Start a coroutine; for the public edge of ``async def`` code."""
    try:
        result = begun(coroutine)
    except BaseException:  # noqa: BLE001 - told by the Deferred
        return fail()
    if type(result) is Deferred:
        return result
    return succeed(result)  # type: ignore[arg-type]  # it is no Deferred


class Background:
    """The tasks of one service that nobody awaits."""

    log = Logger()

    def __init__(self) -> None:
        self._running: dict[Deferred[Any], str] = {}
        self._stopping = False

    def start(self, coroutine: Coroutine[Any, Any, Any], what: str) -> Deferred[None]:
        """Run it until done; an error is logged under ``what``. The Deferred never fails."""
        try:
            task = begun(coroutine)
        except BaseException:  # noqa: BLE001 - logged
            self._failed(Failure(), what)
            return succeed(None)
        if type(task) is not Deferred:
            return succeed(None)
        finished: Deferred[None] = Deferred()
        self._running[task] = what

        def done(result: object) -> None:
            self._running.pop(task, None)
            if isinstance(result, Failure):
                self._failed(result, what)
            finished.callback(None)

        task.addBoth(done)
        return finished

    def _failed(self, failure: Failure, what: str) -> None:
        if not failure.check(CancelledError):
            self.log.failure("background task failed: {what}", failure, what=what)

    def outliving(self, coroutine: Coroutine[Any, Any, T], what: str) -> Deferred[T]:
        """Run it until done, whoever waits: cancelling the Deferred, which has its result,
        leaves it under way. An error of which nobody hears is logged under ``what``."""
        try:
            task = begun(coroutine)
        except BaseException:  # noqa: BLE001 - told by the Deferred
            return fail()
        if type(task) is not Deferred:
            return succeed(task)  # type: ignore[arg-type]  # it is no Deferred
        waiting: Deferred[T] = Deferred()

        async def telling() -> None:
            try:
                value = await task
            except BaseException:
                if waiting.called:
                    raise
                waiting.errback(Failure())
            else:
                if not waiting.called:
                    waiting.callback(value)

        self.start(telling(), what)
        return waiting

    def __len__(self) -> int:
        return len(self._running)

    def ended(self) -> Deferred[None]:
        """Fires when all that is running now has ended by itself; cancels nothing."""
        everything: Deferred[Any] = DeferredList([_ending(task) for task in self._running])
        return everything.addCallback(lambda _: None)

    def stop(self) -> Deferred[None]:
        """Cancel what is running; fires when all of it has ended."""
        tasks = list(self._running)
        ended: Deferred[Any] = DeferredList([_ending(task) for task in tasks])
        for task in tasks:
            task.cancel()
        return ended.addCallback(lambda _: None)


def _ending(task: Deferred[Any]) -> Deferred[None]:
    """Fires when ``task`` has a result, without disturbing it."""
    ended: Deferred[None] = Deferred()

    def tell(result: object) -> object:
        ended.callback(None)
        return result

    task.addBoth(tell)
    return ended
