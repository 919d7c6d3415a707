"""Noticing that the reactor stood still, and in what.

While one function runs on the reactor thread nobody else is served. ``StallWatch`` finds out
when that took longer than ``longest`` seconds: a timer that is due every ``_BEAT`` notes that it
ran, and a thread that sees it overdue looks at what the reactor thread is doing. What it saw is
logged, once a minute at most, with the thread's own CPU time: a stall that used little of it
waited, for the interpreter's lock, for the disk, or for a machine that was busy with other things.

It finds what lasts longer than ``longest`` plus one beat for certain, and shorter ones by chance;
it changes nothing about them.

A reactor that has done nothing for a second has no timer: the thread alone looks at it, every
other beat, whether it still waits for input. When it does not, or when the thread was kept from
looking (by whoever held the interpreter's lock), the timer is set again, as due since then. So a
server with nothing to do is woken ten times a second, not sixty, and its reactor never; a stall
that comes out of such a rest may be a beat longer and not be found.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

_BEAT = 0.05  # seconds
_RESTING_BEAT = 2 * _BEAT
_QUIET = 20
"""Beats without work until the timer rests."""
_WORK = 0.001
"""Seconds of the reactor thread's own between two beats. The beat itself takes a tenth of it."""
_BETWEEN_LINES = 60.0  # seconds
_OURS = f"{os.sep}mailframe{os.sep}"


@dataclass(frozen=True, slots=True)
class Stall:
    seconds: float
    """How long a timer had to wait; the stall was up to a beat longer."""
    cpu: float
    """Seconds of the reactor thread's own work since the timer, or the look, before."""
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
        self._quiet = 0
        self._rests = False
        self._waits_in: CodeType | None = None
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
        self._waits_in = _waits_in(self._clock)
        self._ended.clear()
        self._quiet, self._rests = 0, False
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
        self._quiet = self._quiet + 1 if time.thread_time() - self._cpu < _WORK else 0
        if self._quiet < _QUIET or self._waits_in is None:
            self._set_beat()
        else:
            self._beat = None
            self._rests = True

    def _wakes(self) -> None:
        if self._beat is None and not self._ended.is_set():
            self._quiet = 0
            self._beats()

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
        """On its thread: look, while the beat is overdue, or whether it must be set again."""
        pause = _BEAT / 2
        due = time.monotonic() + pause
        while not self._ended.wait(pause):
            now = time.monotonic()
            if self._rests:  # maybe only since this pause began
                if now - due > _BEAT / 2 or not self._is_waiting():
                    self._wake(due)
            elif now - self._due > _BEAT / 2:
                self._look()
            pause = _RESTING_BEAT if self._rests else _BEAT / 2
            due = now + pause

    def _is_waiting(self) -> bool:
        """For input; nothing is being done."""
        frame = sys._current_frames().get(self._reactor_thread)
        if frame is None or frame.f_code is not self._waits_in:
            return False
        self._cpu = time.clock_gettime(time.pthread_getcpuclockid(self._reactor_thread))
        return True

    def _wake(self, due: float) -> None:
        self._seen = Counter()
        self._look()
        self._due = due
        self._rests = False
        self._clock.callFromThread(self._wakes)

    def _look(self) -> None:
        frame = sys._current_frames().get(self._reactor_thread)
        if frame is not None:
            self._seen[place_of(frame)] += 1


def _waits_in(reactor: Any) -> CodeType | None:
    """The method in which a reactor waits for input; None where that cannot be told."""
    method = getattr(type(reactor), "doIteration", None)
    # Some do not wait in a method of Twisted's (asyncio's), some systems have no such clock.
    can_be_told = method is not ReactorBase.doIteration and hasattr(time, "pthread_getcpuclockid")
    return getattr(method, "__code__", None) if can_be_told else None


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
