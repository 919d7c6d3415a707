"""What was learnt from ham and spam: a number for each message, and the reasons for it.

A model is a function of its log: the same messages, learnt in the same order, give the same
model, bit for bit. Nothing is unlearnt: a model without a message is the log without it,
learnt again (some 0.3 ms a message).

Two classifiers look at a message, and their scores are added.

* One counts in how many ham and spam messages each feature was, and takes the mean of what
  the telling features say (naive Bayes, over those only that are far from even). It knows much
  after few messages.
* The other is a linear model that is corrected wherever it was not sure of what it is taught
  (logistic regression). It learns what features are worth beside each other.

Both give each feature a weight, so that the weights of a message, added up, are its score: the
log-odds of spam. 0 is even, and what an untrained model says.

Whatever the order, a heap of ham and a heap of spam are learnt nearly as mixed mail is
(``rehearsal``).

Where a model is often taught the opposite of what it was sure of, its teacher errs, or means
to harm: it then believes less of what was seen once, and is corrected more gently.

Memory is bounded: ``1 << MAX_BITS`` rows of 12 octets, and what is kept
for rehearsal. Where two features fall on one row, the
one that was seen more often keeps it.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from mailframe.spam.features import Features
from mailframe.spam.rehearsal import MOST_OCTETS, Rehearsal

MIN_BITS = 12
MAX_BITS = 20

# A row is one number: the hash, in how many ham messages it was, in how many spam messages.
_COUNT_BITS = 20
_MOST = (1 << _COUNT_BITS) - 1
_SPAM = 1
_HAM = 1 << _COUNT_BITS
_COUNTS = (1 << 2 * _COUNT_BITS) - 1
_HASH = 2 * _COUNT_BITS

# The figures below were chosen for rank and robustness on streams of several seeds, with and
# without wrong labels; none of them is sharp: half or twice as much changes little.
_EVEN = 0.05
"""How many messages' worth of doubt stands against what the counts of a feature say."""
_EVEN_OF_DOUBT = 10.0
_TELLING = 2.3
"""Log-odds (10 to 1) from which a feature has a say in the mean."""
_WITNESSES = 3
"""Features that say nothing, which the mean is taken with: one that speaks alone is not enough."""
_STEEP = 6.0
_HEARD = 0.3
"""How much of what the counts say the linear model takes for granted while it learns: it is to
know by itself, but to know best what the counts do not."""
_SURE = 0.1
"""The error up to which the linear model is left as it is."""
_GENTLE = 20.0
_CONTRADICTED = 2.2
_HABITUAL = 0.01
"""The share of contradictions that even a good teacher comes to: there are borderline cases."""
_UNTRIED = 20
"""Messages of either kind before which the model's own opinion is worth nothing."""
_HEAD = struct.Struct("<4sBBxxIIIIIII")
_MAGIC = b"MFSM"
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Weight:
    """What one feature counts in one message."""

    hash: int
    weight: float
    """Of the log-odds; towards spam, below zero for ham."""
    ham: int
    """In how many messages it was when they were learnt; 0 and 0 where it is not counted."""
    spam: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one model says of one message."""

    log_odds: float
    """Of spam: 0 is even, 2.2 nine to one, 4.6 ninety-nine to one."""
    hams: int
    spams: int
    """Messages that the model has learnt."""

    @property
    def probability(self) -> float:
        return probability_of(self.log_odds)


class Model:
    """Any number of threads may judge while none learns."""

    def __init__(self, *, max_bits: int = MAX_BITS) -> None:
        """``max_bits``: two to this many rows at most. Models that are to be alike need the
        same."""
        if not MIN_BITS <= max_bits <= MAX_BITS:
            raise ValueError(f"max_bits is from {MIN_BITS} to {MAX_BITS}")
        self.hams = 0
        self.spams = 0
        self._max_bits = max_bits
        self._judged = 0  # lessons of which the model had an opinion before
        self._agreed = 0
        self._contradicted = 0
        self._used = 0
        self._rows = array("Q", bytes(8 << MIN_BITS))
        self._linear = array("f", bytes(4 << MIN_BITS))
        self._strengths = _Strengths(0, 0, 0.0)
        self._rehearsal = Rehearsal()

    @classmethod
    def of(cls, log: Iterable[tuple[Features, bool]], *, max_bits: int = MAX_BITS) -> Model:
        """The model that has learnt these, in this order; True is spam."""
        model = cls(max_bits=max_bits)
        for features, is_spam in log:
            model.learn(features, is_spam)
        return model

    @property
    def learnt(self) -> int:
        return self.hams + self.spams

    @property
    def octets(self) -> int:
        """What it takes of memory."""
        return 12 * len(self._rows) + self._rehearsal.octets

    # -- judging ----------------------------------------------------------------------

    def judge(self, features: Features) -> Judgement:
        if not self.hams or not self.spams:
            return Judgement(0.0, self.hams, self.spams)
        return Judgement(sum(self._scores(features.hashes)), self.hams, self.spams)

    def probability(self, features: Features) -> float:
        """Of spam; 0.5 while it has not seen both kinds."""
        return self.judge(features).probability

    def weights(self, features: Features, most: int) -> list[Weight]:
        """The features that count most, the weightiest first. All of them together are the
        log-odds."""
        if not self.hams or not self.spams:
            return []
        rows, linear, mask = self._rows, self._linear, len(self._rows) - 1
        counts = [
            row & _COUNTS if (row := rows[h & mask]) >> _HASH == h else 0 for h in features.hashes
        ]
        telling = [self._strengths[count] for count in counts]
        mean = 1.0 / (sum(map(bool, telling)) + _WITNESSES)
        slope = _slope(features.hashes)
        # plain tuples until it is known which are wanted: every message is explained
        found = []
        for hash_, count, strength in zip(features.hashes, counts, telling, strict=True):
            weight = strength * mean + (linear[hash_ & mask] * slope if count else 0.0)
            found.append((-abs(weight), hash_, weight, count))
        return [
            Weight(hash_, weight, count >> _COUNT_BITS, count & _MOST)
            for _, hash_, weight, count in nsmallest(most, found)
        ]

    def _scores(self, hashes: Sequence[int]) -> tuple[float, float]:
        """What the counts say, and what the linear model says."""
        rows, mask, strengths = self._rows, len(self._rows) - 1, self._strengths
        held = [at for h in hashes if rows[at := h & mask] >> _HASH == h]
        telling = [strength for at in held if (strength := strengths[rows[at] & _COUNTS])]
        # fsum: the sum does not depend on the order, nor on the version of Python
        counted = math.fsum(telling) / (len(telling) + _WITNESSES)
        return counted, math.fsum(map(self._linear.__getitem__, held)) * _slope(hashes)

    # -- learning ---------------------------------------------------------------------

    def learn(self, features: Features, is_spam: bool) -> None:
        hashes = features.hashes
        counted, linear = self._scores(hashes)
        self._notice((counted + linear) * (1 if is_spam else -1))
        if is_spam:
            self.spams += 1
        else:
            self.hams += 1
        self._count(hashes, _SPAM if is_spam else _HAM)
        error = float(is_spam) - probability_of(_HEARD * counted + linear)
        self._correct(hashes, error, self._rehearsal.begin(is_spam))
        if again := self._rehearsal.end(hashes):
            counted, linear = self._scores(again)
            self._correct(again, float(not is_spam) - probability_of(_HEARD * counted + linear))
        self._strengths = _Strengths(self.hams, self.spams, self._doubt())

    def _notice(self, agreement: float) -> None:
        """How far the lesson is what the model thought before."""
        if min(self.hams, self.spams) < _UNTRIED:
            return
        self._judged += 1
        self._agreed += agreement > 0.0
        self._contradicted += agreement < -_CONTRADICTED

    def _doubt(self) -> float:
        """The share of lessons that are wrong, as far as it shows.

        Whoever teaches nothing but what the model got wrong contradicts it always and is right:
        there it cannot be told."""
        if 2 * self._agreed <= self._judged:
            return 0.0
        return max(0.0, self._contradicted / (self._judged + _UNTRIED) - _HABITUAL)

    def _count(self, hashes: Sequence[int], one: int) -> None:
        while 2 * (self._used + len(hashes)) > len(self._rows) < 1 << self._max_bits:
            self._double()
        rows, linear, mask = self._rows, self._linear, len(self._rows) - 1
        for h in hashes:
            at = h & mask
            row = rows[at]
            if row >> _HASH == h and row:
                if (row // one) & _MOST < _MOST:
                    rows[at] = row + one
            elif not row:
                self._used += 1
                rows[at] = (h << _HASH) + one
            elif row & _COUNTS in (_HAM, _SPAM):
                # seen once: it makes room
                rows[at] = (h << _HASH) + one
                linear[at] = 0.0

    def _correct(self, hashes: Sequence[int], error: float, share: float = 1.0) -> None:
        if abs(error) < _SURE:
            return
        rows, linear, mask = self._rows, self._linear, len(self._rows) - 1
        step = share * error * _slope(hashes) / _STEEP / (1.0 + _GENTLE * self._doubt())
        for h in hashes:
            at = h & mask
            if rows[at] >> _HASH == h:
                linear[at] += step

    def _double(self) -> None:
        """Twice as many rows; each goes where its hash belongs."""
        rows, linear, mask = self._rows, self._linear, 2 * len(self._rows) - 1
        self._rows = array("Q", bytes(16 * len(rows)))
        self._linear = array("f", bytes(8 * len(rows)))
        for row, weight in zip(rows, linear, strict=True):
            if row:
                at = (row >> _HASH) & mask
                self._rows[at] = row
                self._linear[at] = weight

    # -- keeping ----------------------------------------------------------------------

    def dump(self) -> bytes:
        """The same for the same model, on machines of either byte order."""
        rehearsal = self._rehearsal.pack()
        head = _HEAD.pack(
            _MAGIC, _VERSION, self._max_bits, self.hams, self.spams, self._judged,
            self._agreed, self._contradicted, len(self._rows), len(rehearsal),
        )  # fmt: skip
        return head + zlib.compress(_little(self._rows) + _little(self._linear) + rehearsal, 1)

    @classmethod
    def load(cls, octets: bytes) -> Model:
        """Raises ValueError for another version and what is damaged: learn the log again."""
        try:
            magic, version, max_bits, hams, spams, judged, agreed, contradicted, size, more = (
                _HEAD.unpack_from(octets)
            )
        except struct.error as error:
            raise ValueError("the model is cut off") from error
        if magic != _MAGIC or version != _VERSION:
            raise ValueError("the model was written by another version")
        model = cls(max_bits=max_bits)
        if not len(model._rows) <= size <= 1 << max_bits or size & (size - 1):
            raise ValueError("the model is damaged")
        if more > MOST_OCTETS:
            raise ValueError("the model is damaged")
        body = _unpacked(octets[_HEAD.size :], 12 * size + more)
        model.hams, model.spams = hams, spams
        model._judged, model._agreed, model._contradicted = judged, agreed, contradicted
        model._rows = array("Q", body[: 8 * size])
        model._linear = array("f", body[8 * size : 12 * size])
        model._rehearsal = Rehearsal.unpack(body[12 * size :])
        if sys.byteorder == "big":
            model._rows.byteswap()
            model._linear.byteswap()
        model._used = size - model._rows.count(0)
        model._strengths = _Strengths(hams, spams, model._doubt())
        return model


class _Strengths(dict[int, float]):
    """What a feature with such counts says, as log-odds; 0 where that is too little to count.

    Made new after each lesson, for it depends on all of them; filled as it is asked."""

    def __init__(self, hams: int, spams: int, doubt: float) -> None:
        super().__init__()
        self._hams, self._spams = max(1, hams), max(1, spams)
        self._even = _EVEN + _EVEN_OF_DOUBT * doubt

    def __missing__(self, counts: int) -> float:
        ham, spam = counts >> _COUNT_BITS, counts & _MOST
        seen = ham + spam
        strength = 0.0
        if seen:
            in_spam = spam / self._spams
            share = in_spam / (in_spam + ham / self._hams)
            probability = (0.5 * self._even + seen * share) / (self._even + seen)
            log_odds = math.log(probability / (1.0 - probability))
            strength = log_odds if abs(log_odds) > _TELLING else 0.0
        self[counts] = strength
        return strength


def _slope(hashes: Sequence[int]) -> float:
    """Long messages are no surer than short ones."""
    return _STEEP / math.sqrt(max(1, len(hashes)))


def probability_of(log_odds: float) -> float:
    """Never quite 0 or 1: nobody is certain."""
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, log_odds))))


def combined(judgements: Iterable[Judgement]) -> float:
    """The log-odds that several models of one message come to: the user's own first, then the
    domain's, the site's.

    Each gets a share of what those before it have left, the larger the more it has learnt of
    both kinds; what nobody takes says nothing.
    """
    log_odds, left = 0.0, 1.0
    for judgement in judgements:
        share = left * trust(judgement)
        log_odds += share * judgement.log_odds
        left -= share
    return log_odds


def trust(judgement: Judgement) -> float:
    """From 0 to 1; a half at 20 messages of the rarer kind."""
    least = min(judgement.hams, judgement.spams)
    return least / (least + 20.0)


def _little(column: array[int] | array[float]) -> bytes:
    if sys.byteorder == "little":
        return column.tobytes()
    swapped = column[:]
    swapped.byteswap()
    return swapped.tobytes()


def _unpacked(packed: bytes, size: int) -> bytes:
    """Raises ValueError where that is not of this size: nothing larger is unpacked."""
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError("the model is damaged") from error
    if len(body) != size or not unpacker.eof:
        raise ValueError("the model is damaged")
    return body
