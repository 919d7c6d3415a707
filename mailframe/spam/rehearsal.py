"""Against forgetting: what a model was taught last of either kind, to be gone through again.

People teach in heaps: a thousand ham, then a thousand spam. A model that is corrected with each
message would come to think that everything is what the last heap was. So in a heap each further
message of the same kind corrects it less, and for each one of the other kind is gone through
again, from among the last few dozen. In mail as it comes, mixed, next to nothing of this happens.

A function of the lessons, like the model itself, and kept with it. Bounded: ``_KEPT`` messages of
either kind, ``_LONGEST`` features of each.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence

_KEPT = 64
_LONGEST = 1_000
_HEAP = 3
"""So many of one kind in a row are nothing unusual."""
_HEAD = struct.Struct("<IIIBB")
MOST_OCTETS = _HEAD.size + 2 * (2 + _KEPT * (2 + 4 * _LONGEST))


class Rehearsal:
    def __init__(self) -> None:
        self._kept: tuple[list[array[int]], list[array[int]]] = ([], [])
        """Of ham, of spam; each a ring."""
        self._seen = [0, 0]
        self._again = 0
        self._row = 0
        """How many of the same kind in a row the latest is, from 0, as far as is counted."""
        self._latest = 2  # neither ham nor spam

    def begin(self, is_spam: bool) -> float:
        """A lesson of this kind comes; returns by what share it is to correct."""
        kind = int(is_spam)
        self._row = min(self._row + 1, 1_000_000) if kind == self._latest else 0
        self._latest = kind
        return 1.0 / (1.0 + max(0, self._row - _HEAP) / _HEAP)

    def end(self, hashes: Sequence[int]) -> Sequence[int]:
        """That was it; returns what is to be gone through again: the features of a message of
        the other kind, or none."""
        kind = self._latest
        ring = self._kept[kind]
        thinned = array("I", hashes[:: 1 + max(0, len(hashes) - 1) // _LONGEST])
        if len(ring) < _KEPT:
            ring.append(thinned)
        else:
            ring[self._seen[kind] % _KEPT] = thinned
        self._seen[kind] = (self._seen[kind] + 1) % (1 << 30)
        others = self._kept[1 - kind]
        if self._row < _HEAP or not others:
            return ()
        self._again = (self._again + 1) % len(others)
        return others[self._again]

    @property
    def octets(self) -> int:
        return sum(4 * len(each) + 80 for ring in self._kept for each in ring)

    # -- keeping ----------------------------------------------------------------------

    def pack(self) -> bytes:
        """The same for the same lessons, on machines of either byte order."""
        ham, spam = self._seen
        head = _HEAD.pack(ham, spam, self._row, self._again, self._latest)
        rings = b"".join(_packed(ring) for ring in self._kept)
        return head + rings

    @classmethod
    def unpack(cls, octets: bytes) -> Rehearsal:
        """Raises ValueError for what ``pack`` did not write."""
        made = cls()
        try:
            ham, spam, made._row, made._again, made._latest = _HEAD.unpack_from(octets)
            made._seen = [ham, spam]
            at = _HEAD.size
            for ring in made._kept:
                at = _unpack_into(ring, octets, at)
        except struct.error as error:
            raise ValueError("the model is cut off") from error
        if at != len(octets) or made._latest > 2:
            raise ValueError("the model is damaged")
        return made


def _packed(ring: list[array[int]]) -> bytes:
    pieces = [struct.pack("<H", len(ring))]
    for each in ring:
        pieces.append(struct.pack("<H", len(each)) + _little(each))
    return b"".join(pieces)


def _unpack_into(ring: list[array[int]], octets: bytes, at: int) -> int:
    (number,) = struct.unpack_from("<H", octets, at)
    at += 2
    if number > _KEPT:
        raise ValueError("the model is damaged")
    for _ in range(number):
        (length,) = struct.unpack_from("<H", octets, at)
        at += 2
        piece = octets[at : at + 4 * length]
        if len(piece) < 4 * length:
            raise ValueError("the model is cut off")
        ring.append(_native(array("I", piece)))
        at += 4 * length
    return at


def _little(numbers: array[int]) -> bytes:
    return _native(numbers[:]).tobytes()


def _native(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
