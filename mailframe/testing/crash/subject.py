"""What is explored, and what came of it: values only.

A ``Subject`` is a piece of work on a disk together with what its owner does after a power cut
and what must be true then. An ``Exploration`` is what the explorer found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from mailframe.testing.crash.ledger import Ledger, Moment
from mailframe.testing.disk import SimDisk

V = TypeVar("V")


@dataclass(frozen=True)
class Subject(Generic[V]):
    """``before()`` gives a disk of its own to start on; all that is on it is durable.

    ``work`` does the work once, noting in the ledger what it asks for and what it is promised.
    ``recover`` does what a start does with whatever is on the disk, lets go of every file, and
    returns what can be seen then; it must raise nothing, and is also run on what it left. What
    it does to others it notes in a ledger of its own. ``check`` yields a sentence for each
    promise, of the work and of the recoveries, that what was seen breaks."""

    name: str
    """For what is told of it."""
    before: Callable[[], SimDisk]
    work: Callable[[SimDisk, Ledger], None]
    recover: Callable[[SimDisk, Ledger], V]
    check: Callable[[V, Moment], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that did not hold."""

    subject: str
    """Its name."""
    at: int
    """The power was cut before the operation of this number."""
    operation: str
    """That operation in words."""
    story: tuple[str, ...]
    """What of the unsynced operations survived."""
    recovery: str
    """Which recovery it was seen after: first, second, interrupted."""
    broken: str
    """What ``Subject.check`` said of it."""

    def __str__(self) -> str:
        survived = "; ".join(self.story) or "nothing unsynced"
        return (
            f"{self.subject}: power cut before {self.operation}; survived: {survived}; "
            f"after the {self.recovery} recovery: {self.broken}"
        )


@dataclass(frozen=True)
class Exploration:
    """``states`` counts distinct ones, ``recoveries`` how often the owner recovered."""

    subject: str
    """Its name."""
    operations: int
    """Of the work."""
    states: int
    recoveries: int
    violations: Sequence[Violation] = ()
    """In the order in which they were found."""
    seen: frozenset[Any] = field(default=frozenset(), repr=False)
    """Keys of the states."""

    def shortest(self) -> Violation | None:
        """The violation with the least to tell."""
        return min(self.violations, key=lambda found: (len(found.story), found.at), default=None)

    def merged(self, others: Iterable[Exploration]) -> Exploration:
        """With what other processes found on the same work."""
        together = self
        for other in others:
            seen = together.seen | other.seen
            together = replace(
                together,
                seen=seen,
                states=len(seen),
                recoveries=together.recoveries + other.recoveries,
                violations=(*together.violations, *other.violations),
            )
        return together

    def require(self) -> None:
        """Raises AssertionError with the shortest story where a promise was broken."""
        if (found := self.shortest()) is not None:
            raise AssertionError(f"{found}\n({len(self.violations)} of this subject)")
