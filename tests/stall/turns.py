"""The reactor's turns, measured from within the server process.

A turn is what happens between two polls: all that has become readable, all timers that are due,
all results of workers. ``Turns`` notes of each how long it took, the reactor thread's own CPU
time within it, and the longest single dispatch (one socket's input). A thread looks at long turns
while they last, to say what they do.

On a Unix socket it answers ``reset`` and ``report``.
"""

from __future__ import annotations

import collections
import gc
import json
import os
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any

_LONG = 0.03  # seconds; from there on a turn is looked at
_LOOK = 0.005
_OURS = f"{os.sep}mailframe{os.sep}"


class Turns:
    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._poller = reactor._poller
        self._do = reactor._doReadOrWrite
        self._since = 0.0
        """Begin of the turn under way; 0 between turns."""
        self._cpu = 0.0
        self._number = 0
        self._seen: collections.Counter[str] = collections.Counter()
        self.reset()
        self._ended()  # the one under way
        reactor._poller = self
        reactor._doReadOrWrite = self._dispatch
        self._run_due = reactor.runUntilCurrent
        reactor.runUntilCurrent = self._due
        gc.callbacks.append(self._collecting)
        self._thread = threading.get_ident()
        threading.Thread(target=self._watch, daemon=True).start()

    def reset(self) -> None:
        self._busiest: dict[str, Any] = {"cpu": 0.0, "wall": 0.0, "doing": []}
        self._longest: dict[str, Any] = {"cpu": 0.0, "wall": 0.0, "doing": []}
        self._dispatch_cpu = 0.0
        self._results_cpu = 0.0
        self._collected = [0.0, 0.0, 0.0]
        self._over = 0
        self._began = self._number

    def report(self) -> dict[str, Any]:
        return {
            "turns": self._number - self._began,
            "over": self._over,
            "dispatch": self._dispatch_cpu,
            "results": self._results_cpu,
            "collected": self._collected,
            "busiest": self._busiest,
            "longest": self._longest,
        }

    # In the place of the poller

    def poll(self, timeout: float, most: int) -> Any:
        self._ended()
        found = self._poller.poll(timeout, most)
        self._cpu = time.thread_time()
        self._since = time.monotonic()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def _ended(self) -> None:
        since, self._since = self._since, 0.0
        self._number += 1
        if not since:
            return
        wall, cpu = time.monotonic() - since, time.thread_time() - self._cpu
        seen = self._seen
        if wall > _LONG:
            self._seen = collections.Counter()
        self._over += cpu > 0.1
        if cpu > self._busiest["cpu"]:
            self._busiest = {"cpu": cpu, "wall": wall, "doing": seen.most_common(3)}
        if wall > self._longest["wall"]:
            self._longest = {"cpu": cpu, "wall": wall, "doing": seen.most_common(3)}

    def _dispatch(self, *arguments: Any) -> None:
        before = time.thread_time()
        self._do(*arguments)
        spent = time.thread_time() - before
        if spent > self._dispatch_cpu:
            self._dispatch_cpu = spent

    def _due(self) -> None:
        before = time.thread_time()
        self._run_due()
        self._results_cpu = max(self._results_cpu, time.thread_time() - before)

    def _collecting(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collection = time.thread_time()
        else:
            spent, of = time.thread_time() - self._collection, info["generation"]
            self._collected[of] = max(self._collected[of], spent)

    # Looking at long ones

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK)
            since, number = self._since, self._number
            if not since or time.monotonic() - since < _LONG:
                continue
            frames = sys._current_frames()
            place = _place(frames[self._thread])
            others = [
                _place(frame)
                for thread, frame in frames.items()
                if thread not in (self._thread, threading.get_ident())
            ]
            waits = ("threading:wait", "workers:_work", "turns:serve")
            busy = [other for other in others if not other.endswith(waits)]
            if number == self._number:
                self._seen[place] += 1
                for other in busy:
                    self._seen[f"({other})"] += 1


def _place(frame: FrameType | None) -> str:
    """Where it is: our outermost frame and our innermost, and the innermost."""
    assert frame is not None
    first = _name(frame)
    ours = []
    here: FrameType | None = frame
    while here is not None:
        if _OURS in here.f_code.co_filename:
            ours.append(_name(here))
        here = here.f_back
    outer = ours[-1] if len(ours) > 1 else ""
    inner = ours[0] if ours and ours[0] != first else ""
    return " > ".join(filter(None, (outer, inner, first)))


def _name(frame: FrameType) -> str:
    file = os.path.basename(frame.f_code.co_filename).removesuffix(".py")
    return f"{file}:{frame.f_code.co_name}"


def answer_on(path: str, turns: Turns) -> None:
    """From a thread of its own."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.bind(path)

    def serve() -> None:
        while True:
            question, peer = door.recvfrom(64)
            if question == b"reset":
                turns.reset()
            elif question == b"objects":
                kinds = collections.Counter(type(each).__name__ for each in gc.get_objects())
                told = {
                    "all": kinds.total(),
                    "frozen": gc.get_freeze_count(),
                    **dict(kinds.most_common(25)),
                }
                door.sendto(json.dumps(told).encode(), peer)
                continue
            door.sendto(json.dumps(turns.report()).encode(), peer)

    threading.Thread(target=serve, daemon=True).start()


class Inside:
    """The other end."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"{path}.{os.getpid()}.{id(self)}")
        self._socket.connect(path)
        self._socket.settimeout(60)

    def ask(self, question: str) -> dict[str, Any]:
        self._socket.send(question.encode())
        answer: dict[str, Any] = json.loads(self._socket.recv(1 << 16))
        return answer
