"""One answer of ``mailframe check``."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Mark(enum.Enum):
    OK = "ok"
    WARN = "warn"
    """Mail flows, but somebody should look."""
    FAIL = "fail"
    """Mail does not flow, or what should be shut is open."""
    SKIP = "skip"
    """Could not be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    id: str
    """``group.check`` or ``group.subject.check``."""
    mark: Mark
    text: str
    """What was found."""
    fix: str = ""
    """What to do about it."""


def ok(id: str, text: str) -> Finding:
    return Finding(id, Mark.OK, text)


def warn(id: str, text: str, fix: str) -> Finding:
    return Finding(id, Mark.WARN, text, fix)


def fail(id: str, text: str, fix: str) -> Finding:
    return Finding(id, Mark.FAIL, text, fix)


def skip(id: str, text: str) -> Finding:
    return Finding(id, Mark.SKIP, text)
