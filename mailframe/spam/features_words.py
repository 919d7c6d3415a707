"""A text's tokens: words, pairs of neighbouring words, and what is odd about its letters.

Words are folded (case and accents, so that Greek and German are found however they are
written); scripts that put no blanks between words give pairs of letters. What a word tells,
the word beside it often tells better: hence the pairs. Capitals are tokens of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise

from mailframe.message.folding import fold

LONGEST = 30
"""Letters of a word; longer ones are counted by their length and beginning."""
_MOST_RUN = 400  # letters of one run without blanks

_WORD = re.compile(r"[$€£]?[^\W_](?:[\w'’.\-]*[^\W_])?[!%]?|[!?$*]{2,4}")
_SHOUTED = re.compile(r"\b[A-Z][A-Z'-]{2,20}\b")
# Thai and Lao, Burmese, Khmer, kana, ideographs, Hangul
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\U00020000-\U0002ffff]+"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2064"
    "\u3164\ufeff\uffa0\U000e0000-\U000e007f]"
)
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
# A Latin letter beside one that looks like a Latin letter: Greek, Cyrillic, Cherokee,
# full-width, mathematical
_ALIKE = "\u0370-\u03ff\u0400-\u052f\u13a0-\u13ff\uff21-\uff5a\U0001d400-\U0001d7ff"
_MIXED = re.compile(f"[A-Za-z][{_ALIKE}]|[{_ALIKE}][A-Za-z]")


def text_tokens(text: str, most: int, prefix: str = "") -> list[str]:
    """Of a text as it was decoded: the first ``most`` words, as many pairs, and oddities."""
    found = _words(fold(text), most)
    if prefix:
        found = [prefix + word for word in found]
    tokens = found + [f"{first} {second}" for first, second in pairwise(found)]
    tokens += [f"{prefix}caps:{word.lower()}" for word in _some(_SHOUTED, text, most // 8)]
    if not text.isascii():
        tokens += [f"{prefix}odd:{oddity}" for oddity in _oddities(text)]
    return tokens


def words_among(tokens: list[str]) -> int:
    """About how many words those tokens are of."""
    return (len(tokens) + 1) // 2


def _words(text: str, most: int) -> list[str]:
    if text.isascii():
        return [
            word if len(word) <= LONGEST else _abridged(word) for word in _some(_WORD, text, most)
        ]
    found: list[str] = []
    for word in _some(_WORD, text, most):
        if _UNSPACED.search(word):
            found += _letter_pairs(word)
        else:
            found.append(word if len(word) <= LONGEST else _abridged(word))
    return found[:most]


def _some(pattern: re.Pattern[str], text: str, most: int) -> list[str]:
    if len(text) < 4 * most:
        return pattern.findall(text)[:most]
    return [match[0] for match in islice(pattern.finditer(text), most)]


def _abridged(word: str) -> str:
    return f"{word[:8]}..{min(len(word) // 10, 20)}"


def _letter_pairs(word: str) -> Iterator[str]:
    """Pairs of neighbouring letters of what has no blanks, whole words of the rest."""
    at = 0
    for match in _UNSPACED.finditer(word[:_MOST_RUN]):
        if match.start() > at:
            yield word[at : match.start()][:LONGEST]
        run = match[0]
        if len(run) == 1:
            yield run
        yield from map("".join, pairwise(run))
        at = match.end()
    if at < len(word):
        yield word[at:][:LONGEST]


def _oddities(text: str) -> Iterator[str]:
    if _INVISIBLE.search(text):
        yield "invisible"
    if _BIDI.search(text):
        yield "bidi"
    if "\ufffd" in text:
        yield "undecodable"
    if mixed := len(_some(_MIXED, text, 64)):
        yield f"mixed-scripts:{mixed.bit_length()}"
