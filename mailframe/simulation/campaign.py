"""Many seeds, on one processor or several, and what they come to."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from twisted.logger import globalLogBeginner

from mailframe.simulation.oracle import Violation
from mailframe.simulation.people import USERS
from mailframe.simulation.play import play
from mailframe.simulation.scenarios import draw
from mailframe.simulation.station import template

T = TypeVar("T")
R = TypeVar("R")

_TOGETHER = 4  # seeds that a process takes at once
# Worlds leave some megabytes behind each: a process is replaced after so many turns.
_TURNS = 12


@dataclass(frozen=True, slots=True)
class Played:
    """What is told of one seed, small enough to be passed between processes."""

    seed: int
    scenario: str
    digest: str
    violations: tuple[Violation, ...]
    counts: Counter[str]
    simulated: float


@dataclass(slots=True)
class Summary:
    seeds: int = 0
    last: int = 0
    """The seed that was played last."""
    counts: Counter[str] = field(default_factory=Counter)
    simulated: float = 0.0
    failed: list[Played] = field(default_factory=list)

    def add(self, played: Played) -> None:
        self.seeds += 1
        self.last = played.seed
        self.counts.update(played.counts)
        self.simulated += played.simulated
        if played.violations:
            self.failed.append(played)

    def line(self) -> str:
        """For people."""
        counts = self.counts
        found = ", ".join(f"{counts[kind]} {kind}" for kind in ("lost", "duplicated", "partial"))
        kinds = {violation.kind for played in self.failed for violation in played.violations}
        others = sorted(kinds - {"lost", "duplicated", "partial"})
        rest = "".join(f", {counts[kind]} {kind}" for kind in others)
        return (
            f"{self.seeds} seeds, {self.simulated / 3600:.0f} simulated hours:"
            f" {counts['messages']} messages, {counts['recipients']} recipients,"
            f" {counts['delivered']} delivered, {counts['bounced']} bounced,"
            f" {counts['promises'] + counts['deletions']} promises of mailboxes,"
            f" {counts['faults']} faults, {counts['crashes']} crashes;"
            f" {found}, {counts['remote duplicates']} remote duplicates of"
            f" {counts['remote']}{rest}"
        )


def _hear(unraisable: sys.UnraisableHookArgs) -> None:
    """Coroutines of machines that died may say that they did not end well: that they did not."""
    if "GeneratorExit" not in str(unraisable.exc_value):
        sys.__unraisablehook__(unraisable)


@functools.cache
def prepare() -> None:
    """Once in a process: what all seeds share is made, and never collected again."""
    sys.unraisablehook = _hear
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    for domain in USERS:
        template(domain)
    gc.collect()
    gc.freeze()


def play_seed(seed: int, scenario: str = "", mutation: str = "") -> Played:
    plan = draw(seed, scenario)
    outcome = play(plan, mutation)
    return Played(
        seed,
        plan.scenario,
        outcome.digest,
        tuple(outcome.violations),
        outcome.counts,
        outcome.simulated,
    )


def hunt(mutation: str, seeds: Sequence[int], scenario: str = "") -> tuple[str, Played | None]:
    """The first seed in which that planted bug is seen."""
    for seed in seeds:
        played = play_seed(seed, scenario, mutation)
        if played.violations:
            return mutation, played
    return mutation, None


def hunts(
    mutations: Sequence[str], seeds: Sequence[int], processes: int, scenario: str = ""
) -> Iterator[tuple[str, Played | None]]:
    """``hunt`` for each of them, in their order."""
    one = partial(hunt, seeds=seeds, scenario=scenario)
    yield from _spread(one, mutations, processes, 1)


def campaign(
    seeds: Iterable[int], processes: int, scenario: str = "", mutation: str = ""
) -> Iterator[Played]:
    """The seeds in their order, each as soon as it and those before it were played."""
    one = partial(play_seed, scenario=scenario, mutation=mutation)
    yield from _spread(one, seeds, processes, _TOGETHER)


def _spread(
    work: Callable[[T], R], items: Iterable[T], processes: int, together: int
) -> Iterator[R]:
    """The results in order."""
    if processes <= 1:
        prepare()
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, prepare, maxtasksperchild=_TURNS) as pool:
        yield from pool.imap(work, items, chunksize=together)
