"""The exploration sees it when a sync is forgotten, two operations change places, or a reply
goes out too early.

What is forgotten or exchanged is found in the recorded workloads, so a new sync is tried as soon
as it is there. What the exploration need not see stands in a table with its reason, and a line
of the table that is not needed any more fails too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from mailframe.queue.spool import Spool
from mailframe.testing.crash import Recorded, explore_recorded, record
from mailframe.testing.crash.explorer import in_processes
from mailframe.testing.crash.mutations import (
    SYNCS,
    Site,
    after,
    commute,
    exchanged,
    leaves_more,
    needs,
    site_of,
    sync_sites,
    without,
)
from mailframe.testing.disk import Op
from tests.crash.subjects import SERVER_SUBJECTS, SUBJECTS
from tests.share import plays_all

_PER_OPERATION = 8

Uses = list[tuple[Recorded[Any], list[int]]]


@functools.cache
def recorded() -> tuple[Recorded[Any], ...]:
    """The short ones first: a bug is found soonest there."""
    return tuple(sorted(map(record, SUBJECTS), key=lambda each: len(each.trace)))


# ---- syncs


@dataclass(frozen=True)
class Doubled:
    """Syncs of which one may be missing, but not all of them. ``why`` they are kept."""

    sites: tuple[tuple[str, str], ...]
    """Parts of ``str(site)``: kind, and something of the rest."""
    why: str

    def covers(self, site: Site) -> bool:
        return any(site.kind == kind and part in str(site) for kind, part in self.sites)


DOUBLED = (
    Doubled(
        (("sync_directory", "DatabaseFile._create"), ("sync_directory", "Spool._scan"),
         ("sync_directory", "SQLite queue")),
        "SQLite syncs the directory of a log that it makes, which is the same one; we do not "
        "lean on when it does",
    ),
    Doubled(
        (("sync_directory", "handle:_connect"), ("sync_directory", "SQLite bob"),
         ("sync_directory", "replace_file")),
        "the same for an account's index; and ``uidvalidity`` is written in its directory, too",
    ),
    Doubled(
        (("sync_directory", "SetWriter.make_directory"), ("sync_directory", "copy_database"),
         ("sync_directory", "SetWriter.finish")),
        "a backup's directories are synced as they are made, and once more when it is complete",
    ),
    Doubled(
        (("sync_directory", "BackupSets.begin"), ("sync_directory", "BackupSets.complete")),
        "what a backup is called meanwhile; its real name comes with a sync of its own",
    ),
)  # fmt: skip

UNPROMISED = {
    "Reserve.keep": "room that is held for a full disk: made again where it is missing",
}

SQLITES_OWN = {
    "-journal": "SQLite's, while a file that nobody has seen gets its log: lost, it is empty still",
    ".new1-wal": "SQLite's, while a file is made ready under another name: lost, it is made anew",
}


def sites() -> dict[Site, Uses]:
    found: dict[Site, Uses] = {}
    for each in recorded():
        for site, numbers in sync_sites(each).items():
            found.setdefault(site, []).append((each, numbers))
    return found


def is_seen(uses: Uses, left_out: Callable[[Op], bool]) -> bool:
    for each, numbers in uses:
        places = [after(each, number) for number in numbers]
        # At the next promise of each first, then right behind.
        points = dict.fromkeys(
            [*(place[0] for place in places if place), *(at for place in places for at in place)]
        )
        found = explore_recorded(
            without(each, left_out),
            per_operation=_PER_OPERATION,
            interrupted=0.0,
            points=list(points),
            stop_at_first=True,
        )
        if found.violations:
            return True
    return False


def is_at(*wanted: Site) -> Callable[[Op], bool]:
    return lambda op: op.kind in SYNCS and site_of(op) in wanted


def test_every_sync_is_needed() -> None:
    """By itself, or together with those that stand in for it; by default a third of them, without
    the question whether each line of the tables is needed."""
    every = 1 if plays_all() else 3
    everywhere = list(sites().items())[::every]

    def unseen(part: Sequence[tuple[Site, Uses]]) -> list[Site]:
        return [site for site, uses in part if not is_seen(uses, is_at(site))]

    missed = {
        site for part in in_processes(unseen, [everywhere[::2], everywhere[1::2]]) for site in part
    }
    doubled = {site for site in missed if any(each.covers(site) for each in DOUBLED)}
    own = {site for site in missed if any(site.file.endswith(end) for end in SQLITES_OWN)}
    free = {site for site in missed if any(part in site.code for part in UNPROMISED)}
    assert missed - doubled - own - free == set(), "nobody sees that these syncs are missing"
    if every > 1:
        return
    for part in UNPROMISED:
        assert any(part in site.code for site in free), f"{part} is seen now"
    for end in SQLITES_OWN:
        assert any(site.file.endswith(end) for site in own), f"{end} is seen now"
    for each in DOUBLED:
        together = [site for site in sites() if each.covers(site)]
        assert doubled & set(together), f"{each} is not needed any more"
        uses = [use for site in together for use in sites()[site]]
        assert is_seen(uses, is_at(*together)), f"nobody sees that all of {together} are missing"


# ---- replies


def test_a_reply_before_the_commit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Spool.store

    def hasty(spool: Spool, *args: Any, **kwargs: Any) -> Deferred[None]:
        commit(spool, *args, **kwargs)
        return succeed(None)

    monkeypatch.setattr(Spool, "store", hasty)
    hasty_server = record(SERVER_SUBJECTS[0])
    monkeypatch.undo()
    found = explore_recorded(
        hasty_server,
        per_operation=1,
        points=hasty_server.ledger.promises(),
        stop_at_first=True,
    )
    assert "is nowhere" in str(found.shortest())


# ---- order


@dataclass(frozen=True)
class Free:
    """Adjacent operations, one of them a sync, whose order nobody can see, and why."""

    holds: Callable[[Op, Op], bool]
    why: str


def _is_log(op: Op) -> bool:
    return op.kind == "write" and op.path.endswith("-wal")


FREE = (
    Free(
        lambda one, other: one.sqlite and other.sqlite,
        "SQLite's own: what it wrote to its log was synced before, by the commit",
    ),
    Free(
        lambda one, other: one.kind in SYNCS and _is_log(other),
        "the first octets of a transaction: without the frame that commits they are nothing",
    ),
    Free(
        lambda one, other: one.kind in SYNCS and other.kind in SYNCS,
        "two syncs before the same promise",
    ),
    Free(
        lambda one, other: one.kind in SYNCS and other.kind in ("create", "mkdir"),
        "a file that nobody looks for before it has its name, content or row",
    ),
    Free(
        lambda one, other: "set_modified" in (one.kind, other.kind),
        "the time of arrival is in the name; the file's is for other programs",
    ),
    Free(
        lambda one, other: any(each.covers(site_of(other)) for each in DOUBLED),
        "another sync stands in for this one: see there",
    ),
    Free(
        lambda one, other: ".partial/" in one.path and ".partial/" in (other.target or other.path),
        "a backup counts once it has its own name, and all of it was synced before",
    ),
    Free(
        lambda one, other: any(part in other.site for part in UNPROMISED),
        "nobody was promised it",
    ),
    Free(
        lambda one, other: (
            one.site.endswith("copying:_rename") and other.site.endswith("copying:_transfer")
        ),
        "the sync of the directory that it came from follows, and makes the whole rename durable",
    ),
    Free(
        lambda one, other: (
            one.site.endswith("replace_file") and other.site.endswith("Writing.publish")
        ),
        "a keyword's letter is in the name: it is durable no sooner than its file",
    ),
)


def pairs() -> dict[tuple[Site, Site], list[tuple[Recorded[Any], Op, Op]]]:
    found: dict[tuple[Site, Site], list[tuple[Recorded[Any], Op, Op]]] = {}
    for each in recorded():
        for one, other in zip(each.trace, each.trace[1:], strict=False):
            found.setdefault((site_of(one), site_of(other)), []).append((each, one, other))
    return found


def test_what_commutes_by_the_rule_commutes_in_the_model() -> None:
    compared = 0
    for uses in pairs().values():
        for each, one, other in uses[:3]:
            if commute(one, other):
                more = leaves_more(each, one.number)
                assert not more, f"{one} and {other} do not commute"
                compared += more is not None
    assert compared >= 10


def test_every_exchange_is_seen() -> None:
    """Of each two operations that are adjacent somewhere, where it matters; by default of an
    eighth of them."""
    every = 1 if plays_all() else 8
    asked = [
        uses
        for uses in pairs().values()
        if not all(commute(one, other) or needs(one, other) for _, one, other in uses)
    ][::every]

    def unseen(part: Sequence[Any]) -> list[tuple[Op, Op]]:
        return [pair for uses in part if (pair := _not_seen(uses)) is not None]

    missed = [pair for part in in_processes(unseen, [asked[::2], asked[1::2]]) for pair in part]
    used, without_reason = set(), []
    for one, other in missed:
        reasons = [number for number, free in enumerate(FREE) if free.holds(one, other)]
        used.update(reasons[:1])
        if not reasons:
            without_reason.append(f"{one} [{one.site}] and {other} [{other.site}]")
    assert not without_reason, "not seen:\n" + "\n".join(without_reason)
    if every == 1:
        assert used == set(range(len(FREE))), "some reason is not needed any more"


def _not_seen(uses: list[tuple[Recorded[Any], Op, Op]]) -> tuple[Op, Op] | None:
    for each, one, _ in _some(uses):
        found = explore_recorded(
            exchanged(each, one.number),
            per_operation=_PER_OPERATION,
            interrupted=0.0,
            points=[one.number + 1, *after(each, one.number, operations=3, promises=1)],
            stop_at_first=True,
        )
        if found.violations:
            return None
    return uses[0][1:]


def _some(uses: list[Any]) -> Iterator[Any]:
    tried = 0
    for each, one, other in uses:
        if not commute(one, other) and not needs(one, other):
            yield each, one, other
            tried += 1
            if tried == 2:
                return
