"""A whole run: the generators' processes, what the server costs meanwhile, what arrives."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from mailframe.bench.cost import Measured, Meter, Spent
from mailframe.bench.loop import Clock, Loop
from mailframe.bench.processes import Work, Worker, spawn
from mailframe.bench.sink import Sink
from mailframe.bench.tally import Tally
from mailframe.runtime.disk import Disk

_LOOK = 0.5  # seconds between looks at the server's memory
_ENDING = (signal.SIGINT, signal.SIGTERM)
_AGAIN = 0.5  # seconds after a signal from which on another one means "at once"
_POLL = 0.02  # seconds between counts of what was delivered


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What tells that accepted mail has arrived: Maildirs, or a sink of ours.

    Waited for at most ``seconds`` after the last message was accepted.
    """

    maildirs: tuple[str, ...] = ()
    sinks: tuple[tuple[str, int], ...] = ()
    seconds: float = 60.0


@dataclass(slots=True)
class Outcome:
    tally: Tally
    processes: int
    sink: Tally = field(default_factory=Tally)
    spent: Spent | None = None
    delivered: int = 0
    """Messages in Maildirs, or recipients at a sink."""
    delivered_seconds: float = 0.0
    """From the begin until the last of them was there."""
    interrupted: bool = False


class Run:
    """Watches the processes that make the load, from a loop of its own."""

    def __init__(
        self, clock: Clock, measured: Measured | None, arrivals: Arrivals, patience: float
    ) -> None:
        """Raises OSError where a sink cannot listen, or a Maildir cannot be read."""
        self._clock, self._arrivals, self._patience = clock, arrivals, patience
        self._disk = Disk()
        self._loop = Loop(clock, patience)
        self._sink = Tally()
        self._measured = measured
        self._interrupted = False
        self._interrupted_at = 0.0
        self._workers: list[Worker] = []
        self._before = self._in_maildirs()

    def __call__(self, works: Sequence[Work]) -> Outcome:
        """Raises GeneratorFailed."""
        loop = self._loop
        meter = Meter(self._measured) if self._measured is not None else None
        # They listen before anything is sent: a next hop that is not there makes mail wait.
        for host, port in self._arrivals.sinks:
            Sink(loop, self._sink, host, port)
        with self._signals():
            self._workers = [spawn(loop, work, self._clock, self._patience) for work in works]
            if meter is not None:
                self._look(meter)
            outcome = Outcome(self._worked(), len(works), self._sink)
            self._wait_for_arrivals(outcome)
            outcome.interrupted = self._interrupted
        if meter is not None:
            outcome.spent = meter.spent()
        loop.close()
        return outcome

    def _look(self, meter: Meter) -> None:
        meter.look()
        self._loop.at(self._clock() + _LOOK, lambda: self._look(meter))

    def _worked(self) -> Tally:
        self._loop.run(lambda: any(not worker.over for worker in self._workers))
        tally = Tally()
        for worker in self._workers:
            tally.merge(worker.tally())
        return tally

    # -- what arrives -----------------------------------------------------------------

    def _wait_for_arrivals(self, outcome: Outcome) -> None:
        arrivals, loop = self._arrivals, self._loop
        if not arrivals.maildirs and not arrivals.sinks:
            return
        expected = outcome.tally.counts["recipients"]
        end = self._clock() + arrivals.seconds
        changed = outcome.tally.ended

        def poll() -> None:
            nonlocal changed
            there = self._arrived()
            if there != outcome.delivered:
                outcome.delivered, changed = there, self._clock()
            if there < expected:
                loop.at(self._clock() + _POLL, poll)

        poll()
        loop.run(
            lambda: outcome.delivered < expected and not self._interrupted and self._clock() < end
        )
        if arrivals.sinks and self._sink.ended:
            changed = self._sink.ended
        outcome.delivered_seconds = max(0.0, changed - outcome.tally.begun)

    def _arrived(self) -> int:
        if self._arrivals.sinks:
            return self._sink.counts["recipients"]
        return self._in_maildirs() - self._before

    def _in_maildirs(self) -> int:
        disk = self._disk
        places = (os.path.join(path, "new") for path in self._arrivals.maildirs)
        # A server makes a Maildir when the first message comes.
        return sum(sum(1 for _ in disk.scan(each)) for each in places if disk.is_directory(each))

    # -- an early end -----------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM ends it with the report so far, the second at once."""
        before = {number: signal.signal(number, self._interrupt) for number in _ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for worker in self._workers:
                worker.stop()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # Who signals a process and its group, as timeout(1) does, means one thing by it.
        if self._interrupted and self._clock() - self._interrupted_at > _AGAIN:
            raise KeyboardInterrupt
        if not self._interrupted:
            self._interrupted_at = self._clock()
        self._interrupted = True
        for worker in self._workers:
            worker.stop()
