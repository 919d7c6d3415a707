"""Noticing that the reactor stood still, and in what.

While one function runs on the reactor thread nobody else is served. ``StallWatch`` finds out
when that took longer than ``longest`` seconds: a timer that is due every ``_BEAT`` notes that it
ran, and a thread that sees it overdue looks at what the reactor thread is doing. What it saw is
logged, once a minute at most, with the thread's own CPU time: a stall that used little of it
waited, for the interpreter's lock, for the disk, or for a machine that was busy with other things.

It costs some forty short wake-ups a second, less than a thousandth of a processor. It finds what
lasts longer than ``longest`` plus one beat for certain, and shorter ones by chance; it changes
nothing about them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

_BEAT = 0.05  # seconds
_BETWEEN_LINES = 60.0  # seconds
_OURS = f"{os.sep}mailframe{os.sep}"


@dataclass(frozen=True, slots=True)
class Stall:
    seconds: float
    """How long a timer had to wait; the stall was up to a beat longer."""
    cpu: float
    """Seconds of the reactor thread's own work since the timer before."""
    place: str
    """``module:function`` of ours that was seen most often, with what it called."""


class StallWatch:
    """``start`` and ``stop`` on the reactor thread."""

    log = Logger()

    def __init__(
        self,
        clock: Any,
        longest: float = 0.1,
        *,
        observe: Callable[[float], None] = lambda late: None,
    ) -> None:
        """``observe`` is told of each beat how late it was, in seconds."""
        self._clock = clock
        self._longest = longest
        self._observe = observe
        self._due = 0.0
        self._cpu = 0.0
        self._beat: IDelayedCall | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._reactor_thread = 0
        self._seen: Counter[str] = Counter()
        self._told = -_BETWEEN_LINES
        self._worst: Stall | None = None
        self.count = 0
        """Stalls since the start."""
        self.longest: Stall | None = None
        """The longest since the start."""

    def start(self) -> None:
        self._reactor_thread = threading.get_ident()
        self._ended.clear()
        self._set_beat()
        self._thread = threading.Thread(target=self._watch, name="mailframe-stalls", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Harmless when it was not started."""
        self._ended.set()
        beat, self._beat = self._beat, None
        if beat is not None:
            beat.cancel()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def told(self) -> dict[str, Any]:
        """How many since the start, and the longest, for whoever asks how the server is."""
        if self.longest is None:
            return {"count": 0}
        milliseconds = round(self.longest.seconds * 1000)
        return {"count": self.count, "milliseconds": milliseconds, "place": self.longest.place}

    def _set_beat(self) -> None:
        self._cpu = time.thread_time()
        self._due = time.monotonic() + _BEAT
        self._beat = self._clock.callLater(_BEAT, self._beats)

    def _beats(self) -> None:
        late = time.monotonic() - self._due
        self._observe(max(0.0, late))
        if late > self._longest:
            self._note(late)
        if self._seen:
            self._seen = Counter()
        self._set_beat()

    def _note(self, late: float) -> None:
        found = self._seen.most_common(1)
        place = found[0][0] if found else "nobody knows"
        stall = Stall(late, time.thread_time() - self._cpu, place)
        self.count += 1
        if self.longest is None or late > self.longest.seconds:
            self.longest = stall
        if self._worst is None or late > self._worst.seconds:
            self._worst = stall
        now = time.monotonic()
        if now - self._told >= _BETWEEN_LINES:
            worst, self._worst, self._told = self._worst, None, now
            self.log.warn(
                "the reactor stood still for {milliseconds} ms ({cpu} ms of work) in {place}",
                milliseconds=round(worst.seconds * 1000),
                cpu=round(worst.cpu * 1000),
                place=worst.place,
            )

    def _watch(self) -> None:
        """On its thread: look, while the beat is overdue."""
        while not self._ended.wait(_BEAT / 2):
            if time.monotonic() - self._due > _BEAT / 2:
                frame = sys._current_frames().get(self._reactor_thread)
                if frame is not None:
                    self._seen[place_of(frame)] += 1


def place_of(frame: FrameType) -> str:
    """The innermost of our functions, and the innermost of all where that is another."""
    innermost = _name(frame)
    here: FrameType | None = frame
    while here is not None and _OURS not in here.f_code.co_filename:
        here = here.f_back
    if here is None or here is frame:
        return innermost
    return f"{_name(here)}, {innermost}"


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_name}"
