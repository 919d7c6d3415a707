"""What is wrong with a simulated disk: which calls fail, how, and which take long.

A rule fails or delays the calls whose kind and path match, from the ``nth`` on, as often as
``times`` says. A failed ``sync`` throws the unsynced writes of its file away, as Linux does:
a later one succeeds, and the data is gone.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(slots=True)
class _Rule:
    kinds: frozenset[str]
    pattern: str
    nth: int
    times: int
    error: int = 0
    seconds: float = 0.0

    def strikes(self, kind: str, path: str) -> bool:
        if not self.times or kind not in self.kinds or not fnmatchcase(path, self.pattern):
            return False
        if self.nth > 1:
            self.nth -= 1
            return False
        self.times -= 1
        return True


class Faults:
    """``pause`` is told the seconds that a slow call takes; ``is_read_only`` fails every
    change with EROFS; ``struck`` counts what failed."""

    def __init__(self) -> None:
        self.is_read_only = False
        self.pause: Callable[[float], None] = time.sleep
        self.struck = 0
        self._rules: list[_Rule] = []

    def fail(
        self,
        kind: str,
        pattern: str = "*",
        *,
        error: int = errno.EIO,
        nth: int = 1,
        times: int = 1,
    ) -> None:
        """Kinds as in ``ops.KINDS``, or "read"; several, with blanks between. ``pattern`` is a
        glob for the whole path. ``times`` -1 is always."""
        self._rules.append(_Rule(frozenset(kind.split()), pattern, nth, times, error))

    def slow(
        self, kind: str, pattern: str = "*", *, seconds: float, nth: int = 1, times: int = -1
    ) -> None:
        """As ``fail``, but such calls take ``seconds`` instead."""
        rule = _Rule(frozenset(kind.split()), pattern, nth, times, seconds=seconds)
        self._rules.append(rule)

    def clear(self) -> None:
        """The disk is well again; what a failed sync threw away stays away."""
        self._rules.clear()
        self.is_read_only = False

    def copy(self) -> Faults:
        """The same rules for another disk; what was counted begins anew."""
        other = Faults()
        other.is_read_only, other.pause = self.is_read_only, self.pause
        other._rules = [
            _Rule(r.kinds, r.pattern, r.nth, r.times, r.error, r.seconds) for r in self._rules
        ]
        return other

    @property
    def is_watching(self) -> bool:
        """Whether anything is to go wrong at all."""
        return self.is_read_only or bool(self._rules)

    def check(self, kind: str, path: str) -> None:
        """Raises OSError where the call is to fail."""
        if self.is_read_only and kind not in ("read", "sync", "sync_directory"):
            raise self._error(errno.EROFS, path)
        for rule in self._rules:
            if not rule.strikes(kind, path):
                continue
            if rule.error:
                raise self._error(rule.error, path)
            self.pause(rule.seconds)

    def _error(self, error: int, path: str) -> OSError:
        self.struck += 1
        return OSError(error, os.strerror(error), path)
