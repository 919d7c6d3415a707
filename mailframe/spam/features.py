"""What a message is made of, as the classifier sees it: a bounded set of numbers.

``features_of`` reads a message in wire format, cut off or not, and returns the hashes of its
tokens; ``named_features`` tells which token is behind which number, for explanations. Both
run the same code, so that what is explained is what was counted.

Tokens are read in groups (header, structure, links, markup, text), each with a cap of its
own: a group that is flooded takes nothing from the others. What is looked at of a text is
bounded, too. Never raises, takes linear time, blocks for about 1 ms per message; belongs on a
worker.

``VERSION`` changes whenever the same message gives other numbers: training that was logged
under another one still counts for what the two have in common.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from zlib import crc32

from mailframe.spam.features_message import tokens_of

VERSION = 1
BITS = 24
"""Of a hash."""
MOST = 4_000
"""Features of one message, at most."""

_MASK = (1 << BITS) - 1
_LOW = 0xFFFF
_HIGHS = 1 << (BITS - 16)


@dataclass(frozen=True, slots=True)
class Features:
    """``hashes``: distinct, ascending, below ``1 << BITS``."""

    hashes: tuple[int, ...]

    def pack(self) -> bytes:
        """Two octets a feature: how many there are of each high octet, then the low halves.

        As many octets for the same features, in the same order, on every machine.
        """
        counts = array("H", bytes(2 * _HIGHS))
        for number in self.hashes:
            counts[number >> 16] += 1
        lows = array("H", [number & _LOW for number in self.hashes])
        return _little(counts) + _little(lows)

    @classmethod
    def unpack(cls, octets: bytes) -> Features:
        """Raises ValueError for what ``pack`` did not write."""
        if len(octets) % 2 or len(octets) < 2 * _HIGHS:
            raise ValueError("packed features are cut off")
        numbers = array("H", octets)
        if sys.byteorder == "big":
            numbers.byteswap()
        counts, lows = numbers[:_HIGHS], numbers[_HIGHS:]
        if sum(counts) != len(lows) or len(lows) > MOST:
            raise ValueError("packed features do not add up")
        hashes: list[int] = []
        at = 0
        for high, count in enumerate(counts):
            if count:
                hashes += [high << 16 | low for low in lows[at : at + count]]
                at += count
        if sorted(set(hashes)) != hashes:
            raise ValueError("packed features are out of order")
        return cls(tuple(hashes))


def features_of(message: bytes) -> Features:
    """``message`` in wire format, whole or its beginning."""
    hashes = {crc32(token) & _MASK: None for token in _tokens(message)}
    return Features(tuple(sorted(islice(hashes, MOST))))


def named_features(message: bytes) -> Mapping[int, str]:
    """The token behind each number; of several, the one that was read first."""
    names: dict[int, str] = {}
    for token in _tokens(message):
        names.setdefault(crc32(token) & _MASK, token.decode("utf-8"))
    return names


def hash_of(token: str) -> int:
    """The number that stands for it."""
    return crc32(token.encode("utf-8", "replace")) & _MASK


def _tokens(message: bytes) -> list[bytes]:
    # encoded at once: each for itself would take longer than to find them
    return "\n".join(tokens_of(message)).encode("utf-8", "replace").split(b"\n")


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
