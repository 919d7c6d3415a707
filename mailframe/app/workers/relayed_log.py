"""One log of what several processes write.

A worker writes lines as ``mailframe run`` does, to a pipe. Whole lines are passed on as they
are to standard output, or, where somebody else has the log (twistd), as events again: with
their level and namespace, and the time at which they came.

What a worker writes to standard error is no log: the last words of an interpreter that dies, a
library's. Each line is logged, with the worker's name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from twisted.logger import Logger, LogLevel

_LONGEST = 1 << 20
_LINE = re.compile(
    r"\S+ \[(?:(?P<namespace>[\w.]*)#(?P<level>debug|info|warn|error|critical)|-)\] (?P<text>.*)",
    re.DOTALL,
)

_log = Logger(namespace="mailframe.app.workers")  # whoever logs for a worker

Write = Callable[[bytes], None]
"""Takes whole lines."""


class LineCollector:
    """Octets in, whole lines out."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._rest = b""

    def received(self, data: bytes) -> None:
        whole, end, rest = data.rpartition(b"\n")
        if end:
            self._write(self._rest + whole + end)
            self._rest = rest
        else:
            self._rest += data
        if len(self._rest) > _LONGEST:
            self.ended()

    def ended(self) -> None:
        """What is there of a line that was never ended is a line."""
        rest, self._rest = self._rest, b""
        if rest:
            self._write(rest + b"\n")


def to_standard_output(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


class ToEvents:
    """For a log that is not ours."""

    def __call__(self, lines: bytes) -> None:
        # A line that begins with a tab goes on from the one before (``run.begin_log``).
        for text in re.split(r"\n(?!\t)", lines.decode("utf-8", "replace").rstrip("\n")):
            found = _LINE.fullmatch(text)
            if found is None:
                _log.info("{line}", line=text)
                continue
            if found["level"] is None:  # Twisted's older lines have neither
                _log.info("{line}", line=found["text"], log_system="-")
                continue
            logger = Logger(namespace=found["namespace"])
            logger.emit(LogLevel.levelWithName(found["level"]), "{line}", line=found["text"])


class LastWords:
    """Lines on the standard error of the worker ``name``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, lines: bytes) -> None:
        for text in lines.decode("utf-8", "replace").splitlines():
            _log.warn("{worker}: {line}", worker=self._name, line=text)
