"""What was promised to whom, and how many disk operations had been done by then.

A workload calls ``begun`` before it asks for something and ``told`` when it heard that it is
done. Facts are values that the workload and its check understand; this file only knows when
they were noted. A power cut before operation ``n`` finds every promise that was made when no
more than ``n`` operations had been done.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable
from dataclasses import dataclass

Fact = Hashable
"""Anything that workload and check understand."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The ledger as it stood at an instant."""

    begun: tuple[Fact, ...] = ()
    """What had been asked for, in order, whether or not it was done."""
    told: tuple[Fact, ...] = ()
    """What had been promised, in order."""
    lives: tuple[tuple[Fact, ...], ...] = ()
    """``begun`` once more, by life of the program: a power cut ends one."""

    def then(self, later: Moment, *, is_another_life: bool) -> Moment:
        """With what a recovery noted."""
        lives = [*self.lives, later.begun]
        if not is_another_life:
            lives[-2:] = [(*self.lives[-1], *later.begun)]
        return Moment(self.begun + later.begun, self.told + later.told, tuple(lives))


class Ledger:
    """``operations`` tells how many have been done."""

    def __init__(self, operations: Callable[[], int]) -> None:
        self._operations = operations
        self._begun: tuple[list[int], list[Fact]] = ([], [])
        self._told: tuple[list[int], list[Fact]] = ([], [])

    def begun(self, *facts: Fact) -> None:
        """Somebody asks for this from now on."""
        self._note(self._begun, facts)

    def told(self, *facts: Fact) -> None:
        """Somebody was promised this just now."""
        self._note(self._told, facts)

    def at(self, operation: int) -> Moment:
        """Before that operation, after all the others that precede it."""
        begun = _until(self._begun, operation)
        return Moment(begun, _until(self._told, operation), (begun,))

    def all(self) -> Moment:
        """As it stands now."""
        begun = tuple(self._begun[1])
        return Moment(begun, tuple(self._told[1]), (begun,))

    def promises(self) -> list[int]:
        """Numbers of operations before which something was promised, ascending."""
        return sorted(set(self._told[0]))

    def _note(self, notes: tuple[list[int], list[Fact]], facts: tuple[Fact, ...]) -> None:
        done = self._operations()
        notes[0].extend([done] * len(facts))
        notes[1].extend(facts)


def _until(notes: tuple[list[int], list[Fact]], operation: int) -> tuple[Fact, ...]:
    return tuple(notes[1][: bisect_right(notes[0], operation)])
