"""Ids of messages, sessions and refusals: short, readable aloud, sortable by time, unique.

Ten characters of microseconds since 2020 and two that are drawn once per process, in
Crockford's base 32 (no I, L, O, U). Within a process ids strictly increase, also when the
clock steps back; between processes the drawn pair keeps equal microseconds apart.
"""

from __future__ import annotations

from collections.abc import Callable

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = 1_577_836_800  # 2020-01-01T00:00:00Z; 50 bits of microseconds last until 2055


class IdSource:
    """``seconds`` is the wall clock, ``process`` any number that tells processes apart."""

    def __init__(self, seconds: Callable[[], float], process: int) -> None:
        self._seconds = seconds
        self._suffix = _base32(process % 1024, 2)
        self._last = 0
        self._second, self._beginning = -1, ""
        """The upper six digits, which are the same for a second or so."""

    def __call__(self) -> str:
        micros = int((self._seconds() - _EPOCH) * 1_000_000)
        if micros <= self._last:
            micros = self._last + 1
        self._last = micros
        if micros >> 20 != self._second:
            self._second = micros >> 20
            self._beginning = _base32(self._second, 6)
        low = micros & 1023
        return f"{self._beginning}{_PAIRS[micros >> 10 & 1023]}{_PAIRS[low]}{self._suffix}"


def earliest_id(seconds: float) -> str:
    """What is made at that time or later is no less than this; what was made before is."""
    return _base32(max(0, int((seconds - _EPOCH) * 1_000_000)), 10)


def time_of(id: str) -> float:
    """When it was made, in seconds since the epoch. Raises ValueError for what is no id."""
    micros = 0
    for digit in id[:10]:
        micros = micros * 32 + _ALPHABET.index(digit)
    return _EPOCH + micros / 1_000_000


_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def _base32(number: int, width: int) -> str:
    """``width`` is even."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(5 * (width - 2), -1, -10)])
