"""Run some work, cut the power before each of its disk operations, recover, and look.

The work runs once, on a simulated disk that records it. Then, for each operation, the disk
states that a power cut may leave are built (``SimDisk.crash_states``: the extreme ones first,
then random ones), each is recovered twice, some are cut off once more in the middle of their
recovery, and what can be seen is held against the ledger as it stood at that operation.

Everything follows from the seed, however many processes share the work.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, TypeVar

from mailframe.testing.crash.ledger import Ledger, Moment
from mailframe.testing.crash.subject import Exploration, Subject, Violation
from mailframe.testing.disk import CrashState, Op, SimDisk

V = TypeVar("V")

_MOST_VIOLATIONS = 200  # of one exploration; more say nothing new


@dataclass(frozen=True)
class Recorded(Generic[V]):
    """A subject whose work is done: its operations, the first of which has number ``first``,
    its ledger, and ``states`` as of ``SimDisk.crash_states``; ``disk`` is as it was left."""

    subject: Subject[V]
    """Whose work it is."""
    disk: SimDisk
    """As the work left it."""
    trace: Sequence[Op]
    """What was done, in order."""
    ledger: Ledger
    """What was promised meanwhile."""
    first: int
    states: Callable[[int, int, Random], Iterator[CrashState]]

    @property
    def points(self) -> range:
        """Where the power may be cut: before each operation, and after the last."""
        return range(self.first, self.first + len(self.trace) + 1)


def record(subject: Subject[V]) -> Recorded[V]:
    """Do the work."""
    disk = subject.before()
    first, ledger = disk.count, Ledger(lambda: disk.count)
    subject.work(disk, ledger)
    return Recorded(subject, disk, disk.trace, ledger, first, disk.crash_states)


def explore(
    subject: Subject[V],
    *,
    seed: int = 0,
    per_operation: int = 16,
    interrupted: float = 0.05,
    processes: int = 1,
) -> Exploration:
    """Do the work and explore all of it. ``per_operation``: states to build before each
    operation, at most. ``interrupted``: in which part of them the recovery is cut off too."""
    return explore_recorded(
        record(subject),
        seed=seed,
        per_operation=per_operation,
        interrupted=interrupted,
        processes=processes,
    )


def explore_recorded(
    recorded: Recorded[V],
    *,
    seed: int = 0,
    per_operation: int = 16,
    interrupted: float = 0.05,
    processes: int = 1,
    points: Sequence[int] | None = None,
    stop_at_first: bool = False,
) -> Exploration:
    """The same of work that is done already. ``points``: cut only before these operations;
    ``stop_at_first``: one violation is enough."""
    if points is None:
        points = recorded.points

    def explored(points: Sequence[int]) -> Exploration:
        explorer = _Explorer(recorded, seed, per_operation, interrupted, stop_at_first)
        return explorer.explore(points)

    if processes == 1:
        return explored(points)
    parts = [share(points, number, processes) for number in range(processes)]
    first, *others = in_processes(explored, parts)
    return first.merged(others)


def share(points: Sequence[int], number: int, processes: int) -> Sequence[int]:
    """Neighbours stay together: they have states in common, which are recovered once."""
    first, end = (len(points) * each // processes for each in (number, number + 1))
    return points[first:end]


def in_processes(work: Callable[[Any], V], parts: Sequence[Any]) -> list[V]:
    """``work(part)`` of each, side by side in forked processes; the first here."""
    context = multiprocessing.get_context("fork")
    children = []
    for part in parts[1:]:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_send, args=(theirs, work, part))
        child.start()
        theirs.close()
        children.append((child, ours))
    try:
        results = [work(parts[0])]
        for child, pipe in children:
            outcome = pipe.recv()
            child.join()
            if isinstance(outcome, BaseException):
                raise outcome
            results.append(outcome)
    finally:
        for child, _ in children:
            child.kill()
            child.join()
    return results


def _send(pipe: Any, work: Callable[[Any], Any], part: Any) -> None:
    try:
        outcome = work(part)
    except BaseException as error:  # noqa: BLE001 - the other process raises it
        outcome = RuntimeError("".join(traceback.format_exception(error)))
    pipe.send(outcome)


@dataclass(frozen=True, slots=True)
class _Found(Generic[V]):
    """What is seen after a recovery, and what it and those before it noted; ``cuts``: whether
    a power cut was before each."""

    recovery: str
    view: V
    notes: tuple[Moment, ...]
    cuts: tuple[bool, ...]

    def moment_after(self, moment: Moment) -> Moment:
        for notes, cut in zip(self.notes, self.cuts, strict=True):
            moment = moment.then(notes, is_another_life=cut)
        return moment


class _Explorer(Generic[V]):
    def __init__(
        self,
        recorded: Recorded[V],
        seed: int,
        per_operation: int,
        interrupted: float,
        stop_at_first: bool,
    ) -> None:
        self._recorded = recorded
        self._subject = recorded.subject
        self._seed = seed
        self._per_operation = per_operation
        self._interrupted = interrupted
        self._stop_at_first = stop_at_first
        self._seen: dict[Any, list[_Found[V]]] = {}
        """By state: what each recovery found; one that failed is a violation."""
        self._recoveries = 0
        self._violations: list[Violation] = []

    def explore(self, points: Iterable[int]) -> Exploration:
        for at in points:
            moment = self._recorded.ledger.at(at)
            random = Random(f"{self._seed} {self._subject.name} {at}")
            states = self._recorded.states(at, self._per_operation, random)
            for state in states:
                self._look(at, moment, state)
                if self._is_enough():
                    return self._result()
        return self._result()

    def _is_enough(self) -> bool:
        return len(self._violations) >= (1 if self._stop_at_first else _MOST_VIOLATIONS)

    def _result(self) -> Exploration:
        return Exploration(
            self._subject.name,
            len(self._recorded.points) - 1,
            len(self._seen),
            self._recoveries,
            self._violations,
            frozenset(self._seen),
        )

    def _look(self, at: int, moment: Moment, state: CrashState) -> None:
        # The same disk at a later moment has more promises to keep, but shows the same.
        found = self._seen.get(state.key)
        if found is None:
            found = self._seen[state.key] = list(self._recovered(at, state))
        for each in found:
            for broken in self._subject.check(each.view, each.moment_after(moment)):
                self._violated(at, state, each.recovery, broken)

    def _recovered(self, at: int, state: CrashState) -> Iterator[_Found[V]]:
        disk = state.disk()
        # Of the state alone: whether a neighbour has had it already must change nothing.
        random = Random(f"{self._seed} {state.key.hex()}")
        is_interrupted = random.random() < self._interrupted
        ledger = Ledger(lambda: disk.count)
        first = self._recover(at, state, "first", disk, ledger)
        if first is None:
            return
        yield first
        if is_interrupted:
            yield from self._cut_off(at, state, disk, ledger, random)
        again = disk.killed()
        later = Ledger(lambda: again.count)
        second = self._recover(at, state, "second", again, later)
        if second is not None:
            yield _Found("second", second.view, (first.notes[0], later.all()), (True, False))

    def _cut_off(
        self, at: int, state: CrashState, disk: SimDisk, ledger: Ledger, random: Random
    ) -> Iterator[_Found[V]]:
        """The power goes again while the first recovery is at work."""
        done = random.randint(0, disk.count)  # its disk began with number 0
        for inner in disk.crash_states(done, 1, random):
            again = inner.disk()
            later = Ledger(lambda: again.count)  # noqa: B023 - used up before the next one
            found = self._recover(at, state, "interrupted", again, later)
            if found is not None:
                notes = ledger.at(done), later.all()
                yield _Found("interrupted", found.view, notes, (True, True))

    def _recover(
        self, at: int, state: CrashState, recovery: str, disk: SimDisk, ledger: Ledger
    ) -> _Found[V] | None:
        self._recoveries += 1
        try:
            view = self._subject.recover(disk, ledger)
        except Exception as error:  # noqa: BLE001 - that it raises is what is to be told
            *_, last = traceback.extract_tb(error.__traceback__)
            where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
            self._violated(at, state, recovery, f"it failed at {where}: {error!r}")
            return None
        return _Found(recovery, view, (ledger.all(),), (True,))

    def _violated(self, at: int, state: CrashState, recovery: str, broken: str) -> None:
        trace, position = self._recorded.trace, at - self._recorded.first
        operation = str(trace[position]) if position < len(trace) else "nothing: all was done"
        self._violations.append(
            Violation(self._subject.name, at, operation, tuple(state.story), recovery, broken)
        )
