"""What the explorer finds in each store, counted by crash state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from mailframe.testing.crash import Ledger, record
from tests.crash.comparison.stores import BACK, COMPARED, DOUBLE, LOST, PARTIAL, Seen

PER_OPERATION = 64
KINDS = (LOST, PARTIAL, DOUBLE, BACK)


@dataclass
class Figures:
    """Of one store. A case is a state at a moment: the same disk may break more promises later."""

    store: str
    operations: int = 0
    syncs: int = 0
    cases: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))


def figures(per_operation: int = PER_OPERATION) -> list[Figures]:
    found = []
    for subject in COMPARED:
        recorded = record(subject)
        one = Figures(subject.name, len(recorded.trace))
        one.syncs = sum(op.kind in ("sync", "sync_directory") for op in recorded.trace)
        seen: dict[bytes, Seen] = {}
        for at in recorded.points:
            moment = recorded.ledger.at(at)
            for state in recorded.states(at, per_operation, Random(f"comparison {at}")):
                if state.key not in seen:
                    seen[state.key] = subject.recover(state.disk(), Ledger(lambda: 0))
                one.cases += 1
                for broken in set(subject.check(seen[state.key], moment)):
                    one.counts[broken] += 1
        found.append(one)
    return found


def rows(found: Sequence[Figures]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| | operations | syncs | crash states | " + " | ".join(KINDS) + " |"
    yield "|---|" + "---:|" * (3 + len(KINDS))
    for one in found:
        counts = " | ".join(str(one.counts[kind]) for kind in KINDS)
        yield f"| {one.store} | {one.operations} | {one.syncs} | {one.cases} | {counts} |"
