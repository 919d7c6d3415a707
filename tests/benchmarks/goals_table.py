"""Goals: what was measured, what it was to be, and whether it is."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for the figure, or for the ratio to the peer where there is one."""

    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: our figures, round by round, and the peer's of the same rounds."""

    name: str
    unit: str
    ours: Sequence[float]
    peer: str = ""
    theirs: Sequence[float] = ()
    goal: Goal | None = None
    """None: told only to be known."""

    def values(self) -> list[float]:
        """What the goal is about: the ratio of each round, or our figures."""
        if not self.theirs:
            return list(self.ours)
        pairs = zip(self.ours, self.theirs, strict=True)
        return [own / other if other else float("inf") for own, other in pairs]

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met(statistics.median(self.values()))

    def as_object(self) -> dict[str, Any]:
        return asdict(self) | {"values": self.values(), "met": self.met}


HEAD = (
    "| what | unit | peer | peer's | ours | ratio or figure: median (least-most) | goal | met |\n"
    "|---|---|---|---|---|---|---|---|"
)


def line(row: Row) -> str:
    theirs = _figure(statistics.median(row.theirs)) if row.theirs else ""
    cells = [row.name, row.unit, row.peer, theirs, _figure(statistics.median(row.ours))]
    cells += [_spread(row.values()), str(row.goal or "")]
    cells.append({None: "", True: "yes", False: "NO"}[row.met])
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float]) -> str:
    middle = _figure(statistics.median(values))
    return f"{middle} ({_figure(min(values))}-{_figure(max(values))})"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def in_turn(
    contenders: Sequence[T], rounds: int, measure: Callable[[T], dict[str, float]]
) -> list[dict[str, list[float]]]:
    """Measure all in every round, every second round backwards: for each contender its figures
    by name."""
    found: list[dict[str, list[float]]] = [{} for _ in contenders]
    for number in range(rounds):
        order = range(len(contenders))
        for place in order if number % 2 == 0 else reversed(order):
            for name, value in measure(contenders[place]).items():
                found[place].setdefault(name, []).append(value)
    return found


def all_met(rows: Iterable[Row]) -> bool:
    return all(row.met is not False for row in rows)


Rows = Iterator[Row]
