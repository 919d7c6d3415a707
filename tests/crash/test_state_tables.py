"""What power cuts leave is what the published tables name, and they name nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from mailframe.testing.crash import Recorded, record
from mailframe.testing.crash.explorer import in_processes
from mailframe.testing.disk import SimDisk
from tests.crash import ground
from tests.crash.letters import Letter
from tests.crash.rooms import ANN, Rooms
from tests.crash.subjects import SUBJECTS
from tests.crash.tables import BODIES, published, rows_of

_PER_OPERATION = 5
_EVERY = 2  # operations
DAMAGE_ONLY = {"S6"}
"""Rows that no power cut leads to, only a disk that loses what was synced."""


def _met(recorded: Sequence[Recorded[Any]]) -> set[str]:
    met: set[str] = set()
    for each in recorded:
        for at in each.points[::_EVERY]:
            for state in each.states(at, _PER_OPERATION, Random(f"tables {at}")):
                met |= rows_of(state.disk())
    return met


def test_every_state_is_in_the_tables_and_every_row_is_met() -> None:
    recorded = [record(subject) for subject in SUBJECTS if subject.name != "backup"]
    met = set().union(*in_processes(_met, [recorded[::2], recorded[1::2]]))
    assert {row for row in met if row.startswith("?")} == set()
    assert met - published() == set(), "states that no table names"
    assert published() - met == DAMAGE_ONLY, "rows that no workload leads to"


def test_a_body_that_was_lost() -> None:
    disk: SimDisk = ground.with_a_queue()
    rooms = Rooms(disk)
    rooms.accept(Letter("large", 20_000), ANN, sender=None)
    rooms.close()
    [name] = disk.names(BODIES)
    disk.unlink(f"{BODIES}/{name}")
    assert "S6" in rows_of(disk)
