"""All workloads explored, until there are so many states: what the test and the command run.

Each workload gets a share of the states by the number of its operations; processes share the
operations of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mailframe.testing.crash import Exploration, Subject, explore_recorded, record
from mailframe.testing.crash.explorer import in_processes, share
from tests.crash.subjects import SERVER_SUBJECTS, SUBJECTS

_INTERRUPTED = 0.04
_YIELD = 0.48
"""Distinct states by states asked for: at many operations there are few."""


def campaign(
    states: int, seed: int, *, processes: int = 2, only: str = ""
) -> Iterator[Exploration]:
    """One workload after the other; about so many states in all. Those of the whole server
    take long: one in two hundred. ``only``: workloads whose names have that in them."""
    yield from _explored(SUBJECTS, states, seed, processes, only)
    yield from _explored(SERVER_SUBJECTS, states // 200, seed, processes, only)


def _explored(
    subjects: Sequence[Subject[Any]], states: int, seed: int, processes: int, only: str
) -> Iterator[Exploration]:
    recorded = [record(subject) for subject in subjects if only in subject.name]
    points = sum(len(each.points) for each in recorded) or 1
    per_operation = max(1, round(states / points / _YIELD))
    # Where there are more operations than states, some are left out.
    step = max(1, round(points / states))

    def part(number: int) -> list[Exploration]:
        return [
            explore_recorded(
                each,
                seed=seed,
                per_operation=per_operation,
                interrupted=_INTERRUPTED,
                points=share(each.points[seed % step :: step], number, processes),
            )
            for each in recorded
        ]

    first, *others = in_processes(part, range(processes))
    for number, exploration in enumerate(first):
        yield exploration.merged(other[number] for other in others)


def table(found: Sequence[Exploration]) -> Iterator[str]:
    """For people."""
    yield f"{'workload':<28}{'operations':>11}{'states':>9}{'recoveries':>12}{'findings':>10}"
    for each in found:
        yield (
            f"{each.subject:<28}{each.operations:>11}{each.states:>9}{each.recoveries:>12}"
            f"{len(each.violations):>10}"
        )
    sums = [
        sum(numbers)
        for numbers in zip(
            *((e.operations, e.states, e.recoveries, len(e.violations)) for e in found),
            strict=True,
        )
    ]
    yield f"{'in all':<28}{sums[0]:>11}{sums[1]:>9}{sums[2]:>12}{sums[3]:>10}"
