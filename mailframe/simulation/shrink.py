"""From a failing plan to a small one: what can be left out without making it right is left out.

Delta debugging (Zeller) over the plan's pieces, within a number of plays. A smaller plan counts
as failing when it breaks the same kind of promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailframe.simulation.letters import Letter
from mailframe.simulation.plan import Plan
from mailframe.simulation.play import Outcome, play

MOST_PLAYS = 120


class Shrinking:
    """``outcome`` is the smallest failing play so far."""

    def __init__(self, failing: Outcome, mutation: str = "", plays: int = MOST_PLAYS) -> None:
        self.outcome = failing
        self._mutation = mutation
        self._left = plays
        self._kinds = {violation.kind for violation in failing.violations}

    def run(self) -> Outcome:
        self._leave_out()
        self._fewer_recipients()
        self._shorter()
        return self.outcome

    def _leave_out(self) -> None:
        """Halves, quarters ... then single pieces, until none can go."""
        size = max(1, len(self.outcome.plan.pieces()) // 2)
        while self._left > 0:
            gone = self._without_runs_of(size)
            if size == 1 and not gone:
                return
            size = max(1, size // 2)

    def _without_runs_of(self, size: int) -> bool:
        """Whether any run of so many pieces could be left out."""
        gone, start = False, 0
        while start < len(pieces := self.outcome.plan.pieces()):
            rest = [*pieces[:start], *pieces[start + size :]]
            if self._fails(self.outcome.plan.only(rest)):
                gone = True
            else:
                start += size
        return gone

    def _fewer_recipients(self) -> None:
        for number in [letter.number for letter in self.outcome.plan.letters]:
            for recipient in _letter(self.outcome.plan, number).recipients:
                letter = _letter(self.outcome.plan, number)
                rest = tuple(one for one in letter.recipients if one != recipient)
                if rest:
                    self._fails(_with(self.outcome.plan, replace(letter, recipients=rest)))

    def _shorter(self) -> None:
        """Small, plain letters."""
        for letter in self.outcome.plan.letters:
            for simpler in (
                replace(letter, size=50, flavour="plain"),
                replace(letter, size=min(letter.size, 50)),
            ):
                if simpler != letter and self._fails(_with(self.outcome.plan, simpler)):
                    break

    def _fails(self, plan: Plan) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        outcome = play(plan, self._mutation)
        if not self._kinds & {violation.kind for violation in outcome.violations}:
            return False
        self.outcome = outcome
        return True


def shrink(failing: Outcome, mutation: str = "", plays: int = MOST_PLAYS) -> Outcome:
    return Shrinking(failing, mutation, plays).run()


def _letter(plan: Plan, number: int) -> Letter:
    return next(letter for letter in plan.letters if letter.number == number)


def _with(plan: Plan, letter: Letter) -> Plan:
    letters: Sequence[Letter] = plan.letters
    return replace(
        plan,
        letters=tuple(letter if one.number == letter.number else one for one in letters),
    )
