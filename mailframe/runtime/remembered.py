"""Answers from a database that are remembered, for as long as nothing in it has changed.

Each question looks at the version of the database first: a commit of anybody, in this process
or another, ends all that is remembered. What is found is kept under the version from before the
looking, so that an answer found while a change is under way is never believed after it. A
remembered answer is given without waiting for anything.

Two memories: one for what the database names, the other for what strangers may make up at will
(users that are not here, domains elsewhere, ``ann+anything``). Who asks for a million made-up
names pushes out the made-up ones of others and nothing else. In each, what was asked for
longest ago goes first. A user of the directory takes 0.8 KB and an address 0.5 KB: where
as many as may be are remembered, some 13 MB of each process.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mailframe.runtime.database import Database

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")

MOST_NAMED = 10_000
MOST_OTHERS = 2_000
_SHARE = 4  # no answer takes more than one in so many of its memory's places


@dataclass(frozen=True, slots=True)
class Found(Generic[A]):
    answer: A
    """Shared by all who ask: not to be changed by them."""
    about: Hashable
    """What it is kept under: the question, or something wider that has the same answer."""
    is_named: bool
    """By the database, so that strangers cannot have made it up."""
    size: int = 1
    """In places of the memory."""


class Remembered(Generic[Q, A]):
    """Answers to one kind of question: ``look`` finds one, on a reader's thread."""

    def __init__(
        self, database: Database, look: Callable[[sqlite3.Connection, Q], Found[A]]
    ) -> None:
        self._database = database
        self._look = look
        self._version: int | None = None
        self._named: _Memory[A] = _Memory(MOST_NAMED)
        self._others: _Memory[A] = _Memory(MOST_OTHERS)

    async def ask(self, question: Q, wider: Hashable = None) -> A:
        """``wider``: what else the answer may have been kept under."""
        known = self.recalled(question, wider)
        return known.answer if known is not None else await self.look_anew(question)

    def recalled(self, question: Q, wider: Hashable = None) -> Found[A] | None:
        """As ``ask``, but only where it is remembered."""
        if self._version_now() is None:
            return None
        return (
            self._named.recalled(question)
            or self._others.recalled(question)
            or self._others.recalled(wider)
        )

    async def look_anew(self, question: Q) -> A:
        """As ``ask``, but whether or not it is remembered."""
        version = self._version_now()
        found = await self._database.read(lambda connection: self._look(connection, question))
        # Another question may have seen a later version meanwhile.
        if version is not None and version == self._version:
            (self._named if found.is_named else self._others).keep(found)
        return found.answer

    def _version_now(self) -> int | None:
        version = self._database.version()
        if version != self._version:
            self._version = version
            self._named.forget()
            self._others.forget()
        return version


class _Memory(Generic[A]):
    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._found: OrderedDict[Hashable, Found[A]] = OrderedDict()

    def recalled(self, about: Hashable) -> Found[A] | None:
        found = self._found.get(about)
        if found is not None:
            self._found.move_to_end(about)
        return found

    def keep(self, found: Found[A]) -> None:
        if found.size > self._places // _SHARE:
            return
        before = self._found.pop(found.about, None)
        self._taken += found.size - (before.size if before is not None else 0)
        self._found[found.about] = found
        while self._taken > self._places:
            _, oldest = self._found.popitem(last=False)
            self._taken -= oldest.size

    def forget(self) -> None:
        self._found.clear()
        self._taken = 0
