"""Keeping the interpreter's search for garbage from holding up everybody.

CPython looks for cycles of dead objects now and then, and every time that it has a quarter more
of old ones it looks at all there are. With two thousand connections, open folders and caches that
is half a million, and a fifth of a second in which no thread runs. Most of them live as long as
the process, or are freed without any search because they are in no cycle.

So what has survived one full search is set aside (``gc.freeze``), and the next looks only at what
is new since: some milliseconds. What dies in a cycle after it was set aside is not found by that.
Therefore all is looked at again once twice as much has been set aside as there was the last time,
and stayed so for minutes: garbage is bounded by what lives, and a long search is as rare as a
doubling of the memory. One client with a huge mailbox, or many who soon go, are none.

This is for the process, not for a server in it: ``spare_what_stays`` at the end of the start.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

_LEAST = 100_000
"""Objects, some ten megabytes: growth by less is no reason for a long search."""
_LASTING = 300.0
"""Seconds. Sessions that come and go are freed without any search."""


_PYTHONS = gc.get_threshold()
_YOUNG = (10_000, 5, 5)
"""How many more objects there have to be before the youngest are searched, how many such searches
before the next older ones are, and so on. With CPython's 700, a few dozen messages that are under
way are searched some times each; nearly all of what they are made of dies without it."""


class _Spared:
    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._grown_at: float | None = None
        """When it was seen that there may be too much."""
        self._after_all = 0
        """Objects that were left after the last search through all of them."""
        self._at_most = 0
        """Objects set aside; fewer, when some were freed meanwhile."""
        self._is_through_all = True

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        """As one of ``gc.callbacks``; whatever thread has let it run."""
        if phase != "stop" or info["generation"] != 2:
            return
        # Counting what is new is cheap: the search has just been there. Counting all that was set
        # aside takes up to 20 ms, and is put off until it may be too much.
        self._at_most += len(gc.get_objects(generation=2))
        gc.freeze()
        if self._is_through_all:
            self._after_all, self._is_through_all = self._at_most, False
        elif self._is_too_much() and self._has_lasted():
            self._at_most = gc.get_freeze_count()
            if self._is_too_much():
                gc.unfreeze()
                self._is_through_all = True
                self._at_most = 0

    def _is_too_much(self) -> bool:
        return self._at_most > 2 * self._after_all + _LEAST

    def _has_lasted(self) -> bool:
        now = self._seconds()
        if self._grown_at is None:
            self._grown_at = now
        if now - self._grown_at < _LASTING:
            return False
        self._grown_at = None
        return True


def spare_what_stays(seconds: Callable[[], float] = time.monotonic) -> None:
    """From now on, in this process. Once is enough, more does no harm."""
    if not any(isinstance(each, _Spared) for each in gc.callbacks):
        gc.callbacks.append(_Spared(seconds))
    gc.set_threshold(*_YOUNG)
    gc.collect()
    _give_back()


def _give_back() -> None:
    """To the system what the start has freed, a megabyte that glibc would keep. Other C libraries
    have no such function."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def look_at_all() -> None:
    """Undo it: for tests."""
    gc.set_threshold(*_PYTHONS)
    gc.callbacks[:] = [each for each in gc.callbacks if not isinstance(each, _Spared)]
    gc.unfreeze()
