"""Playing one plan: a world, its oracle, and what is left of them afterwards."""

from __future__ import annotations

import contextlib
from collections import Counter
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


def play(plan: Plan, mutation: str = "") -> Outcome:
    """Play it with the bug of that name planted, if any."""
    with planted(mutation) if mutation else contextlib.nullcontext():
        world = World(plan)
        try:
            world.play()
            verdict = Oracle(world).judge()
            digest = world.digest()
        finally:
            world.close()
    return Outcome(
        plan,
        digest,
        verdict.violations,
        verdict.counts,
        world.record.steps,
        world.record.now(),
    )
