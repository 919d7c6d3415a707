"""What was asked of a folder lately, and the answer, while the folder is as it was.

Mail programs ask for the same order or the same threads again and again, a page at a time.
An answer holds until the folder's next mod-sequence: every arrival, change and EXPUNGE has
one (RFC 7162).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar, cast

T = TypeVar("T")

_KEPT = 8
_LARGEST = 100_000  # messages of an answer; such a one takes some ten megabytes as threads


class Answers:
    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[int, Sequence[Any]]] = OrderedDict()

    async def of(
        self,
        question: Hashable,
        modseq: Callable[[], int],
        ask: Callable[[], Awaitable[Sequence[T]]],
    ) -> Sequence[T]:
        """The answer at hand, or what ``ask`` yields. ``modseq``: the folder's highest."""
        before = modseq()
        found = self._kept.get(question)
        if found is not None and found[0] == before:
            self._kept.move_to_end(question)
            return cast(Sequence[T], found[1])
        answer = await ask()
        # What changed meanwhile may be in it or not.
        if modseq() == before and len(answer) <= _LARGEST:
            self._kept[question] = (before, answer)
            self._kept.move_to_end(question)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return answer
