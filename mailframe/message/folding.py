"""Texts made comparable: ``fold`` for searching, ``collation_key`` for sorting and threading.

``fold`` takes away what people do not type when they search: case, accents, the difference
between forms of one letter.

* Case: full Unicode case folding. ``ß`` is ``ss``, the final sigma a sigma, ``ﬁ`` is ``fi``.
* Compatibility forms (NFKD): full-width and half-width letters, ligatures, superscripts, the
  no-break space. A spacing accent (U+00B4) becomes a blank, as Unicode decomposes it.
* Marks: those of Latin, Greek and Cyrillic (``й`` is found as ``и``, ``ё`` as ``е``), Hebrew
  points, Arabic vowel signs. Marks that are letters of their script stay: kana voicing marks,
  Indic and Thai vowel signs.
* What nobody sees: soft hyphens, zero-width spaces and joiners, variation selectors, BOM.

Of a row of more than 30 marks the others are left out: no language has them (UAX 15 section 13),
and to put marks in their order takes time by the square of the row.

The result is in NFC, so that a Hangul syllable is found as a whole, and folding it again
changes nothing. A text of nothing but marks folds to the empty text.

``collation_key`` is i;unicode-casemap (RFC 5051), which RFC 5256 sorts by: accents count. Other
than there, ``ß`` and ligatures are the capitals of their letters (``SS``, ``FI``).
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

_DROPPED = re.compile(
    "["
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f"  # Latin, Greek, all
    "\u0483-\u0489"  # Cyrillic
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic
    "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
    "\ufe00-\ufe0f\U000e0100-\U000e01ef"
    "]+"
)
_MOST_MARKS = 30
# Neither letters nor digits nor ASCII, as marks are; and the kana marks that count as letters.
_MAYBE_MARKS = re.compile(rf"(?:[^\w\x00-\x7f]|[\uff9e\uff9f]){{{_MOST_MARKS + 1},}}")
# Where a text may be cut without folding it differently: nothing joins onto these from the left.
_SEAM = re.compile("[\x00-\x7f\u4e00-\u9fff]")
_PIECE = 32_768  # characters; some 2 ms, in which the interpreter does nothing else


def fold(text: str) -> str:
    """What is found as the same folds to the same; ``fold(fold(x)) == fold(x)``."""
    if text.isascii():
        return text.lower()
    text = _DROPPED.sub("", normalize("NFKD", _thinned(text.casefold())))
    # Decomposing may bring capitals and marks to light (U+2122 TM, U+1D160 ...).
    text = _DROPPED.sub("", normalize("NFKD", _thinned(text.casefold())))
    return normalize("NFC", _thinned(text))


def _thinned(text: str) -> str:
    return _MAYBE_MARKS.sub(_first_marks, text)


def _first_marks(row: re.Match[str]) -> str:
    kept, marks = [], 0
    for character in row[0]:
        is_mark = category(character)[0] == "M" or character in "\uff9e\uff9f"
        marks = marks + 1 if is_mark else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def fold_long(text: str) -> str:
    """``fold`` in pieces, for texts of any size: other threads get their turn in between.

    The same as ``fold``, unless there is neither ASCII nor an ideograph in 32768 characters:
    then marks and Hangul letters may stay apart where such a text is cut."""
    if len(text) <= _PIECE:
        return fold(text)
    pieces = []
    at = 0
    while at < len(text):
        end = at + _PIECE
        if end < len(text):
            seam = _SEAM.search(text, end, end + _PIECE)
            # without a seam: all that was looked at, which may be all that is left
            end = seam.start() if seam else end + _PIECE
        pieces.append(fold(text[at:end]))
        at = end
    return "".join(pieces)


def collation_key(text: str) -> bytes:
    """Keys compare as the texts do under i;unicode-casemap; UTF-8."""
    if text.isascii():
        return text.upper().encode("ascii")
    text = normalize("NFKD", normalize("NFKD", _thinned(text).upper()).upper())
    return text.encode("utf-8", "replace")
