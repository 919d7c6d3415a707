"""Playing one plan: a world, its oracle, and what is left of them afterwards."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailframe.simulation.mutations import planted
from mailframe.simulation.oracle import Oracle, Violation
from mailframe.simulation.plan import Plan
from mailframe.simulation.record import Step
from mailframe.simulation.world import World


@dataclass(slots=True)
class Outcome:
    """``digest`` is the event hash: the same whenever this plan is played."""

    plan: Plan
    digest: str
    violations: list[Violation]
    counts: Counter[str]
    steps: list[Step] = field(default_factory=list)
    simulated: float = 0.0
    """Seconds."""


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What the dead have to say when their coroutines are thrown away is nobody's business."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        yield
    finally:
        sys.unraisablehook = hook


def play(plan: Plan, mutation: str = "") -> Outcome:
    """Play it with the bug of that name planted, if any."""
    with planted(mutation) if mutation else contextlib.nullcontext():
        world = World(plan)
        try:
            world.play()
            verdict = Oracle(world).judge()
            digest = world.digest()
        finally:
            with _unheard():
                world.close()
                gc.collect()
    return Outcome(
        plan,
        digest,
        verdict.violations,
        verdict.counts,
        world.record.steps,
        world.record.now(),
    )
