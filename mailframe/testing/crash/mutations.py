"""The same work with one thing wrong: a sync that is forgotten, two operations exchanged.

An exploration that finds nothing may mean that nothing is wrong, or that it sees nothing. So the
recorded operations are told anew with a bug in them, which needs no second run of the work, and
an exploration of that must find something.

Two adjacent operations commute where a power cut between them can leave nothing else, in
whatever order they are. ``commute`` says when by a rule; ``leaves_more`` builds the states and
looks, so that a test can hold the rule against the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple, TypeVar

from mailframe.testing.crash.explorer import Recorded
from mailframe.testing.disk import CrashState, Op
from mailframe.testing.disk.choices import WHOLE, closed
from mailframe.testing.disk.ops import DONE, SKIPPED
from mailframe.testing.disk.states import History, crash_states, pending_units

V = TypeVar("V")

SYNCS = ("sync", "sync_directory")
"""Kinds of operations that make others durable."""


class Site(NamedTuple):
    """Code that asks for an operation; of SQLite, which of its files it is about."""

    kind: str
    """As of ``Op``."""
    code: str
    """``module:function``, or ``SQLite``."""
    file: str
    """Of SQLite: the name of its file; empty otherwise."""

    def __str__(self) -> str:
        return f"{self.kind} by {self.code} {self.file}".rstrip()


def site_of(op: Op) -> Site:
    """Who asked for that operation."""
    if not op.sqlite:
        return Site(op.kind, op.site, "")
    name = op.path.rpartition("/")[2]
    return Site(op.kind, "SQLite", name)


def sync_sites(recorded: Recorded[V]) -> dict[Site, list[int]]:
    """Who syncs, and the numbers of those operations."""
    found: dict[Site, list[int]] = {}
    for op in recorded.trace:
        if op.kind in SYNCS and op.outcome == DONE:
            found.setdefault(site_of(op), []).append(op.number)
    return found


def without(recorded: Recorded[V], left_out: Callable[[Op], bool]) -> Recorded[V]:
    """Nobody did those operations; whoever asked for them was told that they were done."""
    trace = [replace(op, outcome=SKIPPED) if left_out(op) else op for op in recorded.trace]
    return _retold(recorded, trace)


def exchanged(recorded: Recorded[V], number: int) -> Recorded[V]:
    """The operation of that number and the next one in the other order."""
    trace = list(recorded.trace)
    position = number - recorded.first
    one, other = trace[position], trace[position + 1]
    trace[position] = replace(other, number=one.number)
    trace[position + 1] = replace(one, number=other.number)
    return _retold(recorded, trace)


def needs(one: Op, other: Op) -> bool:
    """Whether the second cannot be asked for before the first is done: its file, its directory
    or one of its names comes from there."""
    is_made = one.kind in ("create", "mkdir")
    if is_made and one.inode in (other.inode, *(entry[0] for entry in other.entries)):
        return True
    names = {(directory, name) for directory, name, _ in one.entries}
    return any((directory, name) in names for directory, name, _ in other.entries)


def commute(one: Op, other: Op) -> bool:
    """Of two changes the model lets each happen without the other already, unless the second
    needs the first or both say something of the same octets; and a change may be lost whatever
    is synced behind it, but for the sync that covers it. So a power cut between them leaves
    nothing new."""
    if one.kind in SYNCS or needs(one, other):
        return False
    return not covers(one, other) if other.kind in SYNCS else not _meet(one, other)


def covers(change: Op, sync: Op) -> bool:
    """Whether the sync would make the change durable."""
    if sync.kind == "sync":
        return not change.entries and change.inode == sync.inode
    return any(directory == sync.inode for directory, _, _ in change.entries)


def _meet(one: Op, other: Op) -> bool:
    """Whether both are about the same part of a file's content."""
    if one.entries or other.entries or one.inode != other.inode:
        return False
    if not (one.data and other.data):
        return True  # a length, or a time
    return one.offset < other.offset + len(other.data) and other.offset < one.offset + len(one.data)


def leaves_more(recorded: Recorded[V], number: int, most: int = 9) -> bool | None:
    """Whether the operation of that number and the next, exchanged, may leave a state when the
    power is cut between them that the right order cannot leave before, between or after them.
    Torn writes are left out of it: they are no matter of order. None where more than ``most``
    changes pend."""
    right = [subsets(recorded, at, most) for at in (number, number + 1, number + 2)]
    between = subsets(exchanged(recorded, number), number + 1, most)
    if between is None or None in right:
        return None
    return bool(between.difference(*(keys for keys in right if keys is not None)))


def subsets(recorded: Recorded[V], at: int, most: int) -> set[bytes] | None:
    """Keys of the states of all subsets of what pends before that operation, each change whole
    or lost; None where there are more than ``most``."""
    volume = recorded.disk.volume
    base = History(volume.origin, recorded.trace).before(at - recorded.first)
    units = pending_units(base)
    if len(units) > most:
        return None
    keys = set()
    for bits in range(2 ** len(units)):
        chosen = {unit.number: WHOLE for n, unit in enumerate(units) if bits >> n & 1}
        keys.add(CrashState(base, units, closed(units, chosen), volume).key)
    return keys


def after(recorded: Recorded[V], number: int, operations: int = 10, promises: int = 2) -> list[int]:
    """Where a bug at that operation would show: at the next promises, when all is done, and
    right behind it."""
    end = recorded.points[-1]
    told = [at for at in recorded.ledger.promises() if at > number][:promises]
    behind = range(number + 1, min(number + operations, end) + 1)
    return list(dict.fromkeys([*told, end, *behind]))


def _retold(recorded: Recorded[V], trace: Sequence[Op]) -> Recorded[V]:
    volume = recorded.disk.volume
    history = History(volume.origin, trace)

    def states(at: int, limit: int, random: Random) -> Iterator[CrashState]:
        return crash_states(history.before(at - recorded.first), limit, random, volume)

    return replace(recorded, trace=trace, states=states)
