"""Words about problems, for somebody who edits a file."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """What was probably meant; empty where nothing is near. ``likeness``: 1 for equal words."""
    import difflib  # most configurations have no problem

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return close[0] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)``; empty where nothing is near."""
    close = nearest(word, known)
    return f" (did you mean {close}?)" if close else ""
