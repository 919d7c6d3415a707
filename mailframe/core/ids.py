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

    def __call__(self) -> str:
        self._last = max(self._last + 1, int((self._seconds() - _EPOCH) * 1_000_000))
        return _base32(self._last, 10) + self._suffix


def _base32(number: int, width: int) -> str:
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(5 * (width - 1), -1, -5)]
    return "".join(digits)
