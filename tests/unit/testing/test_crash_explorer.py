"""The explorer on a small store of somebody else's: the example of docs/extending.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mailframe.testing.crash import Ledger, Moment, Subject, explore, record
from mailframe.testing.crash.explorer import explore_recorded, share
from mailframe.testing.crash.mutations import (
    commute,
    exchanged,
    leaves_more,
    needs,
    sync_sites,
    without,
)
from mailframe.testing.disk import SimDisk

DOCUMENT = Path(__file__).parents[3] / "docs" / "extending.md"


def example() -> dict[str, Any]:
    """What the document's example defines."""
    text = DOCUMENT.read_text()
    [code] = re.findall(r"```python\n(from mailframe\.testing\.crash.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    return names


def subject(*, sync: bool = True, name_first: bool = False) -> Subject[dict[str, bytes]]:
    """Two notes, written well or badly."""

    def before() -> SimDisk:
        disk = SimDisk()
        disk.make_directories("/notes")
        return disk.snapshot()

    def work(disk: SimDisk, ledger: Ledger) -> None:
        for number in range(2):
            ledger.begun(number)
            file = disk.create(f"/notes/{number}.tmp")
            file.write(b"x" * 2_000)
            if name_first:
                disk.rename(f"/notes/{number}.tmp", f"/notes/{number}")
            if sync:
                file.sync()
            file.close()
            if not name_first:
                disk.rename(f"/notes/{number}.tmp", f"/notes/{number}")
            disk.sync_directory("/notes")
            ledger.told(number)

    def recover(disk: SimDisk, ledger: Ledger) -> dict[str, bytes]:
        for name in disk.names("/notes"):
            if name.endswith(".tmp"):
                disk.unlink(f"/notes/{name}")
        return {name: disk.read(f"/notes/{name}") for name in disk.names("/notes")}

    def check(found: dict[str, bytes], moment: Moment) -> list[str]:
        lost = [f"{fact} is lost" for fact in moment.told if str(fact) not in found]
        return lost + [f"{name} is cut off" for name, data in found.items() if len(data) != 2_000]

    return Subject("notes", before, work, recover, check)


def test_what_is_right_is_found_right() -> None:
    found = explore(subject(), per_operation=30)
    found.require()
    assert found.states >= 25
    assert found.recoveries >= 2 * found.states


@pytest.mark.parametrize("how", [{"sync": False}, {"name_first": True}])
def test_what_is_wrong_is_found(how: dict[str, bool]) -> None:
    found = explore(subject(**how), per_operation=30)
    assert found.violations
    with pytest.raises(AssertionError, match="power cut before"):
        found.require()


def test_the_same_in_two_processes() -> None:
    alone = explore(subject(sync=False), per_operation=10)
    shared = explore(subject(sync=False), per_operation=10, processes=2)
    assert shared.seen == alone.seen
    assert len(shared.violations) == len(alone.violations)
    assert str(shared.shortest()) == str(alone.shortest())


def test_neighbours_stay_together() -> None:
    points = range(10)
    assert [list(share(points, number, 3)) for number in range(3)] == [
        [0, 1, 2], [3, 4, 5], [6, 7, 8, 9]
    ]  # fmt: skip


def test_each_sync_that_is_left_out_is_seen() -> None:
    recorded = record(subject())
    sites = sync_sites(recorded)
    assert {site.kind for site in sites} == {"sync", "sync_directory"}
    for numbers in sites.values():
        left_out = set(numbers)
        planted = without(recorded, lambda op: op.number in left_out)  # noqa: B023
        assert explore_recorded(planted, per_operation=30).violations


def test_a_rename_before_the_sync_is_seen() -> None:
    recorded = record(subject())
    [first, *_] = [op.number for op in recorded.trace if op.kind == "sync"]
    assert explore_recorded(exchanged(recorded, first), per_operation=30).violations
    assert leaves_more(recorded, first)


def test_what_commutes() -> None:
    trace = record(subject()).trace
    kinds = [op.kind for op in trace[:5]]
    assert kinds == ["create", "write", "sync", "rename", "sync_directory"]
    create, write, sync, rename, sync_directory = trace[:5]
    assert needs(create, write)
    assert not commute(write, sync)
    assert commute(write, sync_directory)
    assert commute(write, rename)
    assert not commute(rename, sync_directory)


def test_a_recovery_that_raises_is_a_finding() -> None:
    def raises(disk: SimDisk, ledger: Ledger) -> dict[str, bytes]:
        raise OSError("no")

    one = subject()
    broken = Subject(one.name, one.before, one.work, raises, one.check)
    found = explore(broken, per_operation=2).shortest()
    assert found is not None
    assert "it failed at" in found.broken


def test_what_a_recovery_does_to_others_counts() -> None:
    """A letter that is handed on by the first recovery is not lost for the second."""

    def work(disk: SimDisk, ledger: Ledger) -> None:
        disk.make_directories("/outbox")
        ledger.told("sent")

    def recover(disk: SimDisk, ledger: Ledger) -> list[str]:
        if disk.is_directory("/outbox"):
            ledger.begun("handed on")
            disk.remove_directory("/outbox")
            disk.sync_directory("/")
        return []

    def check(found: list[str], moment: Moment) -> list[str]:
        times = sum(life.count("handed on") for life in moment.lives)
        return ["nobody got it"] if "sent" in moment.told and not times else []

    explore(Subject("outbox", SimDisk, work, recover, check), interrupted=1.0).require()


def test_the_example_of_the_document() -> None:
    names = example()
    names["test_no_crash_loses_a_note"]()
