"""Calling a hook: with what it asks for, within its time, and without harm to anybody else.

A plain ``def`` runs on a thread, an ``async def`` on the reactor's, one step after another, each
of them measured: one that takes a tenth of a second has kept everybody else from being served,
and is named in the log. Either way there are only so many calls of one hook at a time; others
wait in line.

When its time is over nobody waits for a call any longer. An ``async def`` is cancelled. A thread
cannot be: it goes on, its place stays taken, and a hook of which half the places are taken so is
not called any more until one of them is free. So what hangs takes a part of the threads at most.

A hook that forks has its child end where it returns.

What a hook raises that is no decision is its mistake, whatever it is, ``SystemExit`` included:
logged with its traceback under the message's id, in the message's story, and for the peer it is
451 4.3.0. A ``Failure`` is an answer where somebody waits for it, and a mistake in a schedule, an
event, at startup and at shutdown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure as Traceback
from twisted.python.reflect import safe_repr, safe_str

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import INTERNAL_ERROR, Failure, TransientFailure
from mailframe.hooks.hook import Phase
from mailframe.hooks.live import LiveHook
from mailframe.hooks.outgoing import Dispatch
from mailframe.hooks.room import BUSY
from mailframe.hooks.verdicts import Decision, decided
from mailframe.interfaces import IJournal, IWorkers
from mailframe.runtime.aio import as_deferred, is_awaitable
from mailframe.runtime.lineage import end_if_child, forks
from mailframe.runtime.stepping import stepped

TOO_LONG = Reply(451, status.SYSTEM_NOT_ACCEPTING, "Please try again later")

_NOBODY_WAITS = frozenset({Phase.SCHEDULE, Phase.EVENT, Phase.STARTUP, Phase.SHUTDOWN})
"""For an answer of theirs: mail of theirs that is refused is like any other error."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Returned:
    value: Any


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class _TooLong:
    pass


_Result = _Returned | _Raised | _TooLong


class Caller:
    """Calls the hooks of all applications; a server has one for each version of them."""

    log = Logger()

    def __init__(self, workers: IWorkers, clock: IReactorTime, journal: IJournal) -> None:
        self._workers = workers
        self._clock = clock
        self._journal = journal
        self._hung = 0
        """Threads whose calls nobody waits for."""
        self._under_way: set[Deferred[Any]] = set()
        self._ended: list[Deferred[bool]] = []

    async def call(
        self,
        hook: LiveHook,
        id: str,
        values: Values | Callable[[], Awaitable[Values]],
        *,
        patience: float | None = None,
    ) -> Any:
        """What it answers: the Decision that it returned or raised, or whatever else it returned.

        ``id``: of the message or session that it is about, for logs and story; may be empty.
        ``values``: by names, at least what it wants; or a function that yields them when there is
        a place for the call. ``patience``: seconds to wait for a place, its own limit where not
        given. Raises Failure: its own, or 451 for whatever else became of it."""
        if hook.hangs(self._hung):
            hook.count("busy")
            hung = hook.figures.hung
            raise TransientFailure(BUSY, f"{hook.name}: {hung} calls have not ended in time")
        seconds = hook.hook.seconds
        try:
            await hook.places.enter(1, seconds if patience is None else patience)
        except TransientFailure:
            hook.count("busy")
            raise
        try:
            given = await values() if callable(values) else values
            wanted = {name: given[name] for name in hook.hook.wanted}
        except BaseException:
            hook.places.leave(1)
            raise
        return self._answer(hook, id, await self._within_limit(hook, wanted))

    async def decision(
        self,
        hook: LiveHook,
        id: str,
        values: Values | Callable[[], Awaitable[Values]],
        *,
        patience: float | None = None,
    ) -> Decision | None:
        """As ``call``, of a hook that answers with a verdict."""
        answer = await self.call(hook, id, values, patience=patience)
        try:
            return decided(answer)
        except (TypeError, ValueError):  # ``return Redirect``, without an address
            self.misunderstood(hook, id, answer, "None or a verdict")

    def misunderstood(self, hook: LiveHook, id: str, answer: object, expected: str) -> NoReturn:
        """It answered, and nobody knows what that means."""
        hook.figures.failures += 1
        said = f"{hook.name} answered {safe_repr(answer):.200}"
        self.log.error(
            "{id}: {said}, which is not {expected} ({place})",
            id=id or hook.hook.phase.value,
            said=said,
            expected=expected,
            place=hook.hook.place,
        )
        self._tell(id, hook, f"answered what is not {expected}")
        raise TransientFailure(INTERNAL_ERROR, f"{said}, which is not {expected}")

    async def idle(self, seconds: float) -> bool:
        """Waits until nothing is under way that anybody waits for, so long at most; whether it
        was so in the end."""
        if not self._under_way:
            return True
        ended: Deferred[bool] = Deferred()
        self._ended.append(ended)
        timer = self._clock.callLater(seconds, ended.callback, False)
        is_idle = await ended
        if timer.active():
            timer.cancel()
        return is_idle

    # ---- one call

    async def _within_limit(self, hook: LiveHook, values: Values) -> _Result:
        began = self._clock.seconds()
        work = _Work(self._workers, hook, values)
        waiting: Deferred[_Result] = Deferred()

        def hang(by: int) -> None:
            hook.figures.hung += by
            if not hook.is_async:
                self._hung += by

        def ended(result: _Result) -> None:
            if waiting.called:
                hang(-1)
            else:
                waiting.callback(result)
            hook.places.leave(1)

        def over() -> None:
            hang(1)
            waiting.callback(_TooLong())
            work.stop()

        work.ended.addCallback(ended)
        timer = None if waiting.called else self._clock.callLater(hook.hook.seconds, over)
        self._under_way.add(waiting)
        outcome = "cancelled"
        try:
            result = await waiting
            outcome = _outcome(hook, result)
            return result
        except CancelledError:  # whoever asked is gone
            hang(1)
            work.stop()
            raise
        finally:
            if timer is not None and timer.active():
                timer.cancel()
            hook.count(outcome, self._clock.seconds() - began)
            self._leave(waiting)

    def _leave(self, waiting: Deferred[Any]) -> None:
        self._under_way.discard(waiting)
        if not self._under_way:
            told, self._ended = self._ended, []
            for each in told:
                if not each.called:  # else its time was over first
                    each.callback(True)

    def _answer(self, hook: LiveHook, id: str, result: _Result) -> Any:
        if isinstance(result, _Returned):
            return result.value
        if isinstance(result, _TooLong):
            why = f"{hook.name} took longer than {hook.hook.seconds:g} s"
            about = id or hook.hook.phase.value
            self.log.error("{id}: {why} ({place})", id=about, why=why, place=hook.hook.place)
            self._tell(id, hook, "took too long")
            raise TransientFailure(TOO_LONG, why)
        error = result.error
        if isinstance(error, Decision):
            # It may be kept for a while, and is not to keep the frames that it came through.
            error.__context__ = error.__cause__ = None
            return error.with_traceback(None)
        if _is_answer(hook, error):
            raise error
        why = f"{type(error).__name__}: {safe_str(error)}"[:200]
        self.log.failure(
            "{id}: {hook} failed: {why}",
            Traceback(error),
            id=id or hook.hook.phase.value,
            hook=hook.name,
            why=why,
        )
        self._tell(id, hook, f"failed: {why}")
        raise TransientFailure(INTERNAL_ERROR, f"{hook.name} failed: {why}")

    def _tell(self, id: str, hook: LiveHook, why: str) -> None:
        if id:
            self._journal.record(id, "check", hook.name, reason=why)


