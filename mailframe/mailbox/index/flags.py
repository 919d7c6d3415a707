"""Flags as sets, as the index stores them, and as Maildir's letters.

Sets and texts are interned: a folder of 100,000 messages has a handful of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from mailframe.core.folders import (
    ANSWERED,
    DELETED,
    DRAFT,
    FLAGGED,
    SEEN,
    SYSTEM_FLAGS,
    Flags,
)

LETTERS = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
"""https://cr.yp.to/proto/maildir.html; P (passed) is nobody's flag and is kept as it is."""
LETTER_OF = {flag: letter for letter, flag in LETTERS.items()}
SPELLING = {flag.lower(): flag for flag in SYSTEM_FLAGS}


@lru_cache(8192)
def flag_set(text: str) -> Flags:
    """What ``flag_text`` made."""
    return frozenset(text.split(" ")) if text else frozenset()


@lru_cache(8192)
def flag_text(flags: Flags) -> str:
    """Space-separated, sorted."""
    return " ".join(sorted(flags))


def letters_in(info: str) -> str:
    """The letters of ``:2,FS``; empty for what is none of Maildir's version 2."""
    return info[3:] if info.startswith(":2,") else ""


def info_of(letters: Iterable[str]) -> str:
    """Maildir asks for ASCII order."""
    return ":2," + "".join(sorted(set(letters)))
