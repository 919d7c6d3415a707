"""Names of folders against LIST's patterns (RFC 9051 section 6.3.9).

``*`` stands for anything, ``%`` for anything but the separator. Any pattern takes one pass over
the name: all places where the match could be are kept at once, as bits of a number, so no
pattern of a client's makes work that grows faster than its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailframe.core.folders import INBOX, SEPARATOR

_MANY = re.compile(r"[*%]{2,}")


def matcher(pattern: str) -> Callable[[str], bool]:
    """INBOX is matched without case, as the first level of a name too (RFC 9051 5.1)."""
    exact = _Pattern(_inbox_first(pattern))
    inbox = _Pattern(pattern.upper())

    def matches(name: str) -> bool:
        return exact.matches(name) or (name == INBOX and inbox.matches(name))

    return matches


def _inbox_first(pattern: str) -> str:
    first, separator, rest = pattern.partition(SEPARATOR)
    return INBOX + separator + rest if first.upper() == INBOX else pattern


class _Pattern:
    """Bit n of the state: the first n signs of the pattern are matched."""

    def __init__(self, pattern: str) -> None:
        # A run of wildcards is as good as its strongest.
        pattern = _MANY.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
        self._stay_anywhere = _bits(pattern, "*")
        self._stay_in_level = _bits(pattern, "%")
        self._skips = self._stay_anywhere | self._stay_in_level
        self._goes_on = {sign: _bits(pattern, sign) for sign in set(pattern) - set("*%")}
        self._end = 1 << len(pattern)

    def matches(self, name: str) -> bool:
        state = 1
        state |= (state & self._skips) << 1
        for sign in name:
            stays = self._stay_anywhere if sign == SEPARATOR else self._skips
            state = (state & stays) | ((state & self._goes_on.get(sign, 0)) << 1)
            if not state:
                return False
            state |= (state & self._skips) << 1
        return bool(state & self._end)


def _bits(pattern: str, sign: str) -> int:
    return sum(1 << n for n, each in enumerate(pattern) if each == sign)
