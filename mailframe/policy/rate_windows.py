"""Sliding windows: how much of one kind each of many has had within the last N seconds.

A window has ``STEPS`` steps. What a step counted leaves the window as a whole when the step
does, so a sum may forget what is older than the window less one step, and never holds what is
older than the window. Where the clock steps back, what was counted in its future counts as of
now: nothing is forgiven, and nothing is held against anybody for longer than one window.

Memory is bounded: the ``most`` that were counted last, and ``most_steps`` numbers in all.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

STEPS = 60
_LONGEST_NAME = 320  # characters; no address is longer
_MOST_GONE = 100_000

Count = tuple[int, int]
"""Number of the step, how much it counted."""


class _Window:
    __slots__ = ("counts", "total")

    def __init__(self, counts: Iterable[Count] = ()) -> None:
        self.counts: list[Count] = list(counts)  # at most STEPS; a deque has room for more
        self.total = sum(count for _, count in self.counts)


class Windows:
    """``seconds`` is the length of each window; times in seconds since the epoch."""

    def __init__(self, seconds: float, *, most: int = 50_000, most_steps: int = 200_000) -> None:
        self.seconds = seconds
        self._step_seconds = seconds / STEPS
        self._most = most
        self._most_steps = most_steps
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._steps = 0
        self._changed: dict[str, None] = {}
        self.told: Callable[[str, float, int], None] = lambda who, now, count: None
        """Of what was counted here, so that others count it too; 0: it was cleared."""

    def total(self, who: str, now: float) -> int:
        name = bounded(who)
        window = self._windows.get(name)
        if window is None:
            return 0
        self._slide(name, window, self._step(now))
        return window.total

    def add(self, who: str, now: float, count: int = 1) -> None:
        """``count`` below zero takes back what was added a moment ago."""
        name = bounded(who)
        if count:
            self.hear(name, now, count)
            self._changed[name] = None
            self.told(name, now, count)

    def hear(self, name: str, now: float, count: int) -> None:
        """What was told, by another worker: ``take_changed`` is its affair."""
        if not count:
            self._drop(name)
            return
        step = self._step(now)
        window = self._windows.get(name)
        if window is None:
            if count <= 0:
                return
            window = self._windows[name] = _Window()
        self._slide(name, window, step)
        if count < 0:
            self._take_back(window, -count)
        elif window.counts and window.counts[-1][0] == step:
            window.counts[-1] = (step, window.counts[-1][1] + count)
            window.total += count
        else:
            window.counts.append((step, count))
            window.total += count
            self._steps += 1
        self._windows.move_to_end(name)
        self._make_room(step)

    def clear(self, who: str) -> None:
        name = bounded(who)
        self._drop(name)
        self.told(name, 0.0, 0)

    def _drop(self, name: str) -> None:
        if name in self._windows:
            self._forget(name)

    def _take_back(self, window: _Window, count: int) -> None:
        while count and window.counts:
            step, counted = window.counts.pop()
            taken = min(count, counted)
            count -= taken
            window.total -= taken
            if counted > taken:
                window.counts.append((step, counted - taken))
            else:
                self._steps -= 1

    def _slide(self, name: str, window: _Window, step: int) -> None:
        counts = window.counts
        while counts and counts[0][0] <= step - STEPS:
            window.total -= counts.pop(0)[1]
            self._steps -= 1
        if counts and counts[-1][0] > step:
            future = 0
            while counts and counts[-1][0] >= step:
                future += counts.pop()[1]
                self._steps -= 1
            counts.append((step, future))
            self._steps += 1
            self._changed[name] = None

    def _make_room(self, step: int) -> None:
        """Forget those who were not counted for longest: for a window, or because of too many."""
        while len(self._windows) > 1:
            name, window = next(iter(self._windows.items()))
            too_many = len(self._windows) > self._most or self._steps > self._most_steps
            if window.counts and window.counts[-1][0] > step - STEPS and not too_many:
                return
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._steps -= len(self._windows.pop(name).counts)
        self._changed[name] = None
        if len(self._changed) > self._most + _MOST_GONE:
            del self._changed[next(iter(self._changed))]

    def _step(self, now: float) -> int:
        return int(now // self._step_seconds)

    def __len__(self) -> int:
        return len(self._windows)

    # what is kept on disk

    def take_changed(self, most: int) -> list[tuple[str, list[Count]]]:
        """Whose numbers have changed since they were taken last, at most so many, and the
        numbers; none for who was forgotten."""
        names = [name for name, _ in zip(self._changed, range(most), strict=False)]
        for name in names:
            del self._changed[name]
        return [(name, list(self._counts(name))) for name in names]

    def put_back(self, names: Iterable[str]) -> None:
        """They could not be kept; to be taken again."""
        for name in names:
            self._changed[name] = None

    @property
    def has_changed(self) -> bool:
        return bool(self._changed)

    def load(self, who: str, counts: Iterable[Count], now: float) -> bool:
        """What was kept; in the order of their last count. False for what is over."""
        if who in self._windows:
            return True  # counted since the start
        step = self._step(now)
        window = _Window(sorted(counts))
        self._windows[who] = window
        self._steps += len(window.counts)
        self._slide(who, window, step)
        if not window.counts:
            del self._windows[who]
            return False
        self._make_room(step)
        return True

    def _counts(self, name: str) -> Iterator[Count]:
        window = self._windows.get(name)
        return iter(window.counts if window is not None else ())


def bounded(who: str) -> str:
    """A name that is never long, and that a database takes; different for different names."""
    octets = who.encode("utf-8", "backslashreplace")
    if len(who) <= _LONGEST_NAME:
        return octets.decode()
    return f"{octets[:64].decode(errors='replace')} {hashlib.sha256(octets).hexdigest()}"
