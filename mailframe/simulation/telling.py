"""The story of a failing seed, for people: what was planned, what happened, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from mailframe.simulation.play import Outcome
from mailframe.simulation.record import Step

_WIDTH = 160
_MOST_STEPS = 80


def tell(outcome: Outcome, command: str) -> Iterator[str]:
    """``command`` plays the seed again, as it was drawn."""
    plan = outcome.plan
    yield f"seed {plan.seed}, scenario {plan.scenario}"
    yield ""
    yield "What is needed for it:"
    yield from (f"    {line}" for line in plan.lines())
    yield ""
    yield "What happened (seconds, who, what):"
    steps = _relevant(outcome)
    if len(steps) > _MOST_STEPS:
        yield f"    ... {len(steps) - _MOST_STEPS} steps before"
    for step in steps[-_MOST_STEPS:]:
        letter = f"letter {step.letter}: " if step.letter else ""
        yield f"    {step.at:10.3f}  {step.who:12} {letter}{step.text}"[:_WIDTH]
    yield ""
    yield "What is wrong:"
    yield from (f"    {violation}" for violation in outcome.violations)
    yield ""
    yield f"Again: {command}"


def _relevant(outcome: Outcome) -> list[Step]:
    """Of the letters that something is wrong with, and of nobody's; all where none is named."""
    letters = {violation.letter for violation in outcome.violations} - {0}
    if not letters:
        return outcome.steps
    return [step for step in outcome.steps if not step.letter or step.letter in letters]
