"""Which of the pending changes a power cut lets happen: the order of trying.

A choice maps the numbers of those that happened to their fate: whole, or for a write which of
its sectors reached the disk, and whether the file has its new length without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import NamedTuple

from mailframe.testing.disk.content import Content
from mailframe.testing.disk.ops import Op

SECTOR = 512
_PATIENCE = 200  # choices beyond ``limit`` that may turn out to be states known already


class Fate(NamedTuple):
    """``sectors`` is a set of bits, one for each sector that the write touches."""

    sectors: int
    extends: bool

    def __str__(self) -> str:
        if self == WHOLE:
            return "done"
        if self == HOLLOW:
            return "only the length"
        survived = [str(n) for n in range(self.sectors.bit_length()) if self.sectors >> n & 1]
        return f"torn, sectors {','.join(survived)}{'' if self.extends else ', no more length'}"

    def put(self, op: Op, content: Content) -> None:
        """The write as far as it went."""
        end = op.offset + len(op.data)
        if self.extends and end > content.size:
            content.truncate(end)
        first = op.offset // SECTOR
        for sector in range(self.sectors.bit_length()):
            if not self.sectors >> sector & 1:
                continue
            start = max(op.offset, (first + sector) * SECTOR)
            stop = min(end, (first + sector + 1) * SECTOR)
            content.write(start, op.data[start - op.offset : stop - op.offset])


WHOLE = Fate(-1, True)
HOLLOW = Fate(0, True)

Choice = dict[int, Fate]


@dataclass(frozen=True, slots=True)
class Unit:
    """A pending change; ``needs`` are the numbers of those without which it cannot be.
    ``grows``: the write makes the file longer."""

    op: Op
    needs: tuple[int, ...] = ()
    grows: bool = False

    @property
    def number(self) -> int:
        return self.op.number

    @property
    def sectors(self) -> int:
        """Of a write; 0 for other changes."""
        if not self.op.data:
            return 0
        end = self.op.offset + len(self.op.data)
        return (end - 1) // SECTOR - self.op.offset // SECTOR + 1


def candidates(units: Sequence[Unit], limit: int, random: Random) -> Iterator[Choice]:
    """Choices, some of them several times; somewhat more than ``limit``."""
    every = closed(units, {unit.number: WHOLE for unit in units})
    yield {}
    yield every
    if not units:
        return
    if 2 ** len(units) <= limit:
        for bits in range(1, 2 ** len(units) - 1):
            chosen = {u.number: WHOLE for n, u in enumerate(units) if bits >> n & 1}
            yield closed(units, chosen)
    ways = [way(units, every, random) for way in _WAYS]
    yield from islice(_in_turn(ways), limit + _PATIENCE)


def draw(units: Sequence[Unit], random: Random) -> Choice:
    """One, at random: few, many or half of the changes happened, some writes in part."""
    chance = random.choice((0.1, 0.5, 0.9, 1.0))
    harm = random.choice((0.0, 0.1, 0.5))
    chosen: Choice = {}
    for unit in units:
        if random.random() < chance:
            is_harmed = unit.sectors and random.random() < harm
            chosen[unit.number] = _harmed(unit, random) if is_harmed else WHOLE
    return closed(units, chosen)


def _prefixes(units: Sequence[Unit], every: Choice, random: Random) -> Iterator[Choice]:
    """The last ones are missing."""
    for length in range(len(units) - 1, 0, -1):
        yield closed(units, {unit.number: WHOLE for unit in units[:length]})


def _each_missing(units: Sequence[Unit], every: Choice, random: Random) -> Iterator[Choice]:
    for unit in reversed(units):
        yield closed(units, {n: fate for n, fate in every.items() if n != unit.number})


def _each_alone(units: Sequence[Unit], every: Choice, random: Random) -> Iterator[Choice]:
    """With what it needs."""
    by_number = {unit.number: unit for unit in units}
    for unit in reversed(units):
        chosen: Choice = {}
        waiting = [unit.number]
        while waiting:
            chosen[number := waiting.pop()] = WHOLE
            waiting.extend(by_number[number].needs)
        yield chosen


def _each_torn(units: Sequence[Unit], every: Choice, random: Random) -> Iterator[Choice]:
    """The rest is there; the rest before it is there."""
    for position, unit in reversed(list(enumerate(units))):
        if unit.sectors < 2:
            continue
        half = 1 << unit.sectors // 2
        past = 1 << unit.sectors
        for sectors in (half - 1, past - half, past - 2, random.randrange(1, past - 1)):
            fate = Fate(sectors, sectors >= half)
            yield {**every, unit.number: fate}
            before = {other.number: WHOLE for other in units[:position]}
            yield closed(units, {**before, unit.number: fate})


def _each_hollow(units: Sequence[Unit], every: Choice, random: Random) -> Iterator[Choice]:
    growing = [unit for unit in units if unit.grows]
    for unit in reversed(growing):
        yield {**every, unit.number: HOLLOW}
        same = {other.number for other in growing if other.op.inode == unit.op.inode}
        yield {n: HOLLOW if n in same else fate for n, fate in every.items()}


def _drawn(units: Sequence[Unit], every: Choice, random: Random) -> Iterator[Choice]:
    for _ in count():
        yield draw(units, random)


_Way = Callable[[Sequence[Unit], Choice, Random], Iterator[Choice]]
_WAYS: tuple[_Way, ...] = (
    _prefixes, _each_missing, _each_torn, _each_hollow, _each_alone, _drawn,
)  # fmt: skip


def _harmed(unit: Unit, random: Random) -> Fate:
    sectors = random.getrandbits(unit.sectors) if unit.sectors > 1 else 0
    if sectors == (1 << unit.sectors) - 1:
        sectors = 0
    if not sectors and not unit.grows:
        sectors = 1  # zero octets of a file that is long enough already change nothing
    return Fate(sectors, not sectors or random.random() < 0.5)


def closed(units: Sequence[Unit], chosen: Choice) -> Choice:
    """Without those that lack what they need."""
    kept: Choice = {}
    for unit in units:
        if unit.number in chosen and all(number in kept for number in unit.needs):
            kept[unit.number] = chosen[unit.number]
    return kept


def _in_turn(ways: list[Iterator[Choice]]) -> Iterator[Choice]:
    while ways:
        for way in list(ways):
            if (choice := next(way, None)) is None:
                ways.remove(way)
            else:
                yield choice
