"""``mailframe`` with a stop-watch on metrics and journal, for ``metrics_cost``.

    python metrics_launcher.py FILE mailframe run --config ...

What they spent, in seconds of CPU and calls, is written to FILE as JSON at the end. A thread's
own CPU clock is read around each call; what reading it costs is found out first and taken off.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from mailframe.app.cli import main
from mailframe.journal.journal import Journal
from mailframe.metrics.tally import Tally
from mailframe.runtime.database import Database

_spent: dict[str, list[float]] = {}
_begun: list[float] = []
"""What the process had used when the first event came: its start is nobody's cost."""


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    spent = _spent.setdefault(name, [0.0, 0])

    @functools.wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        if not _begun:
            _begun.append(time.process_time())
        began = time.thread_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[0] += time.thread_time() - began
            spent[1] += 1

    return timed


def _reading() -> float:
    """Seconds that ``_timed`` adds to what it measures."""
    timed = _timed("reading", lambda: None)
    for _ in range(100_000):
        timed()
    seconds, calls = _spent.pop("reading")
    return seconds / calls


def _writer(loop: Callable[[Database], None]) -> Callable[[Database], None]:
    """The whole thread of a database's writer."""

    def run(self: Database) -> None:
        try:
            loop(self)
        finally:
            _spent[f"writer of {os.path.basename(self.path)}"] = [time.thread_time(), 0]

    return run


def _write(file: str, reading: float) -> None:
    result = {name: seconds - calls * reading for name, (seconds, calls) in _spent.items()}
    result["process"] = time.process_time() - _begun[0]
    with open(file, "w", encoding="utf-8") as out:
        json.dump(result, out)


if __name__ == "__main__":
    _, file, *sys.argv = sys.argv
    cost = _reading()
    _begun.clear()
    Journal.record = _timed("record", Journal.record)  # type: ignore[method-assign]
    Journal._flush = _timed("flush", Journal._flush)  # type: ignore[method-assign]
    Journal._tell = _timed("text log", Journal._tell)  # type: ignore[method-assign]
    Tally.hear = _timed("count", Tally.hear)  # type: ignore[method-assign]
    Database._write_loop = _writer(Database._write_loop)  # type: ignore[method-assign, assignment]
    atexit.register(_write, file, cost)
    main()
