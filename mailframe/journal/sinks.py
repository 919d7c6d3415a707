"""Sinks of the journal: others who hear of every step, and never hold up mail.

Between the journal and each sink lies a bounded buffer. A sink hears some steps, and the next ones
once it is done with these; what comes meanwhile waits, and is dropped where the buffer is full.
A sink that takes too long, or raises, has lost the steps that it was told; the others go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailframe.interfaces import IEventSink, Step
from mailframe.journal.pages import Row
from mailframe.runtime.aio import as_deferred, result_of

BUFFER = 10_000
"""Steps that wait for one sink."""
TOGETHER = 500
"""Steps that it hears at once, at most."""
SECONDS = 30.0
"""That it may take for them."""
_LAST_WORDS = 5.0
"""Seconds for what waits at the end."""
_QUIET = 60.0
"""Seconds between two complaints about one sink."""


class SinkFeed:
    """Is itself what ``Journal.listen`` takes."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._lines: list[_Line] = []

    def follow(self, sinks: Iterable[IEventSink]) -> None:
        """These from now on; one that is no longer among them still hears what waits for it."""
        lines = {id(line.sink): line for line in self._lines}
        self._lines = [lines.get(id(sink)) or _Line(sink, self._clock) for sink in sinks]

    def __call__(self, rows: Sequence[Row]) -> None:
        if self._lines:
            steps = [
                Step(time, id, step, result, session, detail)
                for time, id, session, step, result, detail in rows
            ]
            for line in self._lines:
                line.add(steps)

    @property
    def dropped(self) -> int:
        return sum(line.dropped for line in self._lines)

    def stop(self) -> Deferred[None]:
        """Fires when all have heard what waits, or have had their time for it."""
        ends = [line.empty() for line in self._lines]
        self._lines = []
        every: Deferred[Any] = DeferredList(ends, consumeErrors=True)
        every.addTimeout(_LAST_WORDS, self._clock)
        return every.addBoth(lambda _: None)


class _Line:
    """Steps that wait for one sink."""

    log = Logger(namespace="mailframe.journal.sinks")

    def __init__(self, sink: IEventSink, clock: IReactorTime) -> None:
        self.sink = sink
        self.dropped = 0
        """Since the start."""
        self._clock = clock
        self._waiting: deque[Step] = deque()
        self._hears = False
        self._complained = -_QUIET
        self._untold = 0
        self._empty: list[Deferred[None]] = []

    def add(self, steps: Sequence[Step]) -> None:
        room = max(0, BUFFER - len(self._waiting))
        self._waiting.extend(steps[:room])
        if lost := len(steps) - min(room, len(steps)):
            self._lost(lost, "it is behind")
        if not self._hears:
            self._hears = True
            as_deferred(self._tell_all())

    def empty(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        if self._hears:
            self._empty.append(done)
        else:
            done.callback(None)
        return done

    async def _tell_all(self) -> None:
        """Never raises."""
        while self._waiting:
            number = min(TOGETHER, len(self._waiting))
            steps = tuple(self._waiting.popleft() for _ in range(number))
            try:
                await as_deferred(self._tell(steps)).addTimeout(SECONDS, self._clock)
            except Exception as error:  # noqa: BLE001 - somebody else's code costs no mail
                self._lost(len(steps), repr(error))
        self._hears = False
        waiting, self._empty = self._empty, []
        for done in waiting:
            done.callback(None)

    async def _tell(self, steps: tuple[Step, ...]) -> None:
        await result_of(self.sink.hear(steps))

    def _lost(self, number: int, why: str) -> None:
        self.dropped += number
        self._untold += number
        now = self._clock.seconds()
        if now - self._complained >= _QUIET:
            self._complained = now
            lost, self._untold = self._untold, 0
            name = getattr(self.sink, "name", repr(self.sink))
            why_lost = "the sink {sink} has lost {lost} steps: {why}"
            self.log.error(why_lost, sink=name, lost=lost, why=why)