class _Work:
    """A call until its very end. ``ended`` fires then, with what came of it; it never fails."""

    def __init__(self, workers: IWorkers, hook: LiveHook, values: Values) -> None:
        self._workers = workers
        self._is_on_thread = False
        self._is_over = False
        self.ended: Deferred[_Result] = as_deferred(self._run(hook, values))

    def stop(self) -> None:
        """Nobody waits for it."""
        self._is_over = True
        if not self._is_on_thread:
            self.ended.cancel()

    async def _run(self, hook: LiveHook, values: Values) -> _Result:
        # Whatever it raises, generators' own exceptions and cancellation included, is a result.
        try:
            if hook.is_async:
                value = await stepped(hook.hook.function(**values), hook.step)
            else:
                result = await self._on_thread(hook.hook.function, values)
                if isinstance(result, _Raised):
                    return result
                value = result.value
            # What ``msg.reply`` returns can be awaited any number of times.
            while is_awaitable(value) and not isinstance(value, Dispatch):
                value = await stepped(self._rest(value), hook.step)
            return _Returned(value)
        except BaseException as error:  # noqa: BLE001
            return _Raised(error)

    async def _on_thread(self, function: Callable[..., Any], values: Values) -> _Returned | _Raised:
        self._is_on_thread = True
        try:
            result: _Returned | _Raised = await self._workers.run(_guarded, function, values)
        finally:
            self._is_on_thread = False
        return result

    async def _rest(self, value: Awaitable[Any]) -> Any:
        """A plain function, too, may return what is to be awaited, on the reactor's thread."""
        if self._is_over:
            if isinstance(value, Coroutine):
                value.close()
            raise CancelledError
        return await value


def _guarded(function: Callable[..., Any], values: Values) -> _Returned | _Raised:
    """On a thread, whose pool need not know what to do with SystemExit."""
    since = forks()
    try:
        return _Returned(function(**values))
    except BaseException as error:  # noqa: BLE001 - as above
        return _Raised(error)
    finally:
        end_if_child(since)


def _outcome(hook: LiveHook, result: _Result) -> str:
    if isinstance(result, _TooLong):
        return "timeout"
    if isinstance(result, _Returned) or isinstance(result.error, Decision):
        return "ok"
    return "ok" if _is_answer(hook, result.error) else "failed"


def _is_answer(hook: LiveHook, error: BaseException) -> bool:
    """Whether it is for somebody who waits: what nobody hears has failed."""
    is_refusal = isinstance(error, Failure) and not error.reply.is_positive
    return is_refusal and hook.hook.phase not in _NOBODY_WAITS
