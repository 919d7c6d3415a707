"""A pool of simulated threads: the same calls, limits and errors as the real one.

A call waits for one of the ``threads`` lanes, runs as a whole in one event, and its result comes
back in a later one; both instants are drawn. What the disk calls slow passes as time. Should
the machine die in between, nobody ever hears of the result, though what was done is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from mailframe.errors import TransientFailure
from mailframe.runtime.workers import OVERLOADED, Workers
from mailframe.testing.network.timers import name_of

if TYPE_CHECKING:
    from mailframe.testing.machine import SimMachine

P = ParamSpec("P")
T = TypeVar("T")
_Call = tuple[partial[Any], Deferred[Any]]


class SimWorkers(Workers):
    """``SimMachine.workers`` makes it."""

    def __init__(self, name: str, threads: int, backlog: int, machine: SimMachine) -> None:
        super().__init__(name, threads, backlog, machine.reactor)
        self._machine = machine
        self._waiting: deque[_Call] = deque()
        self._starting: dict[object, _Call] = {}  # in a lane, not run yet
        self._busy = 0

    def stop(self) -> None:
        """What waits is done at once; the results come later."""
        self._is_open = False
        self._busy += len(self._waiting)  # each ends as those in a lane do
        calls = [*self._starting.values(), *self._waiting]
        self._starting.clear()
        self._waiting.clear()
        for call in calls:
            self._do(call)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        if not self._is_open or self._pending >= self._limit:
            why = "full" if self._is_open else "stopped"
            return fail(TransientFailure(OVERLOADED, f"worker pool {self.name} is {why}"))
        self._pending += 1
        result: Deferred[T] = Deferred()
        self._waiting.append((partial(function, *args, **kwargs), result))
        self._start_more()
        return result

    def _start_more(self) -> None:
        while self._waiting and self._busy < self._most:
            self._busy += 1
            lane = object()
            self._starting[lane] = self._waiting.popleft()
            self._machine.after(self._machine.pace.thread(), self._begin, lane)

    def _begin(self, lane: object) -> None:
        call = self._starting.pop(lane, None)
        if call is not None:  # else a stop was faster
            self._do(call)

    def _do(self, call: _Call) -> None:
        function, result = call
        machine = self._machine
        machine.note(self.name, name_of(function.func))
        before = machine.slow_seconds
        try:
            value = function()
        except Exception:  # noqa: BLE001 - it is the caller who hears of it
            value = Failure()
        took = machine.pace.thread() + machine.slow_seconds - before
        machine.after(took, self._tell, result, value)

    def _tell(self, result: Deferred[Any], value: Any) -> None:
        self._pending -= 1
        self._busy -= 1
        if self._is_open:
            self._start_more()
        if not result.called:  # else cancelled meanwhile; nobody wants it
            result.callback(value)  # a Failure takes the errback side
