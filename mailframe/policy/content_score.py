"""The score of a message for one mailbox: what was added up, and how it is told.

Told in two ways: in a line for the journal, and in header fields. Field values are ASCII, folded,
and bounded; nothing of a message gets into them unchanged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from mailframe.core.verdict import FieldLine, Symbol
from mailframe.interfaces import Evidence, Opinion

BAYES = "BAYES"
"""The filter's symbol. Its weight is what a probability of 98 % is worth."""
BAYES_POINTS = 5.0
_PER_LOG_ODDS = BAYES_POINTS / math.log(0.98 / 0.02)
_LEAST, _MOST = -4.0, 6.5  # so that one bad day of the filter can be outvoted
_TRAINED = 20
"""Messages of either kind from which an opinion counts in full."""

_WIDTH = 76
_MOST_TESTS = 40
_MOST_TOKENS = 12
_LONGEST_WORD = 60
_TELLING = 2.0
_MOST_REPORT = 2_000  # octets
_JOURNALLED = 12
_UNSAFE = re.compile(r"[^!-~]|[=,;]")


def bayes_points(opinion: Opinion | None, weight: float = BAYES_POINTS) -> float:
    """What an opinion is worth: nothing while little was learnt, and never everything."""
    if opinion is None:
        return 0.0
    trained = min(1.0, min(opinion.hams, opinion.spams) / _TRAINED)
    probability = min(max(opinion.probability, 1e-6), 1 - 1e-6)
    points = _PER_LOG_ODDS * math.log(probability / (1 - probability))
    return round(min(max(points, _LEAST), _MOST) * trained * weight / BAYES_POINTS, 2)


def weighed(symbols: Iterable[Symbol], weights: Mapping[str, float]) -> tuple[Symbol, ...]:
    """What earlier policies found, with the operator's points instead of their own."""
    return tuple(Symbol(s.name, weights.get(s.name, s.weight), s.detail) for s in symbols)


@dataclass(frozen=True, slots=True)
class Score:
    required: float
    """From here on it is junk."""
    reject: float
    """From here on it is refused; 0: never."""
    symbols: tuple[Symbol, ...]
    """All but the filter's."""
    opinion: Opinion | None = None
    bayes: float = 0.0

    @property
    def points(self) -> float:
        return round(sum(symbol.weight for symbol in self.symbols) + self.bayes, 2)

    @property
    def is_junk(self) -> bool:
        return self.points >= self.required

    @property
    def is_refused(self) -> bool:
        return 0 < self.reject <= self.points

    @property
    def tests(self) -> list[tuple[str, float]]:
        """What counted, the weightiest first."""
        found = [(symbol.name, symbol.weight) for symbol in self.symbols if symbol.weight]
        if self.bayes:
            found.append((BAYES, self.bayes))
        return sorted(found, key=lambda test: -abs(test[1]))

    def __str__(self) -> str:
        """``5.8/5.0 bayes 0.93 +3.1, DKIM_FAIL +1.2``"""
        words = []
        if self.opinion is not None:
            shown = f"bayes {self.opinion.probability:.2f}"
            words.append(f"{shown} {self.bayes:+.1f}" if self.bayes else shown)
        tests = [test for test in self.tests if test[0] != BAYES]
        words += [f"{safe_word(name)} {points:+.1f}" for name, points in tests[:_JOURNALLED]]
        if len(tests) > _JOURNALLED:
            words.append(f"and {len(tests) - _JOURNALLED} more")
        return f"{self.points:.1f}/{self.required:.1f} {', '.join(words)}".rstrip()


def score_fields(score: Score) -> tuple[FieldLine, ...]:
    """``X-Spam-Status``, ``X-Spam-Flag`` for junk, and ``X-Spam-Report``."""
    fields = [("X-Spam-Status", _status(score))]
    if score.is_junk:
        fields.append(("X-Spam-Flag", "YES"))
    report = _report(score)
    return (*fields, ("X-Spam-Report", report)) if report else tuple(fields)


def _status(score: Score) -> str:
    tests = [f"{safe_word(name)}={points:.1f}" for name, points in score.tests[:_MOST_TESTS]]
    words = [
        "Yes," if score.is_junk else "No,",
        f"score={score.points:.1f}",
        f"required={score.required:.1f}",
    ]
    first = "tests=" + (tests[0] if tests else "none")
    # the commas belong to the words before them, so that the list can be folded
    listed = [first, *tests[1:]]
    return folded("X-Spam-Status", [*words, *(f"{word}," for word in listed[:-1]), listed[-1]])


def _report(score: Score) -> str:
    words: list[str] = []
    if score.opinion is not None:
        words += opinion_words(score.opinion)
    for symbol in score.symbols[:_MOST_TESTS]:
        if symbol.weight and symbol.detail:
            detail = " ".join(safe_word(word) for word in symbol.detail.split()[:6])
            words += f"{safe_word(symbol.name)}: {detail};".split()
    return folded("X-Spam-Report", list(_up_to(_MOST_REPORT, words)))


def _up_to(octets: int, words: Iterable[str]) -> Iterator[str]:
    for word in words:
        octets -= len(word) + 1
        if octets < 0:
            return
        yield word


def opinion_words(opinion: Opinion) -> list[str]:
    whose = safe_word(opinion.scope) if opinion.scope else "nobody"
    if not opinion.hams or not opinion.spams:
        return ["bayes", "has", "learnt", "too", "little;"]
    words = f"bayes {opinion.probability:.2f} of {whose} ({opinion.hams} ham, {opinion.spams} spam)"
    shown = telling(opinion, _MOST_TOKENS)
    tokens = [f"{safe_word(each.token)} {each.weight:+.2f}" for each in shown]
    return f"{words}{':' if tokens else ''} {', '.join(tokens)};".replace(" ;", ";").split()


def telling(opinion: Opinion, most: int) -> tuple[Evidence, ...]:
    """The features that a person understands: those that are rare in the other kind of mail. What
    every message has may weigh as much, beside so many others, and says nothing to anybody."""
    found = (each for each in opinion.evidence if _tells(each, opinion))
    return tuple(islice(found, most)) or opinion.evidence[:most]


def _tells(each: Evidence, opinion: Opinion) -> bool:
    if not each.ham and not each.spam:
        return False
    in_spam = (each.spam + 1) / (opinion.spams + 2)
    in_ham = (each.ham + 1) / (opinion.hams + 2)
    ratio = in_spam / in_ham if each.weight > 0 else in_ham / in_spam
    return ratio > _TELLING


def safe_word(text: str) -> str:
    """Printable ASCII without blanks and without what separates words in our fields."""
    return _UNSAFE.sub(_escaped, text[:_LONGEST_WORD])[:_LONGEST_WORD] or "-"


def _escaped(found: re.Match[str]) -> str:
    return "_" if found[0].isascii() else found[0].encode("unicode_escape").decode("ascii")


def folded(name: str, words: Sequence[str]) -> str:
    """RFC 5322 section 2.2.3. ``words`` are printable ASCII without blanks."""
    lines, line = [], f"{name}:"
    for word in words:
        # a line of blanks alone is none (section 3.2.2)
        if len(line) + 1 + len(word) > _WIDTH and line.strip():
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    lines.append(line)
    return "\r\n".join(lines)[len(name) + 1 :].lstrip(" ")
